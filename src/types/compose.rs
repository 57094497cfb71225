//! SUPER from SQL's values of any type, and from parts of other SUPER values.

use super_value::{Limit, Value, compose, number, text};

use crate::pg::datum::{SqlValue, Varlena};
use crate::pg::report::{Report, sqlstate};

/// A value of any SQL type as SUPER: borrowed, but for a number, which has another form.
pub enum Held<'a> {
    /// NULL.
    Null,
    /// Everything but numbers.
    Value(Value<'a>),
    /// The numeric.
    Number(Vec<u8>),
}

impl<'a> Held<'a> {
    /// What `value` is as SUPER. `function` is named in the errors.
    ///
    /// # Errors
    /// 42846 for a type that has no SUPER form (dates and times among them: "Limitations" in Redshift's Developer Guide), 22003 for NaN and infinity, 54000
    /// for a string that is too long.
    pub fn of(value: &SqlValue<'a>, function: &str) -> Self {
        let number = |numeric: Option<Vec<u8>>| {
            let numeric = numeric.filter(|numeric| Value::number(numeric).is_some());
            Held::Number(numeric.unwrap_or_else(|| {
                let message = "SUPER cannot hold NaN or infinity";
                Report::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message).raise()
            }))
        };
        match value {
            SqlValue::Null => Held::Null,
            SqlValue::Boolean(value) => Held::Value(Value::boolean(*value)),
            SqlValue::Integer(value) => number(Some(number::from_i64(*value))),
            SqlValue::Float(value) => number(number::from_f64(*value)),
            SqlValue::SingleFloat(value) => number(number::from_f32(*value)),
            SqlValue::Numeric(value) => number(Some(value.to_numeric())),
            SqlValue::Text(value) => Held::Value(string(value)),
            SqlValue::Super(value) => Held::Value(value.value()),
            SqlValue::Other(name) => {
                let message = format!("{function} could not convert type {name} to super");
                Report::new(sqlstate::CANNOT_COERCE, message).raise()
            }
        }
    }

    /// The value; `None` for NULL.
    pub fn value(&self) -> Option<Value<'_>> {
        match self {
            Held::Null => None,
            Held::Value(value) => Some(*value),
            Held::Number(numeric) => Value::number(numeric),
        }
    }

    /// The value, null for NULL.
    pub fn or_null(&self) -> Value<'_> {
        self.value().unwrap_or_else(Value::null)
    }
}

/// An image that was made, ready to be returned.
///
/// # Errors
/// As [`made`].
pub fn image(image: Result<Vec<u8>, Limit>) -> Varlena {
    Varlena::copy(&made(image))
}

/// An object of these attributes, ready to be returned; the last of equal names wins.
pub fn object(attributes: &mut [(&[u8], Value<'_>)]) -> Varlena {
    image(compose::object(attributes))
}

/// A text of ours as SUPER: see [`Value::string`].
///
/// # Errors
/// 54000 if it is too long.
pub fn string(text: &[u8]) -> Value<'_> {
    Value::string(text).unwrap_or_else(|| {
        let message = format!(
            "a string in SUPER has at most {} bytes",
            super_value::limits::MAX_STRING_BYTES
        );
        Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).raise()
    })
}

/// The JSON text of a value.
///
/// # Errors
/// 53200, 54000 as for everything that grows.
pub fn text(value: Value<'_>) -> Vec<u8> {
    match text::to_vec(value) {
        Err(Limit::Length) => Report::new(
            sqlstate::PROGRAM_LIMIT_EXCEEDED,
            "the JSON text of the value is too long",
        )
        .detail(format!(
            "A text has at most {} bytes.",
            text::MAX_TEXT_BYTES
        ))
        .raise(),
        other => made(other),
    }
}

/// What was made.
///
/// # Errors
/// 53200 if there is no memory for it, 54000 if it is too long.
pub fn made<T>(result: Result<T, Limit>) -> T {
    match result {
        Ok(made) => made,
        Err(Limit::Memory) => Report::new(sqlstate::OUT_OF_MEMORY, "out of memory").raise(),
        Err(Limit::Length) => too_long(),
    }
}

#[cold]
fn too_long() -> ! {
    Report::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        "the value is too long for SUPER",
    )
    .raise()
}
