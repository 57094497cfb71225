//! A setting of each type: defined by its entry, read as what it is.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use settings::setting::{Context, Setting};
use settings::{Preset, Unit, Values, Whole};
use std::ffi::{CStr, CString};

/// A setting that can be defined.
pub trait Define: Sync {
    /// Defines it by its entry.
    fn define(&'static self);

    /// What it is, if it is a whole number.
    fn number(&self) -> Option<i32> {
        None
    }
}

/// A whole number.
pub struct Number {
    entry: &'static Setting,
    range: Whole,
    value: GucSetting<i32>,
}

/// On or off.
pub struct Switch {
    entry: &'static Setting,
    value: GucSetting<bool>,
}

/// A text.
pub struct Text {
    entry: &'static Setting,
    value: GucSetting<Option<CString>>,
}

impl Number {
    /// Of this entry.
    pub const fn of(entry: &'static Setting) -> Number {
        let Preset::Number(default) = entry.default else {
            panic!("its default is no number")
        };
        Number {
            entry,
            range: entry.values.whole(),
            value: GucSetting::<i32>::new(default),
        }
    }

    /// What it is, in the unit of its entry.
    pub fn get(&self) -> i32 {
        self.value.get()
    }
}

impl Define for Number {
    fn number(&self) -> Option<i32> {
        Some(self.get())
    }

    fn define(&'static self) {
        let unit = match self.range.unit {
            Unit::None => GucFlags::default(),
            Unit::Kilobytes => GucFlags::UNIT_KB,
            Unit::Milliseconds => GucFlags::UNIT_MS,
            Unit::Seconds => GucFlags::UNIT_S,
        };
        GucRegistry::define_int_guc(
            name(self.entry),
            kept(self.entry.summary),
            kept(self.entry.details),
            &self.value,
            self.range.least,
            self.range.most,
            context(self.entry),
            unit,
        );
    }
}

impl Switch {
    /// Of this entry.
    pub const fn of(entry: &'static Setting) -> Switch {
        let (Values::Switch, Preset::Switch(default)) = (entry.values, entry.default) else {
            panic!("it is no switch")
        };
        Switch {
            entry,
            value: GucSetting::<bool>::new(default),
        }
    }

    /// Is it on?
    pub fn get(&self) -> bool {
        self.value.get()
    }
}

impl Define for Switch {
    fn define(&'static self) {
        GucRegistry::define_bool_guc(
            name(self.entry),
            kept(self.entry.summary),
            kept(self.entry.details),
            &self.value,
            context(self.entry),
            GucFlags::default(),
        );
    }
}

impl Text {
    /// Of this entry.
    pub const fn of(entry: &'static Setting) -> Text {
        let default = match entry.default {
            Preset::Text(text) => Some(text),
            _ => None,
        };
        Text {
            entry,
            value: GucSetting::<Option<CString>>::new(default),
        }
    }

    /// Its text; an empty one is none.
    pub fn get(&self) -> Option<String> {
        let value = self.value.get()?.into_string().ok()?;
        (!value.is_empty()).then_some(value)
    }
}

impl Define for Text {
    fn define(&'static self) {
        GucRegistry::define_string_guc(
            name(self.entry),
            kept(self.entry.summary),
            kept(self.entry.details),
            &self.value,
            context(self.entry),
            GucFlags::default(),
        );
    }
}

/// A text for Postgres, which keeps the pointer as long as the process lives.
pub(super) fn kept(text: &str) -> &'static CStr {
    Box::leak(CString::new(text).unwrap_or_default().into_boxed_c_str())
}

/// The name with its prefix.
pub(super) fn name(entry: &Setting) -> &'static CStr {
    kept(&format!("redshift.{}", entry.name))
}

/// Who may set it.
pub(super) fn context(entry: &Setting) -> GucContext {
    match entry.context {
        Context::Session => GucContext::Userset,
        Context::Superuser => GucContext::Suset,
        Context::Reload => GucContext::Sighup,
        Context::Restart => GucContext::Postmaster,
    }
}
