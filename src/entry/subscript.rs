//! Subscripts of SUPER: `data['OrderID']['N']`, `data['items'][0]`.
//!
//! Reading is lax, as Redshift's navigation is by default: what is not there, an attribute of something that is no object and an element of
//! something that is no array are NULL. The result is SUPER. All subscripts of an expression are one walk without a copy in between. Assignment is
//! left to jsonb, whose form is the same.

use std::sync::atomic::{AtomicPtr, Ordering};

use pgrx::datum::Internal;
use pgrx::pg_sys;
use pgrx::prelude::*;
use super_value::Value;

use crate::pg::datum::{Bytes, Super, Varlena};

static ROUTINES: pg_sys::SubscriptRoutines = pg_sys::SubscriptRoutines {
    transform: Some(transform),
    exec_setup: Some(exec_setup),
    fetch_strict: true,
    fetch_leakproof: true,
    store_leakproof: false,
};

/// The handler that `CREATE TYPE super` names. Postgres calls it without arguments.
#[pg_extern]
fn super_subscript() -> Internal {
    Internal::from(Some(pg_sys::Datum::from(&raw const ROUTINES)))
}

/// jsonb's own routines.
fn jsonb_routines() -> &'static pg_sys::SubscriptRoutines {
    static JSONB: AtomicPtr<pg_sys::SubscriptRoutines> = AtomicPtr::new(std::ptr::null_mut());
    let mut routines = JSONB.load(Ordering::Relaxed);
    if routines.is_null() {
        // SAFETY: the handler takes no argument and returns a constant of the server.
        routines = unsafe {
            pg_sys::OidFunctionCall0Coll(
                pg_sys::F_JSONB_SUBSCRIPT_HANDLER.into(),
                pg_sys::InvalidOid,
            )
        }
        .cast_mut_ptr();
        JSONB.store(routines, Ordering::Relaxed);
    }
    // SAFETY: as above; it lives as long as the server.
    unsafe { &*routines }
}

/// Parse analysis: jsonb's, which makes each subscript an int4 or a text, but for the type of the result.
#[pg_guard]
unsafe extern "C-unwind" fn transform(
    subscript: *mut pg_sys::SubscriptingRef,
    indirection: *mut pg_sys::List,
    parse_state: *mut pg_sys::ParseState,
    is_slice: bool,
    is_assignment: bool,
) {
    // SAFETY: Postgres's own arguments, handed on; `subscript` is the node under construction.
    unsafe {
        let transform = jsonb_routines().transform.expect("jsonb has subscripts");
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            transform(subscript, indirection, parse_state, is_slice, is_assignment)
        });
        (*subscript).refrestype = (*subscript).refcontainertype;
        (*subscript).reftypmod = -1;
    }
}

/// Start of execution.
#[pg_guard]
unsafe extern "C-unwind" fn exec_setup(
    subscript: *const pg_sys::SubscriptingRef,
    state: *mut pg_sys::SubscriptingRefState,
    steps: *mut pg_sys::SubscriptExecSteps,
) {
    // SAFETY: Postgres's own arguments. `workspace` is ours and lives in the context of the expression, which is the current one.
    unsafe {
        if (*state).isassignment {
            let exec_setup = jsonb_routines().exec_setup.expect("jsonb has subscripts");
            return pg_sys::ffi::pg_guard_ffi_boundary(|| exec_setup(subscript, state, steps));
        }
        let indexes = pgrx::PgList::<pg_sys::Node>::from_pg((*subscript).refupperindexpr);
        let is_text: *mut bool = pg_sys::palloc(indexes.len().max(1)).cast();
        for (i, index) in indexes.iter_ptr().enumerate() {
            is_text
                .add(i)
                .write(pg_sys::exprType(index) == pg_sys::TEXTOID);
        }
        (*state).workspace = is_text.cast();
        (*steps).sbs_check_subscripts = Some(check_subscripts);
        (*steps).sbs_fetch = Some(fetch);
        (*steps).sbs_assign = None;
        (*steps).sbs_fetch_old = None;
    }
}

/// A NULL subscript gives NULL.
unsafe extern "C-unwind" fn check_subscripts(
    _: *mut pg_sys::ExprState,
    step: *mut pg_sys::ExprEvalStep,
    _: *mut pg_sys::ExprContext,
) -> bool {
    // SAFETY: Postgres sets up the step and as many entries as `numupper` says.
    unsafe {
        let state = &*(*step).d.sbsref_subscript.state;
        let null = (0..state.numupper as usize).any(|i| *state.upperindexnull.add(i));
        if null {
            *(*step).resnull = true;
        }
        !null
    }
}

/// Replaces the container, which is not NULL, by the part that the subscripts lead to.
#[pg_guard]
unsafe extern "C-unwind" fn fetch(
    _state: *mut pg_sys::ExprState,
    step: *mut pg_sys::ExprEvalStep,
    _context: *mut pg_sys::ExprContext,
) {
    // SAFETY: Postgres sets up the step; the container is a super, and the subscripts are what `transform` made them.
    unsafe {
        let state = &*(*step).d.sbsref.state;
        let is_text: *const bool = state.workspace.cast();
        let mut value: Option<Value<'_>> = Some(Super::prefetched(*(*step).resvalue).value());
        for i in 0..state.numupper as usize {
            let Some(container) = value else { break };
            let index = *state.upperindex.add(i);
            value = if *is_text.add(i) {
                container.get(Bytes::from_raw(index).as_slice())
            } else {
                // Redshift does not say what a negative index is; here nothing is there.
                usize::try_from(index.value() as i32)
                    .ok()
                    .and_then(|index| container.element(index))
            };
        }
        match value {
            Some(value) => *(*step).resvalue = Varlena::of_value(value).into_raw(),
            None => {
                *(*step).resvalue = pg_sys::Datum::null();
                *(*step).resnull = true;
            }
        }
    }
}
