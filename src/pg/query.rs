//! Analysed queries: what a definition reads and does, as facts that safe code can judge.

use super::node::{copy, is_a, pointers};
use super::relation::{Oid, is_stream, text};
use super::{polyfill, relation};
use pgrx::pg_sys;
use std::ffi::{CStr, c_void};

/// An analysed (not rewritten) SELECT.
#[derive(Clone, Copy)]
pub struct Query(*mut pg_sys::Query);

/// What a definition contains.
#[derive(Default)]
pub struct Shape {
    /// Topics and streams, each as often as it is read, subqueries included.
    pub streams: Vec<Oid>,
    /// Other relations (tables, views), subqueries included.
    pub other_relations: Vec<Oid>,
    /// GROUP BY, HAVING or an aggregate.
    pub aggregates: bool,
    /// DISTINCT.
    pub distinct: bool,
    /// ORDER BY.
    pub order_by: bool,
    /// LIMIT or OFFSET.
    pub limit: bool,
    /// Window functions.
    pub window: bool,
    /// UNION, INTERSECT or EXCEPT.
    pub set_operation: bool,
    /// WITH.
    pub cte: bool,
    /// FOR UPDATE and its kin.
    pub locking: bool,
    /// A subquery or VALUES list in FROM.
    pub subquery_in_from: bool,
    /// A function in FROM that does not use the record's columns.
    pub uncorrelated_function: bool,
    /// RIGHT or FULL JOIN.
    pub outer_join_over_stream: bool,
}

/// A column of the result.
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type as SQL, with modifier, schema-qualified where needed.
    pub type_name: String,
    /// Its collation, if it is not the type's own.
    pub collation: Option<String>,
    /// The stream's column that it passes on unchanged.
    pub source_column: Option<String>,
}

impl Query {
    /// Wraps what the parser made.
    ///
    /// # Safety
    /// `query` is analysed, and outlives all copies of the result.
    pub unsafe fn new(query: *mut pg_sys::Query) -> Query {
        Query(query)
    }

    /// What the query contains.
    pub fn shape(self) -> Shape {
        // SAFETY: promised to `new`, or from the catalogue.
        unsafe {
            let query = &*self.0;
            let mut shape = Shape {
                aggregates: query.hasAggs
                    || !query.groupClause.is_null()
                    || !query.groupingSets.is_null()
                    || !query.havingQual.is_null(),
                distinct: !query.distinctClause.is_null(),
                order_by: !query.sortClause.is_null(),
                limit: !query.limitCount.is_null() || !query.limitOffset.is_null(),
                window: query.hasWindowFuncs,
                set_operation: !query.setOperations.is_null(),
                cte: !query.cteList.is_null(),
                locking: !query.rowMarks.is_null(),
                ..Shape::default()
            };
            for entry in pointers::<pg_sys::RangeTblEntry>(query.rtable) {
                shape.judge_from_item(&*entry);
            }
            for relation in self.relations() {
                if is_stream(relation) {
                    shape.streams.push(relation);
                } else {
                    shape.other_relations.push(relation);
                }
            }
            shape
        }
    }

    /// Does the query read a topic or stream anywhere, however deep?
    pub fn reads_stream(self) -> bool {
        self.relations().into_iter().any(is_stream)
    }

    /// Every relation that the query names in a FROM, subqueries included.
    fn relations(self) -> Vec<Oid> {
        let mut found: Vec<Oid> = Vec::new();
        // SAFETY: the walker gets back the pointer to `found`, which outlives the walk.
        unsafe {
            collect_relations(self.0.cast(), (&raw mut found).cast());
        }
        found
    }

    /// The columns of the result; `names` rename the first ones, as a column list does.
    pub fn output_columns(self, names: &[String]) -> Vec<OutputColumn> {
        // SAFETY: promised to `new`, or from the catalogue.
        unsafe {
            let targets = pointers::<pg_sys::TargetEntry>((*self.0).targetList);
            let visible = targets.into_iter().filter(|target| !(**target).resjunk);
            visible
                .enumerate()
                .map(|(i, target)| self.output_column(&*target, names.get(i)))
                .collect()
        }
    }

    unsafe fn output_column(
        self,
        target: &pg_sys::TargetEntry,
        name: Option<&String>,
    ) -> OutputColumn {
        // SAFETY: `target` belongs to this query.
        unsafe {
            let expression = target.expr.cast::<pg_sys::Node>();
            let type_oid = pg_sys::exprType(expression);
            let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_FORCE_QUALIFY;
            let type_name = text(pg_sys::format_type_extended(
                type_oid,
                pg_sys::exprTypmod(expression),
                flags as _,
            ));
            let collation = pg_sys::exprCollation(expression);
            let differs =
                collation != pg_sys::InvalidOid && collation != pg_sys::get_typcollation(type_oid);
            OutputColumn {
                name: name
                    .cloned()
                    .or_else(|| text(target.resname))
                    .unwrap_or_default(),
                type_name: type_name.unwrap_or_default(),
                collation: if differs {
                    text(pg_sys::generate_collation_name(collation))
                } else {
                    None
                },
                source_column: self.passed_on_column(expression),
            }
        }
    }

