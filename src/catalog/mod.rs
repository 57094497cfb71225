//! One file per catalogue table of schema redshift: its row and its statements, nothing else. (DDL: sql/catalog/.)

pub mod checkpoint;
pub mod ledger;
pub mod materialized_view;
pub mod refresh_history;
