//! Decides which expressions over SUPER are refused because Postgres resolves them to something that is silently wrong.
//!
//! Postgres reads an untyped literal beside a SUPER in one of two ways. For an operator by name it finds ours against text, which is right. Where
//! it looks for a common type (`IN` lists, `COALESCE`, `CASE`, `GREATEST`, arrays) that type is super, and the literal is read as JSON: `'12345'`
//! becomes a number, which no JSON string equals. And what has an operator for jsonb only (`||`, `-`, `<` between two SUPER values) gets that one,
//! by the implicit cast. Pure decisions: [`crate::pg::analyze`] finds the facts, and `_PG_init` puts the two together.

use crate::pg::analyze::{Expression, JsonbOperator, Operand, Refusal};

const CAST_HINT: &str =
    "Cast the SUPER value to the type that is meant, for example path::varchar or path::int.";

const LITERAL_HINT: &str =
    "Cast the SUPER value, for example path::varchar, or write json_parse('..') for JSON.";

const LITERAL_COMPARED: Refusal = Refusal {
    message: "cannot compare SUPER with a literal here: it would be read as JSON, not as a string",
    hint: LITERAL_HINT,
};

/// Why an expression is refused, if it is.
pub fn judge(expression: &Expression) -> Option<Refusal> {
    match expression {
        Expression::Binary {
            operator,
            left,
            right,
        } => binary(*operator, *left, *right),
        Expression::AnyOf { scalar, elements } => any_of(*scalar, elements),
        Expression::Alternatives(arms) => alternatives(arms),
        Expression::Arithmetic(operands) => arithmetic(operands),
        Expression::Printed(arguments) => printed(arguments),
    }
}

fn binary(operator: JsonbOperator, left: Operand, right: Operand) -> Option<Refusal> {
    if left != Operand::Super && right != Operand::Super {
        return None;
    }
    let both_json = left != Operand::Other && right != Operand::Other;
    match operator {
        JsonbOperator::Equality | JsonbOperator::Order if left != right && both_json => {
            Some(LITERAL_COMPARED)
        }
        JsonbOperator::Order if both_json => Some(Refusal {
            message: "cannot order two SUPER values with an operator: their types may differ",
            hint: CAST_HINT,
        }),
        JsonbOperator::Concatenation if both_json => Some(Refusal {
            message: "operator || between SUPER values is not that of strings",
            hint: "Cast to join strings: path::varchar || other::varchar. For arrays and objects cast one side: path::jsonb.",
        }),
        JsonbOperator::Deletion => Some(Refusal {
            message: "operator - of SUPER is not a difference of numbers",
            hint: CAST_HINT,
        }),
        _ => None,
    }
}

fn any_of(scalar: Operand, elements: &[Operand]) -> Option<Refusal> {
    let with_super = scalar == Operand::Super || elements.contains(&Operand::Super);
    let with_literal = scalar == Operand::JsonLiteral || elements.contains(&Operand::JsonLiteral);
    (with_super && with_literal).then_some(LITERAL_COMPARED)
}

fn alternatives(arms: &[Operand]) -> Option<Refusal> {
    let mixed = arms.contains(&Operand::JsonLiteral) && arms.contains(&Operand::Super);
    mixed.then_some(Refusal {
        message: "a literal beside a SUPER value would be read as JSON, not as a string",
        hint: LITERAL_HINT,
    })
}

/// Beside a text, the only operators are ours against SUPER, and a literal would become that.
fn arithmetic(operands: &[Operand]) -> Option<Refusal> {
    operands.contains(&Operand::JsonLiteral).then_some(Refusal {
        message: "a literal would be read as JSON by this operator, which is that of SUPER",
        hint: "Cast the literal to the type that is meant; strings are joined by ||.",
    })
}

fn printed(arguments: &[Operand]) -> Option<Refusal> {
    arguments.contains(&Operand::Super).then_some(Refusal {
        message: "this function would print a SUPER string with its quotes",
        hint: "Write path::varchar for its text, or path::jsonb::varchar for its JSON.",
    })
}