    unsafe fn passed_on_column(self, expression: *mut pg_sys::Node) -> Option<String> {
        // SAFETY: a Var's varno counts the range table of this query from 1.
        unsafe {
            if !is_a(expression, pg_sys::NodeTag::T_Var) {
                return None;
            }
            let var = &*expression.cast::<pg_sys::Var>();
            let entries = pointers::<pg_sys::RangeTblEntry>((*self.0).rtable);
            let entry = &**entries.get(usize::try_from(var.varno).ok()?.checked_sub(1)?)?;
            if entry.rtekind != pg_sys::RTEKind::RTE_RELATION || !is_stream(entry.relid) {
                return None;
            }
            text(pg_sys::get_attname(entry.relid, var.varattno, true))
        }
    }

    /// Stores this query as view `name` with the columns `names` in the schema of `beside`; returns the view.
    pub fn store_as_view(self, name: &str, columns: &[OutputColumn], beside: Oid) -> Oid {
        let name = relation::c_text(name);
        // SAFETY: the steps of DefineVirtualRelation (view.c) with a query that is analysed already; all nodes are copies.
        unsafe {
            let query = copy(self.0);
            let targets = pointers::<pg_sys::TargetEntry>((*query).targetList);
            let mut definitions = std::ptr::null_mut();
            for (column, target) in columns
                .iter()
                .zip(targets.into_iter().filter(|t| !(**t).resjunk))
            {
                let column_name = pg_sys::pstrdup(relation::c_text(&column.name).as_ptr());
                (*target).resname = column_name;
                let expression = (*target).expr.cast::<pg_sys::Node>();
                let definition = pg_sys::makeColumnDef(
                    column_name,
                    pg_sys::exprType(expression),
                    pg_sys::exprTypmod(expression),
                    pg_sys::exprCollation(expression),
                );
                definitions = super::node::append(definitions, definition);
            }
            let mut statement =
                pgrx::PgBox::<pg_sys::CreateStmt>::alloc_node(pg_sys::NodeTag::T_CreateStmt);
            statement.relation = pg_sys::makeRangeVar(
                pg_sys::get_namespace_name(pg_sys::get_rel_namespace(beside)),
                pg_sys::pstrdup(name.as_ptr()),
                -1,
            );
            statement.tableElts = definitions;
            let view = pg_sys::DefineRelation(
                statement.into_pg(),
                pg_sys::RELKIND_VIEW as _,
                pg_sys::InvalidOid,
                std::ptr::null_mut(),
                std::ptr::null(),
            );
            pg_sys::CommandCounterIncrement();
            polyfill::store_view_query(view.objectId, query);
            pg_sys::CommandCounterIncrement();
            view.objectId
        }
    }

    /// The query of an existing view.
    pub fn of_view(view: Oid) -> Query {
        // SAFETY: the relation is open while the query is copied out of its rule.
        unsafe {
            let relation = pg_sys::relation_open(view, pg_sys::AccessShareLock as i32);
            let query = copy(pg_sys::get_view_query(relation));
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            Query(query)
        }
    }
}

impl Shape {
    unsafe fn judge_from_item(&mut self, entry: &pg_sys::RangeTblEntry) {
        match entry.rtekind {
            pg_sys::RTEKind::RTE_SUBQUERY | pg_sys::RTEKind::RTE_VALUES => {
                self.subquery_in_from = true
            }
            pg_sys::RTEKind::RTE_FUNCTION | pg_sys::RTEKind::RTE_TABLEFUNC => {
                self.uncorrelated_function |= !entry.lateral
            }
            pg_sys::RTEKind::RTE_JOIN => {
                self.outer_join_over_stream |= matches!(
                    entry.jointype,
                    pg_sys::JoinType::JOIN_RIGHT | pg_sys::JoinType::JOIN_FULL
                )
            }
            _ => {}
        }
    }
}

/// Walks a query tree and collects the relations of its range tables. A stored view's query names itself twice (OLD and NEW,
/// before PostgreSQL 16): those entries are not in any FROM.
unsafe extern "C-unwind" fn collect_relations(node: *mut pg_sys::Node, found: *mut c_void) -> bool {
    // SAFETY: called by Postgres's walkers with nodes of the tree and the pointer that `relations` gave.
    unsafe {
        if is_a(node, pg_sys::NodeTag::T_RangeTblEntry) {
            let entry = &*node.cast::<pg_sys::RangeTblEntry>();
            if entry.rtekind == pg_sys::RTEKind::RTE_RELATION && !is_rule_entry(entry) {
                (*found.cast::<Vec<Oid>>()).push(entry.relid);
            }
            return false;
        }
        if is_a(node, pg_sys::NodeTag::T_Query) {
            return polyfill::walk_query(node.cast(), collect_relations, found, true);
        }
        !node.is_null() && polyfill::walk_expression(node, collect_relations, found)
    }
}

unsafe fn is_rule_entry(entry: &pg_sys::RangeTblEntry) -> bool {
    // SAFETY: the alias of an entry has a name; a view's own entries are called old and new (view.c).
    unsafe {
        entry.relkind as u8 == pg_sys::RELKIND_VIEW
            && !entry.inFromCl
            && !entry.alias.is_null()
            && matches!(
                CStr::from_ptr((*entry.alias).aliasname).to_bytes(),
                b"old" | b"new"
            )
    }
}
