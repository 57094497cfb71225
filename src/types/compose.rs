//! SUPER from SQL's values of any type, and from parts of other SUPER values.

use std::borrow::Cow;

use super_value::{Value, compose, number};

use crate::pg::datum::{SqlValue, Varlena};
use crate::pg::report::{Report, sqlstate};

/// The image of a value of any SQL type that SUPER can hold; `None` for NULL.
///
/// `function` is named in the errors.
///
/// # Errors
/// 42846 for a type that has no SUPER form (dates and times among them: "Limitations" in Redshift's Developer Guide), 22003 for NaN and infinity.
pub fn image_of<'a>(value: &'a SqlValue<'_>, function: &str) -> Option<Cow<'a, [u8]>> {
    let number = |numeric: Option<Vec<u8>>| {
        let numeric = numeric.unwrap_or_else(|| {
            let message = "SUPER cannot hold NaN or infinity";
            Report::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message).raise()
        });
        own_image(Value::number(&numeric))
    };
    Some(Cow::Owned(match value {
        SqlValue::Null => return None,
        SqlValue::Boolean(value) => own_image(Some(Value::boolean(*value))),
        SqlValue::Integer(value) => number(Some(number::from_i64(*value))),
        SqlValue::Float(value) => number(number::from_f64(*value)),
        SqlValue::SingleFloat(value) => number(number::from_f32(*value)),
        SqlValue::Numeric(value) => number(Some(value.to_numeric())),
        SqlValue::Text(value) => own_image(Value::string(value)),
        SqlValue::Super(value) => own_image(Some(value.value())),
        SqlValue::Other(name) => {
            let message = format!("{function} could not convert type {name} to super");
            Report::new(sqlstate::CANNOT_COERCE, message).raise()
        }
    }))
}

fn own_image(value: Option<Value<'_>>) -> Vec<u8> {
    let value = value.unwrap_or_else(|| too_long());
    let mut image = vec![0; value.image_len()];
    value.write_image(&mut image);
    image
}

/// An array of these elements, ready to be returned.
pub fn array(elements: &[Value<'_>]) -> Varlena {
    Varlena::copy(&compose::array(elements).unwrap_or_else(|| too_long()))
}

/// An object of these attributes, ready to be returned.
pub fn object(attributes: Vec<(&[u8], Value<'_>)>) -> Varlena {
    Varlena::copy(&compose::object(attributes).unwrap_or_else(|| too_long()))
}

/// A text of ours as SUPER: see [`Value::string`].
pub fn string(text: &[u8]) -> Value<'_> {
    Value::string(text).unwrap_or_else(|| too_long())
}

#[cold]
fn too_long() -> ! {
    Report::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        "the value is too long for SUPER",
    )
    .raise()
}
