//! The hidden view behind a streaming materialized view.
//!
//! It stands in the schema of the table, as `<name>_definition`, and belongs to the table's owner, with whose rights it reads the stream.

use crate::pg::query::Query;
use crate::pg::relation::{self, Oid};
use crate::pg::{execute, spi};
use pgrx::spi::quote_identifier;
use std::ffi::CStr;

/// What the hidden view's name ends with.
const LABEL: &CStr = c"definition";

/// Makes a view of `query` beside `table`, which takes it along when it is dropped.
pub fn create(query: Query, columns: &[crate::pg::query::OutputColumn], table: Oid) -> Oid {
    let view = query.store_as_view(&relation::free_name(table, LABEL), columns, table);
    relation::depend_automatically(view, table);
    if let Some(name) = relation::qualified_name(view) {
        let of = relation::name(table).unwrap_or_default();
        let comment = format!("Definition of streaming materialized view {of}");
        execute::subcommand(&format!(
            "COMMENT ON VIEW {name} IS {}",
            pgrx::spi::quote_literal(comment)
        ));
    }
    view
}

/// The stream that a definition reads, without locking either; `None` if it reads none.
///
/// A refresh locks the stream before the view, in the order in which DROP .. CASCADE of the stream does.
pub fn stream_of(definition: Oid) -> Option<Oid> {
    spi::rows(
        "SELECT d.refobjid FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_depend AS d
             ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
         WHERE r.ev_class = $1 AND d.refobjid <> $1",
        &[definition.into()],
        spi::only::<Oid>,
    )
    .into_iter()
    .find(|relation| relation::is_stream(*relation))
}

/// Gives the hidden view the table's owner, schema and name, and the edge that makes it go with the table: what ALTER changed, or what a restore lost.
pub fn follow(table: Oid, definition: Oid) {
    if !relation::depends_automatically(definition, table) {
        relation::depend_automatically(definition, table);
    }
    let qualified = |relation| relation::qualified_name(relation).unwrap_or_default();
    if relation::owner(definition) != relation::owner(table) {
        let owner = relation::role_name(relation::owner(table));
        let sql = format!(
            "ALTER VIEW {} OWNER TO {}",
            qualified(definition),
            quote_identifier(owner)
        );
        spi::as_extension_owner(|| execute::subcommand(&sql));
    }
    let schema = relation::schema_name(table).unwrap_or_default();
    if relation::schema_name(definition).as_deref() != Some(schema.as_str()) {
        let sql = format!(
            "ALTER VIEW {} SET SCHEMA {}",
            qualified(definition),
            quote_identifier(schema)
        );
        spi::as_extension_owner(|| execute::subcommand(&sql));
    }
}

/// Renames the hidden view after the table was renamed.
pub fn rename_after(table: Oid, definition: Oid) {
    let sql = format!(
        "ALTER VIEW {} RENAME TO {}",
        relation::qualified_name(definition).unwrap_or_default(),
        quote_identifier(relation::free_name(table, LABEL))
    );
    execute::subcommand(&sql);
}
