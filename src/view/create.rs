//! CREATE MATERIALIZED VIEW over a stream. It reads no record: the view is empty and can be queried at once.

use super::options::{CreateOptions, OffsetIndex, unrecognized_hint};
use super::{alter, check, definition, start};
use crate::catalog::materialized_view;
use crate::error;
use crate::pg::error_context::{with_context, with_hint};
use crate::pg::node::Definition;
use crate::pg::query::{OutputColumn, Query};
use crate::pg::relation::{self, LockMode, Oid};
use crate::pg::report::{Report, sqlstate};
use crate::pg::{execute, nudge};
use crate::scan::shape;
use crate::source::any::Stream;
use pgrx::spi::{quote_identifier, quote_literal, quote_qualified_identifier};

pub use super::options::is_ours as is_view_option;

/// The statement, taken apart.
pub struct Request {
    /// The schema in which the view is created.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `(a, b, ..)` behind the name.
    pub column_names: Vec<String>,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// WITH (..), our part.
    pub options: Vec<Definition>,
    /// WITH (..), the table's part.
    pub storage_options: Vec<Definition>,
    /// USING.
    pub access_method: Option<String>,
    /// TABLESPACE.
    pub tablespace: Option<String>,
    /// AS.
    pub query: Query,
}

/// Does the statement.
pub fn run(request: Request) {
    let stream = check::incremental(&request.query.shape());
    let options = CreateOptions::parse(&request.options);
    if relation::is_temporary_schema(&request.schema) {
        error::temporary_view().raise();
    }
    if relation::find(&request.schema, &request.name).is_some() && request.if_not_exists {
        Report::new(
            sqlstate::DUPLICATE_TABLE,
            format!("relation \"{}\" already exists, skipping", request.name),
        )
        .notice();
        return;
    }
    relation::lock(stream, LockMode::AccessShare);
    shape::check(stream);
    let of = Stream::of_table(stream, relation::current_user());
    let topic = of.name();
    if options.kept.consumer.is_some() && !of.has_consumers() {
        error::consumer_of_topic().raise();
    }
    let store_start = start::ask(&of, options.start.as_deref());
    let columns = request.query.output_columns(&request.column_names);
    if request.column_names.len() > columns.len() {
        Report::new(
            sqlstate::SYNTAX_ERROR,
            "too many column names were specified",
        )
        .raise();
    }
    if columns.is_empty() {
        error::no_columns().raise();
    }
    let table = create_table(&request, &columns, &options);
    let view = definition::create(request.query, &columns, table);
    create_offset_index(table, &columns, options.offset_index, &of);
    let schema = relation::schema_name(stream).unwrap_or_default();
    let id = materialized_view::insert(table, view, &schema, topic, &options.kept);
    if options.kept.has_lag_limits() {
        // A monitor may be wanted now.
        nudge::at_commit();
    }
    store_start(id);
    if options.auto_refresh
        && let Some(view) = materialized_view::find(table)
    {
        alter::set_auto_refresh(&view, true);
    }
}

/// EXPLAIN of such a statement.
pub fn refuse_explain() -> ! {
    error::explain_create().raise()
}

fn create_table(request: &Request, columns: &[OutputColumn], options: &CreateOptions) -> Oid {
    let partition_by = options.partition_by.as_deref();
    let name = quote_qualified_identifier(&request.schema, &request.name);
    let column = |column: &OutputColumn| {
        let collation = column
            .collation
            .as_ref()
            .map(|name| format!(" COLLATE {name}"))
            .unwrap_or_default();
        format!(
            "{} {}{collation}",
            quote_identifier(&column.name),
            column.type_name
        )
    };
    let list: Vec<String> = columns.iter().map(column).collect();
    let mut sql = format!("CREATE TABLE {name} ({})", list.join(", "));
    if let Some(partition_by) = partition_by {
        sql += &format!(" PARTITION BY {partition_by}");
    }
    if let Some(method) = &request.access_method {
        sql += &format!(" USING {}", quote_identifier(method));
    }
    if !request.storage_options.is_empty() {
        let parameter = |option: &Definition| match &option.value {
            Some(value) => format!(
                "{} = {}",
                quote_identifier(&option.name),
                quote_literal(value)
            ),
            None => quote_identifier(&option.name),
        };
        let list: Vec<String> = request.storage_options.iter().map(parameter).collect();
        sql += &format!(" WITH ({})", list.join(", "));
    }
    if let Some(tablespace) = &request.tablespace {
        sql += &format!(" TABLESPACE {}", quote_identifier(tablespace));
    }
    let create = || {
        with_hint(
            &[sqlstate::INVALID_PARAMETER_VALUE],
            &unrecognized_hint(),
            // What the view is partitioned by is the user's own text.
            || match partition_by {
                Some(_) => execute::subcommand_as_written(&sql),
                None => execute::subcommand(&sql),
            },
        )
    };
    match partition_by {
        Some(_) => with_context(|| Some("option \"partition_by\"".to_owned()), create),
        None => create(),
    }
    let table = relation::find(&request.schema, &request.name)
        .unwrap_or_else(|| error::undefined_relation(&request.name).raise());
    if partition_by.is_some() && options.default_partition.unwrap_or(true) {
        // Every record must have a partition to land in.
        let default =
            quote_qualified_identifier(&request.schema, &relation::free_name(table, c"default"));
        execute::subcommand(&format!(
            "CREATE TABLE {default} PARTITION OF {name} DEFAULT"
        ));
    }
    table
}

fn create_offset_index(table: Oid, columns: &[OutputColumn], kind: OffsetIndex, of: &Stream) {
    let passed_on = |source: &str| {
        columns
            .iter()
            .find(|column| column.source_column.as_deref() == Some(source))
            .map(|column| &column.name)
    };
    let name = relation::qualified_name(table).unwrap_or_default();
    let places = of.place_columns();
    let columns: Option<Vec<&String>> = places.iter().copied().map(passed_on).collect();
    let Some(columns) = columns else {
        Report::new(
            sqlstate::SUCCESSFUL_COMPLETION,
            format!("materialized view {name} does not keep {}", places.join(" and ")),
        )
        .detail("Its rows cannot be traced to their records, and queries cannot find what is new since they last looked.")
        .notice();
        return;
    };
    let columns: Vec<String> = columns.into_iter().map(quote_identifier).collect();
    let columns = format!("({})", columns.join(", "));
    match kind {
        OffsetIndex::Brin => {
            execute::subcommand(&format!("CREATE INDEX ON {name} USING brin {columns}"))
        }
        OffsetIndex::Btree => {
            execute::subcommand(&format!("CREATE UNIQUE INDEX ON {name} {columns}"))
        }
        OffsetIndex::None => {}
    }
}
