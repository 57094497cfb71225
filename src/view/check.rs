//! Which definitions can be maintained record by record, without reading earlier records again.
//!
//! Redshift's rules are in "Streaming ingestion to a materialized view" (one stream, no join) and "CREATE MATERIALIZED VIEW"; beyond them, a
//! set-returning function over the record's own columns is allowed: it unnests the record while it is loaded.

use crate::error;
use crate::pg::query::Shape;
use crate::pg::relation::Oid;

/// Raises an error if the definition cannot be incremental; returns the stream that it reads.
pub fn incremental(shape: &Shape) -> Oid {
    let over_the_view = "Create the materialized view with the plain records, and put this into a view or a query over it.";
    let obstacles = [
        (
            shape.aggregates,
            "GROUP BY, HAVING or aggregate functions",
            over_the_view,
        ),
        (shape.distinct, "DISTINCT", over_the_view),
        (shape.window, "window functions", over_the_view),
        (
            shape.set_operation,
            "UNION, INTERSECT or EXCEPT",
            "Create one materialized view for each stream, and a view that unites them.",
        ),
        (
            shape.cte,
            "WITH",
            "Write the query without WITH; what it computes can go into a view over the materialized view.",
        ),
        (
            shape.order_by,
            "ORDER BY",
            "A table has no order: sort when you query it.",
        ),
        (
            shape.limit,
            "LIMIT or OFFSET",
            "Use WHERE to choose records, or start to begin later.",
        ),
        (
            shape.locking,
            "FOR UPDATE or FOR SHARE",
            "Records cannot be locked.",
        ),
        (
            shape.streams.len() > 1,
            "more than one stream",
            "Create one materialized view for each stream, and join them in a view or query.",
        ),
        (
            !shape.other_relations.is_empty(),
            "a table or view beside the stream",
            "Create the materialized view with the plain records, and join in a view or query over it.",
        ),
        (
            shape.subquery_in_from,
            "a subquery or VALUES in FROM",
            "Name the stream itself in FROM.",
        ),
        (
            shape.uncorrelated_function,
            "a function in FROM that does not use the record",
            "A function in FROM must have a column of the stream as an argument.",
        ),
        (
            shape.outer_join_over_stream,
            "RIGHT or FULL JOIN",
            "Use LEFT JOIN LATERAL or CROSS JOIN LATERAL.",
        ),
    ];
    if let Some((_, what, hint)) = obstacles.iter().find(|(found, ..)| *found) {
        error::not_incremental(what, hint).raise();
    }
    match shape.streams[..] {
        [stream] => stream,
        _ => error::not_incremental("no stream", "Name a topic of an external schema in FROM.")
            .raise(),
    }
}
