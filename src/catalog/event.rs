//! NOTIFY redshift_events: a JSON object when records are skipped, when a refresh fails and when it works again. Delivered when the transaction commits.
//!
//! Everybody of the server may fill the queue of notifications, and what finds no room in it fails with its transaction: an event is left out then, never
//! the records.
//!
//! Whoever may connect to the database may listen, so an event says what happened to which view, and no more: an error's text can quote a record.

use crate::pg::relation::{self, Oid};
use crate::pg::spi;

/// A refresh failed; sys_query_history has the error.
pub fn failed(table: Oid) {
    send(table, "refresh_failed", None);
}

/// Auto refresh loads again after it failed.
pub fn recovered(table: Oid) {
    send(table, "refresh_recovered", None);
}

/// Records were skipped.
pub fn skipped(table: Oid, records: i64) {
    send(table, "records_skipped", Some(records));
}

/// In the form of redshift.look_at_lag's.
fn send(table: Oid, event: &str, records: Option<i64>) {
    let mut args = vec![
        event.into(),
        relation::schema_name(table).into(),
        relation::name(table).into(),
    ];
    let of_records = match records {
        Some(records) => {
            args.push(records.into());
            ", 'records', $4"
        }
        None => "",
    };
    let sql = format!(
        "SELECT pg_catalog.pg_notify('redshift_events',
             pg_catalog.json_build_object('event', $1, 'schema_name', $2, 'mv_name', $3{of_records})::pg_catalog.text)
         WHERE pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.<) '0.9'::pg_catalog.float8"
    );
    spi::execute(&sql, &args);
}
