//! Waiting on the network: every wait ends at once for a cancel, a termination or the postmaster's death.

use pgrx::pg_sys;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::time::{Duration, Instant};

/// Waits until `fd` is readable, the latch is set or `deadline` has come; cancels and terminations are acted on.
pub fn readable(fd: RawFd, deadline: Instant) {
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
            pg_sys::PG_WAIT_EXTENSION,
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
        readable(self.0.as_raw_fd(), deadline);
    }
}

impl Default for WakeSet {
    fn default() -> WakeSet {
        WakeSet::new()
    }
}
