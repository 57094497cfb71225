//! What must hold of a landing table and its partitions, so that rows and positions stay together: they commit together, they survive a crash
//! together, and a row that is inserted is there.

use crate::catalog::materialized_view::MaterializedView;
use crate::error;
use crate::pg::relation::{self, Oid};
use crate::pg::spi::{self, as_extension_owner};

/// The streaming materialized view that this relation is, or is a partition of.
pub fn view_of(relation: Oid) -> Option<Oid> {
    if super::registered(relation) {
        return Some(relation);
    }
    if !relation::is_partition(relation) {
        return None;
    }
    relation::partition_root(relation).filter(|root| super::registered(*root))
}

/// The streaming materialized views among the tables that inherit from this one.
pub fn views_below(parent: Oid) -> Vec<Oid> {
    if !relation::has_children(parent) {
        return Vec::new();
    }
    as_extension_owner(|| {
        spi::rows(
            "WITH RECURSIVE below AS (
                 SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) $1
                 UNION
                 SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN below AS b ON i.inhparent OPERATOR(pg_catalog.=) b.inhrelid)
             SELECT v.mv::pg_catalog.oid FROM redshift.materialized_view AS v JOIN below AS b ON v.mv::pg_catalog.oid OPERATOR(pg_catalog.=) b.inhrelid",
            &[parent.into()],
            spi::only,
        )
    })
}

/// Refuses what holds no rows, and a table or a partition that a crash would empty while the positions stay.
pub fn check(view: &MaterializedView) {
    if !relation::is_table(view.table) {
        error::not_a_landing_table(&view.name()).raise();
    }
    let unlogged = as_extension_owner(|| {
        spi::first(
            "SELECT c.oid
             FROM (SELECT $1 AS oid UNION SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) AS t) AS m
             JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) m.oid
             WHERE c.relpersistence OPERATOR(pg_catalog.=) 'u'::\"char\" ORDER BY 1 LIMIT 1",
            &[view.table.into()],
            spi::only::<Oid>,
        )
    });
    if let Some(table) = unlogged {
        refuse_unlogged(view.table, table);
    }
}

/// A new partition may be a foreign table: its rows commit elsewhere.
pub fn look_at_partition(view: Oid, partition: Oid) {
    if relation::is_foreign_table(partition) {
        let name = relation::name(view).unwrap_or_default();
        let table = relation::qualified_name(partition).unwrap_or_default();
        error::foreign_partition(&name, &table).warn();
    }
}

/// SET UNLOGGED of a table or partition, before it is rewritten.
pub fn refuse_unlogged(view: Oid, table: Oid) -> ! {
    let name = relation::name(view).unwrap_or_default();
    let table = relation::qualified_name(table).unwrap_or_default();
    error::unlogged(&name, &table).raise()
}

/// CREATE RULE .. ON INSERT: what it puts in the place of a row is not the row.
pub fn refuse_insert_rule(view: Oid) -> ! {
    error::insert_rule(&relation::name(view).unwrap_or_default()).raise()
}
