//! Processes of the server, this one and others.

use pgrx::pg_sys;

/// This process.
pub fn pid() -> i32 {
    // SAFETY: reads a variable of the process.
    unsafe { pg_sys::MyProcPid }
}

/// Wakes a process: SIGUSR1 sets the latch of any process that is connected to shared memory.
pub fn wake(pid: i32) {
    if pid > 0 {
        // SAFETY: at worst the number is another process of this server's user by now, which Postgres's own notifications risk as well.
        unsafe { libc::kill(pid, libc::SIGUSR1) };
    }
}

/// Asks a process of the server to cancel what it runs.
pub fn cancel(pid: i32) {
    if pid > 0 {
        // SAFETY: see `wake`.
        unsafe { libc::kill(pid, libc::SIGINT) };
    }
}

/// Asks a process of the server to end.
pub fn terminate(pid: i32) {
    if pid > 0 {
        // SAFETY: see `wake`.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}
