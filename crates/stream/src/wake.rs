//! A pipe whose read end becomes readable when something may be waiting: what other threads wake the caller's event loop with.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A pipe; reading and writing never block.
pub struct Wake {
    read: OwnedFd,
    write: OwnedFd,
}

impl Wake {
    /// A new pipe.
    pub fn new() -> io::Result<Wake> {
        let mut ends = [0; 2];
        // SAFETY: the array takes both descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both were just opened and nobody else owns them.
        Ok(unsafe {
            Wake {
                read: OwnedFd::from_raw_fd(ends[0]),
                write: OwnedFd::from_raw_fd(ends[1]),
            }
        })
    }

    /// The end to wait on.
    pub fn read_fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// The end that makes it readable, for a library that writes to it by itself.
    pub fn write_fd(&self) -> RawFd {
        self.write.as_raw_fd()
    }

    /// Makes it unreadable until the next [`Wake::send`].
    pub fn clear(&self) {
        let mut sink = [0u8; 256];
        // SAFETY: the buffer is valid for its length. The pipe does not block.
        while unsafe { libc::read(self.read.as_raw_fd(), sink.as_mut_ptr().cast(), sink.len()) }
            == sink.len() as isize
        {}
    }

    /// Makes it readable.
    pub fn send(&self) {
        // SAFETY: one byte of a static string. A full pipe is readable already.
        unsafe { libc::write(self.write.as_raw_fd(), c"w".as_ptr().cast(), 1) };
    }
}
