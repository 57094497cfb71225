//! Waiting on the network: every wait ends at once for a cancel, a termination or the postmaster's death.

use super::polyfill;
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::time::{Duration, Instant};

/// What is waited for, as `wait_event` of pg_stat_activity calls it: by its name since Postgres 17, `Extension` before.
#[derive(Clone, Copy)]
pub enum Event {
    /// The answer of a broker to a request.
    BrokerAnswer,
    /// Records.
    StreamFetch,
    /// A worker, for whatever comes.
    WorkerMain,
    /// The launcher, for whatever comes.
    LauncherMain,
    /// A monitor, for its next look.
    MonitorMain,
    /// Workers, to step aside.
    WorkerEnd,
}

impl Event {
    const fn name(self) -> &'static CStr {
        match self {
            Event::BrokerAnswer => c"RedshiftBrokerAnswer",
            Event::StreamFetch => c"RedshiftStreamFetch",
            Event::WorkerMain => c"RedshiftWorkerMain",
            Event::LauncherMain => c"RedshiftLauncherMain",
            Event::MonitorMain => c"RedshiftMonitorMain",
            Event::WorkerEnd => c"RedshiftWorkerEnd",
        }
    }

    /// Its number in this server.
    pub(super) fn number(self) -> u32 {
        thread_local! {
            static KNOWN: [Cell<u32>; 6] = const { [const { Cell::new(0) }; 6] };
        }
        KNOWN.with(|known| {
            let known = &known[self as usize];
            if known.get() == 0 {
                known.set(polyfill::wait_event(self.name()));
            }
            known.get()
        })
    }
}

/// Waits until `fd` is readable, the latch is set or `deadline` has come; cancels and terminations are acted on.
pub fn readable(fd: RawFd, deadline: Instant, event: Event) {
    let left = deadline
        .saturating_duration_since(Instant::now())
        .min(Duration::from_secs(60));
    // Rounded up: a wait of 0 ms would spin through the last millisecond.
    let timeout_ms = left.as_millis() as i64 + 1;
    let events = pg_sys::WL_LATCH_SET
        | pg_sys::WL_SOCKET_READABLE
        | pg_sys::WL_TIMEOUT
        | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: MyLatch belongs to this process and is reset before interrupts are looked at, as latch.h asks.
    unsafe {
        pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            fd,
            timeout_ms as _,
            event.number(),
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    interruption();
}

/// Acts on a pending cancel or termination.
pub fn interruption() {
    pgrx::check_for_interrupts!();
}

/// Descriptors of which any wakes the process.
pub struct WakeSet(std::os::fd::OwnedFd);

impl WakeSet {
    /// An empty set.
    pub fn new() -> WakeSet {
        // SAFETY: the descriptor is checked, and owned by nobody else.
        unsafe {
            let descriptor = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if descriptor < 0 {
                panic!("epoll_create1: {}", std::io::Error::last_os_error());
            }
            WakeSet(std::os::fd::OwnedFd::from_raw_fd(descriptor))
        }
    }

    /// Adds a descriptor. When it is closed it leaves the set by itself.
    pub fn add(&self, descriptor: RawFd) {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: 0,
        };
        // SAFETY: both descriptors are open.
        let done = unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                descriptor,
                &mut event,
            )
        };
        if done < 0 {
            panic!("epoll_ctl: {}", std::io::Error::last_os_error());
        }
    }

    /// As [`readable`], for any of the set.
    pub fn wait(&self, deadline: Instant) {
        self.wait_for(deadline, Event::WorkerMain);
    }

    /// The same for what has another name.
    pub fn wait_for(&self, deadline: Instant, event: Event) {
        readable(self.0.as_raw_fd(), deadline, event);
    }
}

impl Default for WakeSet {
    fn default() -> WakeSet {
        WakeSet::new()
    }
}
