//! redshift.statement_history: what clients ran, beside refreshes.

use crate::pg::spi::{self, as_extension_owner};
use crate::pg::statement_ring::Statement;

/// Writes statements; one that is there already is left as it is.
pub fn insert(statements: &[Statement]) {
    let numbers = |of: fn(&Statement) -> i64| -> Vec<i64> { statements.iter().map(of).collect() };
    let texts = |of: fn(&Statement) -> &String| -> Vec<String> {
        statements.iter().map(|s| of(s).clone()).collect()
    };
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.statement_history (query_id, user_id, session_id, transaction_id, query_type, status, start_time, end_time,
                 execution_time, planning_time, returned_rows, error_message, query_text)
             SELECT s.query_id, s.user_id::pg_catalog.oid, s.session_id::pg_catalog.int4, s.transaction_id, s.query_type, s.status,
                 timestamp '2000-01-01' + s.start_time * interval '1 microsecond', timestamp '2000-01-01' + s.end_time * interval '1 microsecond',
                 s.execution_time, s.planning_time, s.returned_rows, nullif(s.error_message, ''), s.query_text
             FROM unnest($1::pg_catalog.int8[], $2::pg_catalog.int8[], $3::pg_catalog.int8[], $4::pg_catalog.int8[], $5::pg_catalog.text[],
                 $6::pg_catalog.text[], $7::pg_catalog.int8[], $8::pg_catalog.int8[], $9::pg_catalog.int8[], $10::pg_catalog.int8[],
                 $11::pg_catalog.int8[], $12::pg_catalog.text[], $13::pg_catalog.text[])
                 AS s (query_id, user_id, session_id, transaction_id, query_type, status, start_time, end_time, execution_time, planning_time,
                       returned_rows, error_message, query_text)
             ON CONFLICT (query_id) DO NOTHING",
            &[
                numbers(|s| s.query_id).into(),
                numbers(|s| i64::from(s.user)).into(),
                numbers(|s| i64::from(s.pid)).into(),
                numbers(|s| s.transaction_id).into(),
                texts(|s| &s.query_type).into(),
                texts(|s| &s.status).into(),
                numbers(|s| s.times.0).into(),
                numbers(|s| s.times.1).into(),
                numbers(|s| s.execution_time).into(),
                numbers(|s| s.planning_time).into(),
                numbers(|s| s.returned_rows).into(),
                texts(|s| &s.error).into(),
                texts(|s| &s.text).into(),
            ],
        )
    });
}
