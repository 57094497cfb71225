//! How an option that stays is read, written and changed: by its entry in `crates/settings` and its type.

use crate::error;
use crate::pg::setting;
use crate::pg::spi::{Arg, Row};
use plan::loss::OnDataLoss;
use settings::Preset;
use settings::view::{Relation, ViewOption};

/// The type of an option that stays.
pub trait Kept: Sized {
    /// What it is where nothing is said.
    fn preset(entry: &ViewOption) -> Self;
    /// What is written; raises what cannot be.
    fn parse(entry: &ViewOption, value: &str) -> Self;
    /// From its column.
    fn read(row: &Row, column: &'static str) -> Self;
    /// For its column.
    fn arg(&self) -> Arg<'_>;
}

impl Kept for i32 {
    fn preset(entry: &ViewOption) -> i32 {
        match entry.default {
            Preset::Number(number) => number,
            _ => 0,
        }
    }

    /// A whole number of a setting's form, with or without a unit.
    fn parse(entry: &ViewOption, value: &str) -> i32 {
        setting::value::parse(value, entry.values.whole()).unwrap_or_else(|| refuse(entry, value))
    }

    fn read(row: &Row, column: &'static str) -> i32 {
        row.expect(column)
    }

    fn arg(&self) -> Arg<'_> {
        (*self).into()
    }
}

impl Kept for Option<i32> {
    fn preset(_: &ViewOption) -> Option<i32> {
        None
    }

    fn parse(entry: &ViewOption, value: &str) -> Option<i32> {
        let number = i32::parse(entry, value);
        tell_of_bound(entry, value, number);
        Some(number)
    }

    fn read(row: &Row, column: &'static str) -> Option<i32> {
        row.get(column)
    }

    fn arg(&self) -> Arg<'_> {
        (*self).into()
    }
}

/// A number of bytes, in a column of bigint.
impl Kept for u64 {
    fn preset(entry: &ViewOption) -> u64 {
        u64::try_from(i32::preset(entry)).unwrap_or(0)
    }

    fn parse(entry: &ViewOption, value: &str) -> u64 {
        u64::try_from(i32::parse(entry, value)).unwrap_or(0)
    }

    fn read(row: &Row, column: &'static str) -> u64 {
        u64::try_from(row.expect::<i64>(column)).unwrap_or(0)
    }

    fn arg(&self) -> Arg<'_> {
        (*self as i64).into()
    }
}

impl Kept for OnDataLoss {
    fn preset(_: &ViewOption) -> OnDataLoss {
        OnDataLoss::default()
    }

    fn parse(entry: &ViewOption, value: &str) -> OnDataLoss {
        OnDataLoss::of_name(&value.to_ascii_lowercase()).unwrap_or_else(|| refuse(entry, value))
    }

    fn read(row: &Row, column: &'static str) -> OnDataLoss {
        OnDataLoss::of_name(&row.expect::<String>(column)).unwrap_or_default()
    }

    fn arg(&self) -> Arg<'_> {
        self.name().into()
    }
}

/// The name of a consumer, as RegisterStreamConsumer takes it.
impl Kept for Option<String> {
    fn preset(_: &ViewOption) -> Option<String> {
        None
    }

    fn parse(entry: &ViewOption, value: &str) -> Option<String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !(1..=128).contains(&value.len()) || !value.chars().all(is_name) {
            refuse(entry, value);
        }
        Some(value.to_owned())
    }

    fn read(row: &Row, column: &'static str) -> Option<String> {
        row.get(column)
    }

    fn arg(&self) -> Arg<'_> {
        self.as_deref().into()
    }
}

/// Raises that an option cannot be so.
pub fn refuse(entry: &ViewOption, value: &str) -> ! {
    error::option_value(entry.name, value, &entry.values.allowed()).raise()
}

/// Says that the setting holds, where it is less and bounds the option.
fn tell_of_bound(entry: &ViewOption, value: &str, number: i32) {
    if let Relation::Within(setting) = entry.setting
        && let Some(most) = setting::number_of(setting)
        && 0 < most
        && most < number
    {
        let unit = setting.values.whole().unit;
        error::option_bounded(entry.name, value, &unit.show(most)).notice();
    }
}

/// A struct of options that stay, by their entries; `with` names one that is part of it.
macro_rules! kept_options {
    (
        $(#[$docs:meta])*
        struct $name:ident { $($(#[$field_docs:meta])* $field:ident: $type:ty = $entry:ident,)* }
        $(with $(#[$part_docs:meta])* $part:ident: $part_type:ty)?
    ) => {
        $(#[$docs])*
        pub struct $name {
            $($(#[$field_docs])* pub $field: $type,)*
            $($(#[$part_docs])* pub $part: $part_type,)?
        }

        impl Default for $name {
            fn default() -> $name {
                $name {
                    $($field: $crate::catalog::kept::Kept::preset(&settings::view::$entry),)*
                    $($part: Default::default(),)?
                }
            }
        }

        impl $name {
            /// The columns of these options.
            pub fn columns() -> Vec<&'static str> {
                let columns = vec![$(settings::view::$entry.name),*];
                $(let columns = [columns, <$part_type>::columns()].concat();)?
                columns
            }

            /// Their values, in the same order.
            pub fn args(&self) -> Vec<$crate::pg::spi::Arg<'_>> {
                let args = vec![$($crate::catalog::kept::Kept::arg(&self.$field)),*];
                $(let args = args.into_iter().chain(self.$part.args()).collect();)?
                args
            }

            /// From a row that has the columns.
            pub fn read(row: &$crate::pg::spi::Row) -> $name {
                $name {
                    $($field: $crate::catalog::kept::Kept::read(row, settings::view::$entry.name),)*
                    $($part: <$part_type>::read(row),)?
                }
            }

            /// Changes an option to `value`, or back to its default; false if it is none of these.
            pub fn change(&mut self, name: &str, value: Option<&str>) -> bool {
                $(if name == settings::view::$entry.name {
                    let entry = &settings::view::$entry;
                    self.$field = match value {
                        Some(value) => $crate::catalog::kept::Kept::parse(entry, value),
                        None => $crate::catalog::kept::Kept::preset(entry),
                    };
                    return true;
                })*
                false $(|| self.$part.change(name, value))?
            }
        }
    };
}
pub(super) use kept_options;
