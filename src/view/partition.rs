//! redshift.add_partition: a range of a partitioned view becomes a partition of its own, also when rows of it are in the default partition already,
//! where PostgreSQL refuses CREATE TABLE .. PARTITION OF.

use super::owned_at_rest;
use crate::error;
use crate::pg::relation::{self, Oid};
use crate::pg::report;
use crate::pg::spi::{self, as_extension_owner, as_view_owner};
use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};

/// What there is to be partitioned.
struct Parent {
    /// Its name as SQL.
    name: String,
    /// The expression of the key as SQL.
    key: String,
    /// The columns that are stored as they are given.
    columns: String,
    default: Option<Oid>,
}

/// A range of the key, as SQL.
struct Range {
    from: Option<String>,
    to: Option<String>,
}

/// Adds the partition from a value (null: the least) up to, and without, another (null: no end). The rows of the range are moved in two steps, so that
/// loading and reading wait only while what has come since the first one is moved and the default partition is looked through.
pub fn add(table: Oid, from: Option<&str>, to: Option<&str>, name: Option<&str>) {
    let view = owned_at_rest(table);
    let range = Range {
        from: from.map(quote_literal),
        to: to.map(quote_literal),
    };
    let schema = relation::schema_name(table).unwrap_or_default();
    let short = name.map_or_else(|| default_name(&view.name(), from), str::to_owned);
    if short.len() > 63 {
        error::name_too_long(&short).raise();
    }
    let partition = quote_qualified_identifier(&schema, &short);
    let moved = as_view_owner(relation::owner(table), || {
        let mv = relation::qualified_name(table).unwrap_or_default();
        // Only one at a time: two would wait for each other below.
        spi::execute_once(&format!("LOCK TABLE {mv} IN SHARE UPDATE EXCLUSIVE MODE"));
        let parent = parent(table, &view.name());
        match parent.default {
            None => {
                spi::execute_once(&format!(
                    "CREATE TABLE {partition} PARTITION OF {mv} {}",
                    range.bounds()
                ));
                0
            }
            Some(default) => move_out(&parent, default, &partition, &range, &view.name()),
        }
    });
    report::notice(format!(
        "materialized view \"{}\" has partition {partition}, {moved} rows moved into it",
        view.name()
    ));
}

fn move_out(parent: &Parent, default: Oid, partition: &str, range: &Range, view: &str) -> usize {
    if let Some(trigger) = trigger_on_delete(default) {
        error::trigger_on_delete(view, &trigger).raise();
    }
    let Parent { name, columns, .. } = parent;
    let default = relation::qualified_name(default).unwrap_or_default();
    let condition = range.condition(&parent.key);
    spi::execute_once(&format!(
        "CREATE TABLE {partition} (LIKE {name} INCLUDING ALL EXCLUDING IDENTITY)"
    ));
    // So that ATTACH need not look through it.
    const BOUND: &str = "redshift_streaming_bound";
    spi::execute_once(&format!(
        "ALTER TABLE {partition} ADD CONSTRAINT {BOUND} CHECK ({condition})"
    ));
    let sql = format!(
        "WITH moved AS (DELETE FROM {default} WHERE {condition} RETURNING {columns})
         INSERT INTO {partition} ({columns}) SELECT {columns} FROM moved"
    );
    let mut moved = spi::execute(&sql, &[]);
    // From here on nothing is loaded and nobody reads until the transaction ends.
    spi::execute_once(&format!("LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"));
    moved += spi::execute(&sql, &[]);
    spi::execute_once(&format!(
        "ALTER TABLE {name} ATTACH PARTITION {partition} {}",
        range.bounds()
    ));
    spi::execute_once(&format!("ALTER TABLE {partition} DROP CONSTRAINT {BOUND}"));
    moved
}

impl Range {
    fn bounds(&self) -> String {
        let or = |value: &Option<String>, word: &str| value.clone().unwrap_or_else(|| word.into());
        let (from, to) = (or(&self.from, "MINVALUE"), or(&self.to, "MAXVALUE"));
        format!("FOR VALUES FROM ({from}) TO ({to})")
    }

    /// What PostgreSQL makes of the bounds (get_qual_for_range of partbounds.c).
    fn condition(&self, key: &str) -> String {
        let mut condition = format!("({key}) IS NOT NULL");
        if let Some(from) = &self.from {
            condition += &format!(" AND ({key}) >= {from}");
        }
        if let Some(to) = &self.to {
            condition += &format!(" AND ({key}) < {to}");
        }
        condition
    }
}

fn parent(table: Oid, view: &str) -> Parent {
    let found = as_extension_owner(|| {
        spi::first(
            "SELECT p.partstrat::pg_catalog.text AS strategy, p.partnatts::pg_catalog.int4 AS keys, p.partdefid,
                    coalesce(pg_catalog.pg_get_expr(p.partexprs, p.partrelid), pg_catalog.quote_ident(a.attname::pg_catalog.text)) AS key
             FROM pg_catalog.pg_partitioned_table AS p
             LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) p.partrelid AND a.attnum OPERATOR(pg_catalog.=) p.partattrs[0]
             WHERE p.partrelid OPERATOR(pg_catalog.=) $1",
            &[table.into()],
            |row| {
                let (strategy, keys): (String, i32) = (row.expect("strategy"), row.expect("keys"));
                (strategy == "r" && keys == 1, row.expect::<Oid>("partdefid"), row.expect::<String>("key"))
            },
        )
    });
    let Some((true, default, key)) = found else {
        error::no_range_partitions(view).raise()
    };
    let columns = as_extension_owner(|| {
        spi::rows(
            "SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
             WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
                 AND a.attgenerated OPERATOR(pg_catalog.=) ''::\"char\" ORDER BY a.attnum",
            &[table.into()],
            |row| quote_identifier(spi::only::<String>(row)),
        )
    });
    Parent {
        name: relation::qualified_name(table).unwrap_or_default(),
        key,
        columns: columns.join(", "),
        default: relation::exists(default).then_some(default),
    }
}

/// What would happen when rows are taken out of the default partition, although they stay in the view: triggers, and what foreign keys of other tables do.
fn trigger_on_delete(default: Oid) -> Option<String> {
    const TRIGGER_TYPE_DELETE: i32 = 8;
    as_extension_owner(|| {
        spi::first(
            "SELECT coalesce(c.conname, t.tgname)::pg_catalog.text FROM pg_catalog.pg_trigger AS t
             LEFT JOIN pg_catalog.pg_constraint AS c ON c.oid OPERATOR(pg_catalog.=) t.tgconstraint
             WHERE (t.tgrelid OPERATOR(pg_catalog.=) $1
                    OR t.tgrelid OPERATOR(pg_catalog.=) ANY (SELECT r.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) AS r))
                 AND (t.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) $2) OPERATOR(pg_catalog.<>) 0 AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'::\"char\"
             ORDER BY 1 LIMIT 1",
            &[default.into(), TRIGGER_TYPE_DELETE.into()],
            spi::only,
        )
    })
}

/// `<view>_<from>`, with an underscore for whatever is neither letter nor digit.
fn default_name(view: &str, from: Option<&str>) -> String {
    let from = from.unwrap_or("min").trim();
    let part: String = from
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect();
    format!("{view}_{part}")
}
