//! A call of ProcessUtility: what a hook is given and hands on, and how a statement of ours is run.

use super::guard::preserving;
use pgrx::pg_sys;
use std::ffi::{CStr, c_char};

mod unguarded {
    use core::ffi::c_char;
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        pub fn standard_ProcessUtility(
            statement: *mut pg_sys::PlannedStmt,
            text: *const c_char,
            read_only_tree: bool,
            context: pg_sys::ProcessUtilityContext::Type,
            parameters: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            destination: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        );
    }
}

/// The arguments but for the statement.
#[derive(Clone, Copy)]
pub struct Call {
    /// The text that the statement stands in.
    pub text: *const c_char,
    /// Where the statement comes from.
    pub context: pg_sys::ProcessUtilityContext::Type,
    /// Values of `$1` ..
    pub parameters: pg_sys::ParamListInfo,
    /// Named tuplestores.
    pub environment: *mut pg_sys::QueryEnvironment,
    /// Where rows go.
    pub destination: *mut pg_sys::DestReceiver,
    /// The tag, null if nobody wants it.
    pub completion: *mut pg_sys::QueryCompletion,
}

impl Call {
    /// A statement of ours in `text`, as a part of the user's.
    pub fn subcommand(text: &CStr) -> Call {
        Call {
            text: text.as_ptr(),
            context: pg_sys::ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND,
            parameters: std::ptr::null_mut(),
            environment: std::ptr::null_mut(),
            // SAFETY: a receiver that is always there.
            destination: unsafe { pg_sys::None_Receiver },
            completion: std::ptr::null_mut(),
        }
    }

    /// The same call for a statement that is a part of the user's: event triggers see his.
    pub fn as_subcommand(self) -> Call {
        Call {
            context: pg_sys::ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND,
            ..self
        }
    }

    /// Hands `statement` to a hook, or to Postgres if there is none. Raises by longjmp.
    ///
    /// # Safety
    /// The arguments are a hook's own, or the statement is a utility statement in the call's text. No frame above that is Rust's.
    pub unsafe fn hand_to(
        self,
        hook: pg_sys::ProcessUtility_hook_type,
        statement: *mut pg_sys::PlannedStmt,
        read_only_tree: bool,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let run = match hook {
                Some(hook) => hook,
                None => unguarded::standard_ProcessUtility,
            };
            run(
                statement,
                self.text,
                read_only_tree,
                self.context,
                self.parameters,
                self.environment,
                self.destination,
                self.completion,
            )
        }
    }

    /// The same from Rust frames.
    ///
    /// # Safety
    /// As [`Call::hand_to`] but for the frames.
    pub unsafe fn run(
        self,
        hook: pg_sys::ProcessUtility_hook_type,
        statement: *mut pg_sys::PlannedStmt,
    ) {
        // SAFETY: nothing in the closure has a destructor.
        unsafe { preserving(|| self.hand_to(hook, statement, false)) }
    }
}
