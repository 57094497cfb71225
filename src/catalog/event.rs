//! NOTIFY redshift_events: a JSON object for each skipped record's refresh, failed and recovered refresh. Delivered when the transaction commits.

use crate::pg::relation::{self, Oid};
use crate::pg::spi;
use serde_json::{Value, json};

/// A payload may have 8000 bytes (async.c); an error's text is the only part that can be long.
const LONGEST_TEXT: usize = 4000;

/// A refresh failed.
pub fn failed(table: Oid, error: &str) {
    let text: String = error.chars().take(LONGEST_TEXT / 4).collect();
    send(table, json!({ "event": "refresh_failed", "error": text }));
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
