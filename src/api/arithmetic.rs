//! Arithmetic of SUPER ("Dynamic typing" under "Querying semi-structured data" in Redshift's Developer Guide): of numbers, the result is SUPER; `+`
//! joins strings; everything else is NULL. Every number is a decimal here, so a quotient is one too.

use pgrx::prelude::*;
use super_value::{Value, memory};

use crate::pg::datum::{NumericOperation, Super, Varlena, numeric_operation};
use crate::types::compose;

fn calculate(a: Super<'_>, b: Super<'_>, operation: NumericOperation) -> Option<Varlena> {
    let (a, b) = (a.value().as_numeric()?, b.value().as_numeric()?);
    let result = numeric_operation(operation, a, b);
    Value::number(&result).map(Varlena::of_value)
}

#[pg_extern]
fn super_plus(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    if let (Some(left), Some(right)) = (a.value().as_bytes(), b.value().as_bytes()) {
        let joined = memory::with_room(left.len() + right.len()).and_then(|mut joined| {
            memory::extend(&mut joined, left)?;
            memory::extend(&mut joined, right)?;
            Ok(joined)
        });
        return Some(Varlena::of_value(compose::string(&compose::made(joined))));
    }
    calculate(a, b, NumericOperation::Add)
}

#[pg_extern]
fn super_minus(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    calculate(a, b, NumericOperation::Subtract)
}

#[pg_extern]
fn super_times(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    calculate(a, b, NumericOperation::Multiply)
}

#[pg_extern]
fn super_divided(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    calculate(a, b, NumericOperation::Divide)
}

#[pg_extern]
fn super_modulo(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    calculate(a, b, NumericOperation::Modulo)
}
