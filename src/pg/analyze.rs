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
    /// A constant of type super or jsonb that is not null: a literal, in all likelihood. Where an operator does not settle its type, so is a parameter of
    /// a client's statement: `$1` in `COALESCE(data['id'], $1)`.
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
    /// `COALESCE`, `CASE`, `GREATEST`, `LEAST`, `ARRAY[..]`, a column of a `UNION` or of `VALUES`, of type super, and the arguments of a polymorphic
    /// function: whatever has to agree on it.
    Alternatives(Vec<Operand>),
    /// An operator of ours whose result is SUPER: `+`, `-`, `*`, `/`, `%`.
    Arithmetic(Vec<Operand>),
    /// Arguments of a function that takes values of any type and prints them.
    Printed(Vec<Operand>),
}

/// Decides on an expression.
pub type Judge = fn(&Expression) -> Option<Refusal>;

/// What the walk carries.
struct Walk {
    refusal: Option<Refusal>,
    /// Parameters get the type that the statement gives them.
    open_parameters: bool,
}

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
        let mut state = Walk {
            refusal: None,
            // A client's statement; a parameter of a function or of PL/pgSQL has the type that was declared.
            open_parameters: !parse_state.is_null() && (*parse_state).p_coerce_param_hook.is_some(),
        };
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
        walk(query.cast(), (&raw mut state).cast());
        if let Some(refusal) = state.refusal {
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
        let state = context.cast::<Walk>();
        let open = (*state).open_parameters;
        let refusal = expression(node, open).and_then(|expression| JUDGE.get()?(&expression));
        if refusal.is_some() {
            (*state).refusal = refusal;
            return true;
        }
        if (*node).type_ == NodeTag::T_Query {
            let query = node.cast::<pg_sys::Query>();
            let refusal = JUDGE
                .get()
                .and_then(|judge| columns(query, open).iter().find_map(judge));
            if refusal.is_some() {
                (*state).refusal = refusal;
                return true;
            }
            return polyfill::walk_query(query, walk, context, false);
        }
        polyfill::walk_expression(node, walk, context)
    }
}

/// The columns of type super of a UNION, INTERSECT or EXCEPT, and of VALUES, each with what its branches or rows put there. What INSERT takes from
/// VALUES is of the columns' types, each for itself.
///
/// # Safety
/// `query` is an analysed query.
unsafe fn columns(query: *mut pg_sys::Query, open: bool) -> Vec<Expression> {
    // SAFETY: as promised; each cast follows the node's tag. The branches are the subqueries of the range table.
    unsafe {
        let entries = PgList::<pg_sys::RangeTblEntry>::from_pg((*query).rtable);
        let mut columns = Vec::new();
        for entry in entries.iter_ptr() {
            if (*entry).rtekind == pg_sys::RTEKind::RTE_VALUES
                && (*query).commandType != pg_sys::CmdType::CMD_INSERT
            {
                let rows = PgList::<pg_sys::List>::from_pg((*entry).values_lists);
                columns.extend(super_columns((*entry).coltypes, |index| {
                    let row = |row| PgList::<pg_sys::Node>::from_pg(row).get_ptr(index);
                    let nodes = rows.iter_ptr().filter_map(row);
                    nodes.map(|node| operand(node, open)).collect()
                }));
            }
        }
        let operation = (*query).setOperations;
        if !operation.is_null() && (*operation).type_ == NodeTag::T_SetOperationStmt {
            let branches: Vec<*mut pg_sys::List> = entries
                .iter_ptr()
                .filter(|&entry| {
                    (*entry).rtekind == pg_sys::RTEKind::RTE_SUBQUERY
                        && !(*entry).subquery.is_null()
                })
                .map(|entry| (*(*entry).subquery).targetList)
                .collect();
            let types = (*operation.cast::<pg_sys::SetOperationStmt>()).colTypes;
            columns.extend(super_columns(types, |index| {
                let targets = branches.iter().filter_map(|&targets| {
                    PgList::<pg_sys::TargetEntry>::from_pg(targets).get_ptr(index)
                });
                targets
                    .map(|target| operand((*target).expr.cast(), open))
                    .collect()
            }));
        }
        columns
    }
}

/// What `of` finds in each column that is super by this list of types.
///
/// # Safety
/// A list of OIDs.
unsafe fn super_columns(
    types: *mut pg_sys::List,
    of: impl Fn(usize) -> Vec<Operand>,
) -> Vec<Expression> {
    // SAFETY: the caller's promise.
    unsafe { PgList::<pg_sys::Oid>::from_pg(types) }
        .iter_oid()
        .enumerate()
        .filter(|&(_, oid)| is_super(oid))
        .map(|(index, _)| Expression::Alternatives(of(index)))
        .collect()
}

