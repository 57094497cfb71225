//! Looks through each analysed statement for expressions over SUPER, and refuses those that the [`Judge`] finds wrong.
//!
//! Not seen by this hook, because Postgres analyses them elsewhere: CHECK constraints, column defaults, index and partition expressions.

use core::ffi::c_void;
use std::sync::OnceLock;

use pgrx::PgList;
use pgrx::pg_sys::{self, NodeTag};
use pgrx::prelude::*;

use super::polyfill;
use super::report::{Report, sqlstate};
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

/// An expression to be judged.
#[derive(Debug)]
pub enum Expression {
    /// An operator of jsonb between two operands.
    Binary {
        /// Which one.
        operator: JsonbOperator,
        /// What stands before it.
        left: Operand,
        /// What stands after it.
        right: Operand,
    },
    /// `scalar = ANY (array)` by an operator of jsonb, which is what an `IN` list becomes.
    AnyOf {
        /// What is compared.
        scalar: Operand,
        /// The array's elements.
        elements: Vec<Operand>,
    },
    /// `COALESCE`, `CASE`, `GREATEST`, `LEAST`, `ARRAY[..]`, a column of a `UNION`, of type super: whatever has to agree on it.
    Alternatives(Vec<Operand>),
    /// An operator of ours whose result is SUPER: `+`, `-`, `*`, `/`, `%`.
    Arithmetic(Vec<Operand>),
    /// Arguments of a function that takes values of any type and prints them.
    Printed(Vec<Operand>),
}

/// Decides on an expression.
pub type Judge = fn(&Expression) -> Option<Refusal>;

static mut PREVIOUS: pg_sys::post_parse_analyze_hook_type = None;
static JUDGE: OnceLock<Judge> = OnceLock::new();

