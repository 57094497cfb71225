//! ALTER of a streaming materialized view, as MATERIALIZED VIEW or as TABLE.

use super::{definition, landing_table, owned_at_rest};
use crate::catalog::materialized_view::{self, MaterializedView};
use crate::error;
use crate::pg::node::Definition;
use crate::pg::relation::{self, Oid};
use crate::pg::report::{Report, sqlstate};
use crate::pg::{execute, nudge, shared, spi};
use crate::source::any::Stream;
use crate::view::options::{parse_switch, refuse_repetition};
use pgrx::spi::quote_identifier;
use settings::view::AUTO_REFRESH;

/// What must hold after any ALTER of the table or of a partition: the definition follows the table, no trigger is deferrable, and rows stay where
/// positions say that they are.
pub fn after(table: Oid) {
    let Some(view) = materialized_view::find(table) else {
        return;
    };
    if let Some(definition) = view.definition {
        definition::follow(table, definition);
    }
    refuse_deferrable(&view);
    landing_table::check(&view);
}

/// The table has a new name, or one of its columns has.
pub fn renamed(table: Oid, column: Option<(&str, &str)>) {
    let Some(definition) = materialized_view::find(table).and_then(|view| view.definition) else {
        return;
    };
    match column {
        None => definition::rename_after(table, definition),
        Some((old, new)) => {
            if relation::column_names(definition)
                .iter()
                .any(|column| column == old)
            {
                let view = relation::qualified_name(definition).unwrap_or_default();
                let (old, new) = (quote_identifier(old), quote_identifier(new));
                execute::subcommand(&format!("ALTER VIEW {view} RENAME COLUMN {old} TO {new}"));
            }
        }
    }
}

/// A column of a table has a new name, and with it those of the tables that inherit from it.
pub fn renamed_above(parent: Oid, old: &str, new: &str) {
    for view in landing_table::views_below(parent) {
        renamed(view, Some((old, new)));
    }
}

/// A column that the definition fills cannot be dropped.
pub fn check_drop_column(table: Oid, column: &str) {
    let Some(view) = materialized_view::find(table) else {
        return;
    };
    let mapped = view
        .definition
        .is_some_and(|d| relation::column_names(d).iter().any(|name| name == column));
    if mapped {
        error::column_is_mapped(&view.name(), column).raise();
    }
}

/// SET (..) or RESET (..) of our options.
pub fn set_options(table: Oid, options: &[Definition], reset: bool) {
    let mut view = owned_at_rest(table);
    refuse_repetition(options);
    for option in options {
        if option.name == AUTO_REFRESH.name {
            set_auto_refresh(&view, !reset && parse_switch(&AUTO_REFRESH, option));
        } else if reset {
            view.options.reset(&option.name);
        } else {
            view.options.set(option);
        }
    }
    let stream = view.definition.and_then(definition::stream_of);
    if view.options.consumer.is_some()
        && stream
            .is_some_and(|of| !Stream::of_table(of, relation::owner(view.table)).has_consumers())
    {
        error::consumer_of_topic().raise();
    }
    materialized_view::update_options(view.id, &view.options);
    nudge::at_commit();
}

/// Turns auto refresh on or off; the worker learns of it when the transaction commits.
pub fn set_auto_refresh(view: &MaterializedView, on: bool) {
    materialized_view::set_auto_refresh(view.id, on);
    if on && !shared::is_ready() {
        error::no_workers().warn();
    }
    if on && !view.auto_refresh {
        tell_of_others(view);
    }
    nudge::at_commit();
}

/// Another view on the same topic is loaded by transactions of its own: said when auto refresh begins.
fn tell_of_others(view: &MaterializedView) {
    let topic = &view.stream_name;
    let others = materialized_view::others_on_topic(view.id, &view.external_schema_name, topic);
    if !others.is_empty() {
        let text = format!(
            "topic \"{topic}\" is loaded by {} as well",
            others.join(", ")
        );
        Report::new(sqlstate::SUCCESSFUL_COMPLETION, text)
            .detail("The worker fetches the records once for all of them as soon as they are at the same position; each view is loaded by transactions of its own, with their own commits and WAL.")
            .notice();
    }
}

/// A deferrable trigger on INSERT cannot fire: the rows land in a security-restricted operation (trigger.c). Foreign keys of other tables to this one are
/// no matter: they look at UPDATE and DELETE.
fn refuse_deferrable(view: &MaterializedView) {
    const TRIGGER_TYPE_INSERT: &str = "4";
    let sql = format!(
        "SELECT COALESCE(c.conname, t.tgname)::pg_catalog.text FROM pg_catalog.pg_trigger AS t
             LEFT JOIN pg_catalog.pg_constraint AS c ON c.oid = t.tgconstraint
         WHERE t.tgrelid IN (SELECT $1 UNION SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) AS p)
             AND t.tgdeferrable AND (t.tgtype::pg_catalog.int4 & {TRIGGER_TYPE_INSERT}) <> 0 LIMIT 1"
    );
    if let Some(name) = spi::first(&sql, &[view.table.into()], spi::only::<String>) {
        error::deferrable(&view.name(), &name).raise();
    }
}
