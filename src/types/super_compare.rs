//! Comparisons of SUPER: an order of all values for the operator class, and operators against SQL's scalars.
//!
//! Redshift's rules for the latter ("Dynamic typing" in its Developer Guide): values of different types are not equal, and neither less nor
//! greater: `=` is false, `<` is NULL. Numbers compare whatever their type; trailing blanks of strings do not count. JSON null is NULL.

use std::cmp::Ordering;

use pgrx::prelude::*;
use super_value::{Kind, Number, Value, number};

use crate::pg::datum::{Bytes, Collation, Super};

/// How a SUPER compares with a scalar.
enum Comparison {
    /// One of them is null.
    Null,
    /// They are of different types.
    Different,
    Ordered(Ordering),
}

impl Comparison {
    fn new(value: Value<'_>, order: Option<Ordering>) -> Self {
        match order {
            Some(order) => Comparison::Ordered(order),
            None if value.kind() == Kind::Null => Comparison::Null,
            None => Comparison::Different,
        }
    }

    /// `=` and, negated, `<>`.
    fn equal(self) -> Option<bool> {
        match self {
            Comparison::Null => None,
            Comparison::Different => Some(false),
            Comparison::Ordered(order) => Some(order.is_eq()),
        }
    }

    /// `<`, `<=`, `>`, `>=`.
    fn ordered(self, test: fn(Ordering) -> bool) -> Option<bool> {
        match self {
            Comparison::Null | Comparison::Different => None,
            Comparison::Ordered(order) => Some(test(order)),
        }
    }
}

fn with_text(value: Super<'_>, text: Bytes<'_>, collation: Collation) -> Comparison {
    let value = value.value();
    let order = value.as_bytes().map(|bytes| {
        collation.compare(
            bytes.trim_suffix_blanks(),
            text.as_slice().trim_suffix_blanks(),
        )
    });
    Comparison::new(value, order)
}

fn with_int8(value: Super<'_>, integer: i64, _: Collation) -> Comparison {
    with_number(value.value(), &number::from_i64(integer))
}

fn with_numeric(value: Super<'_>, numeric: Bytes<'_>, _: Collation) -> Comparison {
    let value = value.value();
    let numeric = numeric.to_numeric();
    if Number::new(&numeric).is_none() && value.kind() == Kind::Number {
        // As for Postgres, NaN is above every number; the infinities (`NUMERIC_NINF` in `numeric.c`) are where they belong.
        let negative = numeric
            .get(4..6)
            .is_some_and(|header| header == 0xF000u16.to_ne_bytes());
        return Comparison::Ordered(if negative {
            Ordering::Greater
        } else {
            Ordering::Less
        });
    }
    with_number(value, &numeric)
}

fn with_number(value: Value<'_>, numeric: &[u8]) -> Comparison {
    let order = value
        .as_numeric()
        .and_then(Number::new)
        .zip(Number::new(numeric))
        .map(|(a, b)| a.cmp(&b));
    Comparison::new(value, order)
}

/// As Postgres compares numeric with double: as doubles, NaN above all.
fn with_float8(value: Super<'_>, float: f64, _: Collation) -> Comparison {
    let value = value.value();
    let number = value
        .as_numeric()
        .and_then(Number::new)
        .and_then(|number| number.to_text().parse::<f64>().ok());
    let order = number.map(|number| number.partial_cmp(&float).unwrap_or(Ordering::Less));
    Comparison::new(value, order)
}

fn with_bool(value: Super<'_>, boolean: bool, _: Collation) -> Comparison {
    let value = value.value();
    Comparison::new(value, value.as_bool().map(|own| own.cmp(&boolean)))
}