/// Installs the hook; to be called once, from `_PG_init`.
pub fn install(judge: Judge) {
    JUDGE.get_or_init(|| judge);
    // SAFETY: `_PG_init` runs once, in the backend's only thread.
    unsafe {
        PREVIOUS = pg_sys::post_parse_analyze_hook;
        pg_sys::post_parse_analyze_hook = Some(post_parse_analyze);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn post_parse_analyze(
    parse_state: *mut pg_sys::ParseState,
    query: *mut pg_sys::Query,
    jumble: *mut pg_sys::JumbleState,
) {
    // SAFETY: Postgres's own arguments; the tree is only read. The walk holds nothing that an error would leave behind.
    unsafe {
        if let Some(previous) = PREVIOUS {
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(parse_state, query, jumble));
        }
        let mut refusal: Option<Refusal> = None;
        let mut query = query;
        // These hold a query of their own that the hook is not called for.
        while (*query).commandType == pg_sys::CmdType::CMD_UTILITY {
            let statement = (*query).utilityStmt;
            query = match (*statement).type_ {
                NodeTag::T_ExplainStmt => (*statement.cast::<pg_sys::ExplainStmt>()).query.cast(),
                NodeTag::T_CreateTableAsStmt => (*statement.cast::<pg_sys::CreateTableAsStmt>())
                    .query
                    .cast(),
                NodeTag::T_DeclareCursorStmt => (*statement.cast::<pg_sys::DeclareCursorStmt>())
                    .query
                    .cast(),
                _ => return,
            };
            if query.is_null() || (*query).type_ != NodeTag::T_Query {
                return;
            }
        }
        walk(query.cast(), (&raw mut refusal).cast());
        if let Some(refusal) = refusal {
            Report::new(sqlstate::DATATYPE_MISMATCH, refusal.message)
                .hint(refusal.hint)
                .raise();
        }
    }
}

/// Visits `node` and what is below it; true, which ends the walk, once `context` holds a refusal.
#[pg_guard]
unsafe extern "C-unwind" fn walk(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: a node of the tree that Postgres walks; `context` is the local of `post_parse_analyze`.
    unsafe {
        let refusal = expression(node).and_then(|expression| JUDGE.get()?(&expression));
        if refusal.is_some() {
            *context.cast::<Option<Refusal>>() = refusal;
            return true;
        }
        if (*node).type_ == NodeTag::T_Query {
            let query = node.cast::<pg_sys::Query>();
            let refusal = JUDGE
                .get()
                .and_then(|judge| columns(query).iter().find_map(judge));
            if refusal.is_some() {
                *context.cast::<Option<Refusal>>() = refusal;
                return true;
            }
            return polyfill::walk_query(query, walk, context, false);
        }
        polyfill::walk_expression(node, walk, context)
    }
}

/// The columns of type super of a UNION, INTERSECT or EXCEPT, each with what its branches put there.
///
/// # Safety
/// `query` is an analysed query.
unsafe fn columns(query: *mut pg_sys::Query) -> Vec<Expression> {
    // SAFETY: as promised; each cast follows the node's tag. The branches are the subqueries of the range table.
    unsafe {
        if (*query).setOperations.is_null()
            || (*(*query).setOperations).type_ != NodeTag::T_SetOperationStmt
        {
            return Vec::new();
        }
        let operation = &*(*query).setOperations.cast::<pg_sys::SetOperationStmt>();
        let types = PgList::<pg_sys::Oid>::from_pg(operation.colTypes);
        let entries = PgList::<pg_sys::RangeTblEntry>::from_pg((*query).rtable);
        let branches: Vec<*mut pg_sys::List> = entries
            .iter_ptr()
            .filter(|&entry| {
                (*entry).rtekind == pg_sys::RTEKind::RTE_SUBQUERY && !(*entry).subquery.is_null()
            })
            .map(|entry| (*(*entry).subquery).targetList)
            .collect();
        let column = |index: usize| {
            let targets = branches.iter().filter_map(|&targets| {
                PgList::<pg_sys::TargetEntry>::from_pg(targets).get_ptr(index)
            });
            Expression::Alternatives(
                targets
                    .map(|target| operand((*target).expr.cast()))
                    .collect(),
            )
        };
        types
            .iter_oid()
            .enumerate()
            .filter(|&(_, oid)| is_super(oid))
            .map(|(index, _)| column(index))
            .collect()
    }
}

/// # Safety
/// `node` is a node of an analysed tree.
unsafe fn expression(node: *mut pg_sys::Node) -> Option<Expression> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        match (*node).type_ {
            NodeTag::T_OpExpr => {
                let expression = &*node.cast::<pg_sys::OpExpr>();
                // Ours: what jsonb has by these signs has another result or is known below.
                if is_super(expression.opresulttype) {
                    return Some(Expression::Arithmetic(operands(expression.args)));
                }
                let operator = jsonb_operator(expression.opfuncid)?;
                let [left, right] = operands(expression.args)[..] else {
                    return None;
                };
                Some(Expression::Binary {
                    operator,
                    left,
                    right,
                })
            }
            NodeTag::T_ScalarArrayOpExpr => {
                let expression = &*node.cast::<pg_sys::ScalarArrayOpExpr>();
                jsonb_operator(expression.opfuncid)?;
                let args = PgList::<pg_sys::Node>::from_pg(expression.args);
                let (scalar, array) = (args.get_ptr(0)?, uncast(args.get_ptr(1)?));
                ((*array).type_ == NodeTag::T_ArrayExpr).then_some(())?;
                let elements = operands((*array.cast::<pg_sys::ArrayExpr>()).elements);
                Some(Expression::AnyOf {
                    scalar: operand(scalar),
                    elements,
                })
            }
            NodeTag::T_CoalesceExpr => {
                let expression = &*node.cast::<pg_sys::CoalesceExpr>();
                is_super(expression.coalescetype)
                    .then(|| Expression::Alternatives(operands(expression.args)))
            }
            NodeTag::T_MinMaxExpr => {
                let expression = &*node.cast::<pg_sys::MinMaxExpr>();
                is_super(expression.minmaxtype)
                    .then(|| Expression::Alternatives(operands(expression.args)))
            }
            NodeTag::T_ArrayExpr => {
                let expression = &*node.cast::<pg_sys::ArrayExpr>();
                is_super(expression.element_typeid)
                    .then(|| Expression::Alternatives(operands(expression.elements)))
            }
            NodeTag::T_CaseExpr => {
                let expression = &*node.cast::<pg_sys::CaseExpr>();
                is_super(expression.casetype).then_some(())?;
                let arms = PgList::<pg_sys::CaseWhen>::from_pg(expression.args);
                let mut arms: Vec<Operand> = arms
                    .iter_ptr()
                    .map(|arm| operand((*arm).result.cast()))
                    .collect();
                if !expression.defresult.is_null() {
                    arms.push(operand(expression.defresult.cast()));
                }
                Some(Expression::Alternatives(arms))
            }
            NodeTag::T_FuncExpr => {
                let expression = &*node.cast::<pg_sys::FuncExpr>();
                // Such as NVL: of a polymorphic function whose result is SUPER, other arguments became SUPER too.
                if is_super(expression.funcresulttype)
                    && [pg_sys::ANYCOMPATIBLEOID, pg_sys::ANYELEMENTOID]
                        .contains(&pg_sys::get_func_rettype(expression.funcid))
                {
                    return Some(Expression::Alternatives(operands(expression.args)));
                }
                let prints = [
                    pg_sys::F_CONCAT,
                    pg_sys::F_CONCAT_WS,
                    pg_sys::F_FORMAT_TEXT_ANY,
                ];
                prints
                    .contains(&expression.funcid.to_u32())
                    .then(|| Expression::Printed(operands(expression.args)))
            }
            _ => None,
        }
    }
}

