//! Decides which expressions over SUPER are refused because Postgres resolves them to something that is silently wrong.
//!
//! Postgres reads an untyped literal beside a SUPER in one of two ways. For an operator by name it finds ours against text, which is right. Where
//! it looks for a common type (`IN` lists, `COALESCE`, `CASE`, `GREATEST`, arrays) that type is super, and the literal is read as JSON: `'12345'`
//! becomes a number, which no JSON string equals. And what has an operator for jsonb only (`||`, `-`, `<` between two SUPER values) gets that one,
//! by the implicit cast. Pure decisions: [`crate::pg::analyze`] finds the facts.

/// An operand as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// SUPER, possibly seen as jsonb through the implicit cast.
    Super,
    /// A constant of type super or jsonb that is not null: a literal, in all likelihood.
    JsonLiteral,
    /// Anything else, NULL included.
    Other,
}

/// An operator of jsonb, by what the same sign means in Redshift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonbOperator {
    /// `=`, `<>`: deep equality in both.
    Equality,
    /// `<`, `<=`, `>`, `>=`: of different types NULL in Redshift, an arbitrary order in jsonb.
    Order,
    /// `||`: strings in Redshift, arrays and objects in jsonb.
    Concatenation,
    /// `-`: a difference in Redshift, deletion in jsonb.
    Deletion,
}

/// Why an expression is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The primary message.
    pub message: &'static str,
    /// What to write instead.
    pub hint: &'static str,
}

const CAST_HINT: &str =
    "Cast the SUPER value to the type that is meant, for example path::varchar or path::int.";

const LITERAL_HINT: &str =
    "Cast the SUPER value, for example path::varchar, or write json_parse('..') for JSON.";

const LITERAL_COMPARED: Refusal = Refusal {
    message: "cannot compare SUPER with a literal here: it would be read as JSON, not as a string",
    hint: LITERAL_HINT,
};

/// An operator of jsonb with two operands.
pub fn binary(operator: JsonbOperator, left: Operand, right: Operand) -> Option<Refusal> {
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

/// `scalar = ANY (array)`, which is what an `IN` list becomes. `elements` are those of the array, as far as it is spelled out.
pub fn any_of(scalar: Operand, elements: &[Operand]) -> Option<Refusal> {
    let with_super = scalar == Operand::Super || elements.contains(&Operand::Super);
    let with_literal = scalar == Operand::JsonLiteral || elements.contains(&Operand::JsonLiteral);
    (with_super && with_literal).then_some(LITERAL_COMPARED)
}

/// `COALESCE`, `CASE`, `GREATEST`, `LEAST`: results of type super.
pub fn alternatives(arms: &[Operand]) -> Option<Refusal> {
    let mixed = arms.contains(&Operand::JsonLiteral) && arms.contains(&Operand::Super);
    mixed.then_some(Refusal {
        message: "a literal beside a SUPER value would be read as JSON, not as a string",
        hint: LITERAL_HINT,
    })
}

/// A function that takes values of any type and prints them: SUPER with the quotes of its strings.
pub fn printed(arguments: &[Operand]) -> Option<Refusal> {
    arguments.contains(&Operand::Super).then_some(Refusal {
        message: "this function would print a SUPER string with its quotes",
        hint: "Write path::varchar for its text, or path::jsonb::varchar for its JSON.",
    })
}
