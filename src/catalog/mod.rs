//! One file per catalogue table of schema redshift: its row and its statements, nothing else (event: what is told by NOTIFY). (DDL: sql/catalog/.)

pub mod checkpoint;
pub mod event;
pub mod external_schema;
pub mod journal;
pub mod kept;
pub mod lag_alert;
pub mod ledger;
pub mod materialized_view;
pub mod options;
pub mod pace;
pub mod position;
pub mod refresh_history;
pub mod statement_history;
pub mod trimming;
pub mod trouble;