/// Bytes without the blanks at their end.
trait TrimBlanks {
    fn trim_suffix_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    fn trim_suffix_blanks(&self) -> &[u8] {
        const PIECE: usize = 256 * 1024;
        let mut kept = self.len();
        for piece in self.rchunks(PIECE) {
            if let Some(last) = piece.iter().rposition(|&c| c != b' ') {
                return &self[..kept - piece.len() + last + 1];
            }
            kept -= piece.len();
            super_value::pace::ask();
        }
        &[]
    }
}

/// The operators between SUPER and one scalar type.
macro_rules! operators {
    ($compare:ident, $scalar:ty, $eq:ident, $ne:ident $(, $lt:ident, $le:ident, $gt:ident, $ge:ident)?) => {
        #[pg_extern]
        fn $eq(a: Super<'_>, b: $scalar, collation: Collation) -> Option<bool> {
            $compare(a, b, collation).equal()
        }

        #[pg_extern]
        fn $ne(a: Super<'_>, b: $scalar, collation: Collation) -> Option<bool> {
            $compare(a, b, collation).equal().map(|equal| !equal)
        }

        $(
            #[pg_extern]
            fn $lt(a: Super<'_>, b: $scalar, collation: Collation) -> Option<bool> {
                $compare(a, b, collation).ordered(Ordering::is_lt)
            }

            #[pg_extern]
            fn $le(a: Super<'_>, b: $scalar, collation: Collation) -> Option<bool> {
                $compare(a, b, collation).ordered(Ordering::is_le)
            }

            #[pg_extern]
            fn $gt(a: Super<'_>, b: $scalar, collation: Collation) -> Option<bool> {
                $compare(a, b, collation).ordered(Ordering::is_gt)
            }

            #[pg_extern]
            fn $ge(a: Super<'_>, b: $scalar, collation: Collation) -> Option<bool> {
                $compare(a, b, collation).ordered(Ordering::is_ge)
            }
        )?
    };
}

operators!(
    with_text,
    Bytes<'_>,
    super_text_eq,
    super_text_ne,
    super_text_lt,
    super_text_le,
    super_text_gt,
    super_text_ge
);
operators!(
    with_int8,
    i64,
    super_int8_eq,
    super_int8_ne,
    super_int8_lt,
    super_int8_le,
    super_int8_gt,
    super_int8_ge
);
operators!(
    with_float8,
    f64,
    super_float8_eq,
    super_float8_ne,
    super_float8_lt,
    super_float8_le,
    super_float8_gt,
    super_float8_ge
);
operators!(
    with_numeric,
    Bytes<'_>,
    super_numeric_eq,
    super_numeric_ne,
    super_numeric_lt,
    super_numeric_le,
    super_numeric_gt,
    super_numeric_ge
);
operators!(with_bool, bool, super_bool_eq, super_bool_ne);

/// The order of all values; strings by the database's collation.
fn total_order(a: Super<'_>, b: Super<'_>) -> Ordering {
    let collation = Collation::default_of_database();
    super_value::compare(a.value(), b.value(), &mut |a, b| collation.compare(a, b))
}

/// Support function 1 of the btree operator class.
#[pg_extern]
fn super_cmp(a: Super<'_>, b: Super<'_>) -> i32 {
    total_order(a, b) as i32
}

#[pg_extern]
fn super_eq(a: Super<'_>, b: Super<'_>) -> bool {
    // Order does not matter here, nor does the collation.
    super_value::compare(a.value(), b.value(), &mut |a, b| a.cmp(b)).is_eq()
}

#[pg_extern]
fn super_lt(a: Super<'_>, b: Super<'_>) -> bool {
    total_order(a, b).is_lt()
}

#[pg_extern]
fn super_le(a: Super<'_>, b: Super<'_>) -> bool {
    total_order(a, b).is_le()
}

#[pg_extern]
fn super_gt(a: Super<'_>, b: Super<'_>) -> bool {
    total_order(a, b).is_gt()
}

#[pg_extern]
fn super_ge(a: Super<'_>, b: Super<'_>) -> bool {
    total_order(a, b).is_ge()
}
