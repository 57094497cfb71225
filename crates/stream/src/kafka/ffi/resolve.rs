//! Addresses of brokers, looked up where nothing waits that has to end.
//!
//! `getaddrinfo` cannot be interrupted and may take half a minute when no name server answers. In librdkafka's own threads it holds up the end of a
//! client, which then keeps its threads and descriptors. So it runs in a thread of its own: who waits for it stops when the client ends, and only the
//! look-up stays until the resolver gives it up. There are at most [`MOST`] of them in a process; further ones wait for a place.

use super::handle::Told;
use super::wait::LOOK;
use crate::signals;
use libc::addrinfo;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Look-ups at a time.
const MOST: usize = 16;
/// After that an address counts as not found for now.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many are under way, and who waits for a place.
static UNDER_WAY: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// What `getaddrinfo` found. Freed unless it is taken out.
struct Found(c_int, *mut addrinfo);

// SAFETY: a list that nobody else knows.
unsafe impl Send for Found {}

impl Drop for Found {
    fn drop(&mut self) {
        if !self.1.is_null() {
            // SAFETY: made by getaddrinfo and not freed yet.
            unsafe { libc::freeaddrinfo(self.1) };
        }
    }
}

/// One look-up: its answer, once it has come.
#[derive(Default)]
struct Lookup {
    found: Mutex<Option<Found>>,
    came: Condvar,
}

/// What is asked for.
struct Question {
    node: CString,
    service: Option<CString>,
    family: c_int,
    kind: c_int,
    protocol: c_int,
    flags: c_int,
}

impl Question {
    fn ask(&self, more_flags: c_int) -> Found {
        let mut found = ptr::null_mut();
        // SAFETY: all zeroes are valid hints; both strings end in NUL; the list is written on success only.
        unsafe {
            let mut hints: addrinfo = std::mem::zeroed();
            hints.ai_family = self.family;
            hints.ai_socktype = self.kind;
            hints.ai_protocol = self.protocol;
            hints.ai_flags = self.flags | more_flags;
            let service = self.service.as_ref().map_or(ptr::null(), |s| s.as_ptr());
            let code = libc::getaddrinfo(self.node.as_ptr(), service, &hints, &mut found);
            Found(code, if code == 0 { found } else { ptr::null_mut() })
        }
    }
}

/// Called by librdkafka in a broker's thread in place of `getaddrinfo`, and without a name to free what it returned.
pub(super) unsafe extern "C" fn on_resolve(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
    told: *mut c_void,
) -> c_int {
    if node.is_null() {
        // SAFETY: the list that was returned below.
        unsafe { libc::freeaddrinfo(*result) };
        return 0;
    }
    // SAFETY: librdkafka's own strings and hints, and the pointer that was configured, whose target outlives the client.
    let (question, told) = unsafe {
        let question = Question {
            node: CStr::from_ptr(node).to_owned(),
            service: (!service.is_null()).then(|| CStr::from_ptr(service).to_owned()),
            family: (*hints).ai_family,
            kind: (*hints).ai_socktype,
            protocol: (*hints).ai_protocol,
            flags: (*hints).ai_flags,
        };
        (question, &*told.cast::<Told>())
    };
    let mut found = look_up(question, &|| told.is_closing());
    // SAFETY: librdkafka's own variable.
    unsafe { *result = std::mem::replace(&mut found.1, ptr::null_mut()) };
    found.0
}

fn look_up(question: Question, is_over: &dyn Fn() -> bool) -> Found {
    // What is an address already is not looked up anywhere.
    let direct = question.ask(libc::AI_NUMERICHOST);
    if direct.0 == 0 {
        return direct;
    }
    let deadline = Instant::now() + PATIENCE;
    let not_now = || Found(libc::EAI_AGAIN, ptr::null_mut());
    if !take_place(deadline, is_over) {
        return not_now();
    }
    let lookup = Arc::new(Lookup::default());
    let asking = Arc::clone(&lookup);
    let started = signals::spawn("name lookup", move || {
        let found = question.ask(0);
        *asking.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        asking.came.notify_all();
        give_place();
    });
    if started.is_err() {
        give_place();
        return not_now();
    }
    let mut found = lookup.found.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(found) = found.take() {
            return found;
        }
        if is_over() || Instant::now() >= deadline {
            return not_now();
        }
        found = lookup
            .came
            .wait_timeout(found, LOOK)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

fn take_place(deadline: Instant, is_over: &dyn Fn() -> bool) -> bool {
    let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
    while *under_way >= MOST {
        if is_over() || Instant::now() >= deadline {
            return false;
        }
        under_way = ENDED
            .wait_timeout(under_way, LOOK)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    *under_way += 1;
    true
}

fn give_place() {
    *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    ENDED.notify_one();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(node: &str) -> Question {
        Question {
            node: CString::new(node).unwrap(),
            service: Some(c"9092".to_owned()),
            family: libc::AF_UNSPEC,
            kind: libc::SOCK_STREAM,
            protocol: libc::IPPROTO_TCP,
            flags: 0,
        }
    }

    #[test]
    fn addresses_and_names_are_found() {
        for node in ["127.0.0.1", "localhost"] {
            let found = look_up(question(node), &|| false);
            assert!(found.0 == 0 && !found.1.is_null(), "{node}: {}", found.0);
        }
    }

    #[test]
    fn nobody_waits_for_a_name_of_a_client_that_ends() {
        let began = Instant::now();
        let found = look_up(question("no-such-name.invalid"), &|| true);
        assert_ne!(found.0, 0);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}
