//! WITH (..) of a streaming materialized view.

use crate::catalog::kept::refuse;
use crate::catalog::options::Options;
use crate::error;
use crate::pg::node::Definition;
use settings::view::{self, ViewOption};

/// The index that a new view gets on kafka_partition and kafka_offset.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum OffsetIndex {
    /// A few kilobytes, enough to find new rows.
    #[default]
    Brin,
    /// A unique btree.
    Btree,
    /// None.
    None,
}

impl OffsetIndex {
    fn of_name(name: &str) -> Option<OffsetIndex> {
        match name {
            "brin" => Some(OffsetIndex::Brin),
            "btree" => Some(OffsetIndex::Btree),
            "none" => Some(OffsetIndex::None),
            _ => None,
        }
    }
}

/// All options of CREATE MATERIALIZED VIEW.
#[derive(Default)]
pub struct CreateOptions {
    /// Those that stay.
    pub kept: Options,
    /// `start`, as written.
    pub start: Option<String>,
    /// `partition_by`, as written.
    pub partition_by: Option<String>,
    /// `default_partition`; on unless it is said.
    pub default_partition: Option<bool>,
    /// `offset_index`.
    pub offset_index: OffsetIndex,
    /// `auto_refresh`.
    pub auto_refresh: bool,
}

/// Is the option ours? All others are storage parameters of the table.
pub fn is_ours(name: &str) -> bool {
    view::find(name).is_some()
}

/// What to say of an option that neither we nor tables have.
pub fn unrecognized_hint() -> String {
    let ours = view::ALL.map(|option| option.name);
    format!(
        "Options of a streaming materialized view: {}. Others are storage parameters of tables.",
        ours.join(", ")
    )
}

/// Raises an error for an option that is given twice: which one holds, nobody would know.
pub fn refuse_repetition(options: &[Definition]) {
    for (place, option) in options.iter().enumerate() {
        if options[..place]
            .iter()
            .any(|before| before.name == option.name)
        {
            error::option_twice(&option.name).raise();
        }
    }
}

impl CreateOptions {
    /// Reads the options of CREATE.
    pub fn parse(options: &[Definition]) -> CreateOptions {
        refuse_repetition(options);
        let mut parsed = CreateOptions::default();
        for option in options {
            let value = option.value.clone().unwrap_or_default();
            match option.name.as_str() {
                name if name == view::START.name => parsed.start = Some(value),
                name if name == view::PARTITION_BY.name => parsed.partition_by = Some(value),
                name if name == view::DEFAULT_PARTITION.name => {
                    parsed.default_partition = Some(parse_switch(&view::DEFAULT_PARTITION, option))
                }
                name if name == view::AUTO_REFRESH.name => {
                    parsed.auto_refresh = parse_switch(&view::AUTO_REFRESH, option)
                }
                name if name == view::OFFSET_INDEX.name => {
                    parsed.offset_index = OffsetIndex::of_name(&value.to_ascii_lowercase())
                        .unwrap_or_else(|| refuse(&view::OFFSET_INDEX, &value))
                }
                _ => parsed.kept.set(option),
            }
        }
        if parsed.default_partition.is_some() && parsed.partition_by.is_none() {
            error::option_needs(view::DEFAULT_PARTITION.name, view::PARTITION_BY.name).raise();
        }
        parsed
    }
}

/// `on`, `off` and what else Postgres takes for a boolean; the name alone means on.
pub fn parse_switch(entry: &ViewOption, option: &Definition) -> bool {
    let Some(value) = &option.value else {
        return true;
    };
    settings::switch(value).unwrap_or_else(|| refuse(entry, value))
}
