//! NOTIFY redshift_events: a JSON object when records are skipped, when a refresh fails and when it works again. Delivered when the transaction commits.
//!
//! Whoever may connect to the database may listen, so an event says what happened to which view, and no more: an error's text can quote a record.

use crate::pg::relation::{self, Oid};
use crate::pg::spi;
use serde_json::{Value, json};

/// A refresh failed; sys_query_history has the error.
pub fn failed(table: Oid) {
    send(table, json!({ "event": "refresh_failed" }));
}

/// Auto refresh loads again after it failed.
pub fn recovered(table: Oid) {
    send(table, json!({ "event": "refresh_recovered" }));
}

/// Records were skipped.
pub fn skipped(table: Oid, records: i64) {
    send(
        table,
        json!({ "event": "records_skipped", "records": records }),
    );
}

fn send(table: Oid, mut event: Value) {
    event["schema_name"] = relation::schema_name(table).into();
    event["mv_name"] = relation::name(table).into();
    spi::execute(
        "SELECT pg_catalog.pg_notify('redshift_events', $1)",
        &[event.to_string().into()],
    );
}