fn jsonb_operator(function: pg_sys::Oid) -> Option<JsonbOperator> {
    match function.to_u32() {
        pg_sys::F_JSONB_EQ | pg_sys::F_JSONB_NE => Some(JsonbOperator::Equality),
        pg_sys::F_JSONB_LT | pg_sys::F_JSONB_LE | pg_sys::F_JSONB_GT | pg_sys::F_JSONB_GE => {
            Some(JsonbOperator::Order)
        }
        pg_sys::F_JSONB_CONCAT => Some(JsonbOperator::Concatenation),
        pg_sys::F_JSONB_DELETE_JSONB_TEXT
        | pg_sys::F_JSONB_DELETE_JSONB_INT4
        | pg_sys::F_JSONB_DELETE_JSONB__TEXT => Some(JsonbOperator::Deletion),
        _ => None,
    }
}

/// # Safety
/// A list of nodes of an analysed tree.
unsafe fn operands(list: *mut pg_sys::List) -> Vec<Operand> {
    // SAFETY: the caller's promise.
    unsafe {
        PgList::<pg_sys::Node>::from_pg(list)
            .iter_ptr()
            .map(|node| operand(node))
            .collect()
    }
}

/// # Safety
/// `node` is a node of an analysed tree.
unsafe fn operand(node: *mut pg_sys::Node) -> Operand {
    // SAFETY: as promised; each cast follows the node's tag.
    unsafe {
        let node = uncast(node);
        let node_type = pg_sys::exprType(node);
        if (*node).type_ == NodeTag::T_Const {
            let literal = !(*node.cast::<pg_sys::Const>()).constisnull
                && (node_type == pg_sys::JSONBOID || is_super(node_type));
            return if literal {
                Operand::JsonLiteral
            } else {
                Operand::Other
            };
        }
        if is_super(node_type) {
            Operand::Super
        } else {
            Operand::Other
        }
    }
}

/// The node below casts that only change the type's name.
///
/// # Safety
/// `node` is a node of an analysed tree.
unsafe fn uncast(mut node: *mut pg_sys::Node) -> *mut pg_sys::Node {
    // SAFETY: as promised; each cast follows the node's tag, and a cast node always has an argument. An explicit cast says what the user means, so
    // it is kept.
    unsafe {
        loop {
            let (format, argument) = match (*node).type_ {
                NodeTag::T_RelabelType => {
                    let cast = &*node.cast::<pg_sys::RelabelType>();
                    (cast.relabelformat, cast.arg)
                }
                // What an IN list of SUPER becomes on its way to an array of jsonb.
                NodeTag::T_ArrayCoerceExpr => {
                    let cast = &*node.cast::<pg_sys::ArrayCoerceExpr>();
                    (cast.coerceformat, cast.arg)
                }
                _ => return node,
            };
            if format != pg_sys::CoercionForm::COERCE_IMPLICIT_CAST {
                return node;
            }
            node = argument.cast();
        }
    }
}

/// Whether it is our type, in whatever schema the extension lives.
pub(super) fn is_super(oid: pg_sys::Oid) -> bool {
    if oid.to_u32() < pg_sys::FirstNormalObjectId {
        return false;
    }
    // SAFETY: a syscache lookup by OID; the tuple is released before anything else happens.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::TYPEOID as i32,
            pg_sys::Datum::from(oid),
        );
        if tuple.is_null() {
            return false;
        }
        let form: *const pg_sys::FormData_pg_type = pg_sys::GETSTRUCT(tuple).cast();
        let named = core::ffi::CStr::from_ptr((*form).typname.data.as_ptr()) == c"super"
            && (*form).typsubscript != pg_sys::InvalidOid;
        pg_sys::ReleaseSysCache(tuple);
        named
    }
}