/// The arguments of a polymorphic function that had to agree on a type.
///
/// # Safety
/// The arguments of a call of `function` in an analysed tree.
unsafe fn agreeing(
    function: pg_sys::Oid,
    args: *mut pg_sys::List,
    open: bool,
) -> Option<Expression> {
    // SAFETY: as promised; the signature is a copy.
    unsafe {
        let found = operands(args, open);
        found.contains(&Operand::JsonLiteral).then_some(())?;
        let (mut types, mut count) = (std::ptr::null_mut(), 0);
        pg_sys::get_func_signature(function, &mut types, &mut count);
        let declared = (0..count as usize).map(|i| *types.add(i));
        let nodes = PgList::<pg_sys::Node>::from_pg(args);
        let agreeing = declared.zip(nodes.iter_ptr()).zip(found);
        Some(Expression::Alternatives(
            agreeing
                .filter(|((declared, _), _)| POLYMORPHIC.contains(declared))
                .map(|((_, node), found)| {
                    let element = pg_sys::get_element_type(pg_sys::exprType(node));
                    if is_super(element) {
                        Operand::Super
                    } else {
                        found
                    }
                })
                .collect(),
        ))
    }
}

const POLYMORPHIC: [pg_sys::Oid; 4] = [
    pg_sys::ANYCOMPATIBLEOID,
    pg_sys::ANYCOMPATIBLEARRAYOID,
    pg_sys::ANYELEMENTOID,
    pg_sys::ANYARRAYOID,
];

/// # Safety
/// `node` is a node of an analysed tree.
unsafe fn expression(node: *mut pg_sys::Node, open: bool) -> Option<Expression> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        match (*node).type_ {
            NodeTag::T_OpExpr => {
                let expression = &*node.cast::<pg_sys::OpExpr>();
                // Ours: what jsonb has by these signs has another result or is known below.
                if is_super(expression.opresulttype) {
                    return Some(Expression::Arithmetic(operands(expression.args, false)));
                }
                let operator = jsonb_operator(expression.opfuncid)?;
                let [left, right] = operands(expression.args, false)[..] else {
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
                let elements = operands((*array.cast::<pg_sys::ArrayExpr>()).elements, open);
                Some(Expression::AnyOf {
                    scalar: operand(scalar, open),
                    elements,
                })
            }
            NodeTag::T_CoalesceExpr => {
                let expression = &*node.cast::<pg_sys::CoalesceExpr>();
                is_super(expression.coalescetype)
                    .then(|| Expression::Alternatives(operands(expression.args, open)))
            }
            NodeTag::T_MinMaxExpr => {
                let expression = &*node.cast::<pg_sys::MinMaxExpr>();
                is_super(expression.minmaxtype)
                    .then(|| Expression::Alternatives(operands(expression.args, open)))
            }
            NodeTag::T_ArrayExpr => {
                let expression = &*node.cast::<pg_sys::ArrayExpr>();
                is_super(expression.element_typeid)
                    .then(|| Expression::Alternatives(operands(expression.elements, open)))
            }
            NodeTag::T_CaseExpr => {
                let expression = &*node.cast::<pg_sys::CaseExpr>();
                is_super(expression.casetype).then_some(())?;
                let arms = PgList::<pg_sys::CaseWhen>::from_pg(expression.args);
                let mut arms: Vec<Operand> = arms
                    .iter_ptr()
                    .map(|arm| operand((*arm).result.cast(), open))
                    .collect();
                if !expression.defresult.is_null() {
                    arms.push(operand(expression.defresult.cast(), open));
                }
                Some(Expression::Alternatives(arms))
            }
            NodeTag::T_FuncExpr => {
                let expression = &*node.cast::<pg_sys::FuncExpr>();
                // Such as NVL.
                if let Some(agreeing) = agreeing(expression.funcid, expression.args, open) {
                    return Some(agreeing);
                }
                let prints = [
                    pg_sys::F_CONCAT,
                    pg_sys::F_CONCAT_WS,
                    pg_sys::F_FORMAT_TEXT_ANY,
                ];
                prints
                    .contains(&expression.funcid.to_u32())
                    .then(|| Expression::Printed(operands(expression.args, false)))
            }
            // Such as lag(path, 1, '5').
            NodeTag::T_WindowFunc => {
                let expression = &*node.cast::<pg_sys::WindowFunc>();
                agreeing(expression.winfnoid, expression.args, open)
            }
            // rank('5') WITHIN GROUP (ORDER BY path)
            NodeTag::T_Aggref => {
                let expression = &*node.cast::<pg_sys::Aggref>();
                let mut found = operands(expression.aggdirectargs, open);
                found.contains(&Operand::JsonLiteral).then_some(())?;
                let targets = PgList::<pg_sys::TargetEntry>::from_pg(expression.args);
                found.extend(targets.iter_ptr().map(|t| operand((*t).expr.cast(), open)));
                Some(Expression::Alternatives(found))
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
unsafe fn operands(list: *mut pg_sys::List, open: bool) -> Vec<Operand> {
    // SAFETY: the caller's promise.
    unsafe {
        PgList::<pg_sys::Node>::from_pg(list)
            .iter_ptr()
            .map(|node| operand(node, open))
            .collect()
    }
}

/// `open`: a parameter is no better than a literal.
///
/// # Safety
/// `node` is a node of an analysed tree.
unsafe fn operand(node: *mut pg_sys::Node, open: bool) -> Operand {
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
            if open
                && (*node).type_ == NodeTag::T_Param
                && (*node.cast::<pg_sys::Param>()).paramkind == pg_sys::ParamKind::PARAM_EXTERN
            {
                return Operand::JsonLiteral;
            }
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
