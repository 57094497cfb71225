//! Values in shared memory, each behind a lightweight lock of its own.
//!
//! pgrx's guard looks at `InterruptHoldoffCount` to tell whether its lock is to be released, and leaves it held where the count is wrong: another
//! extension that catches an error in a callback of a commit unbalances it, since `errfinish` resets it to 0. A lock that is left behind is waited for
//! by its own process, for ever and uninterruptibly. Here the lock itself is asked.

use pgrx::{PGRXSharedMemory, PgSharedMemoryInitialization, pg_sys};
use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::mem::size_of;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

static READY: AtomicBool = AtomicBool::new(false);

/// Is the library in shared_preload_libraries, so that there is shared memory, and there are workers?
pub fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// All memory has been asked for; called while shared_preload_libraries are loaded.
pub fn set_ready() {
    READY.store(true, Ordering::Relaxed);
}

/// So many values of one kind, whose number is known when the server starts, behind one lock.
pub(super) struct SharedValues<T> {
    name: &'static CStr,
    count: fn() -> usize,
    place: UnsafeCell<Place<T>>,
}

struct Place<T> {
    lock: *mut pg_sys::LWLock,
    values: *mut T,
    count: usize,
}

// SAFETY: a process has one thread that comes here, and other processes are kept out by the lock.
unsafe impl<T: PGRXSharedMemory> Sync for SharedValues<T> {}

impl<T> SharedValues<T> {
    /// Before the server has started: nothing yet.
    ///
    /// # Safety
    /// The name is that of no other lock or value.
    pub const unsafe fn new(name: &'static CStr, count: fn() -> usize) -> SharedValues<T> {
        SharedValues {
            name,
            count,
            place: UnsafeCell::new(Place {
                lock: std::ptr::null_mut(),
                values: std::ptr::null_mut(),
                count: 0,
            }),
        }
    }

    /// The values, to look at.
    pub fn share(&self) -> Guard<&[T]> {
        let place = self.acquire(pg_sys::LWLockMode::LW_SHARED);
        Guard {
            // SAFETY: written at the server's start, and nobody changes them while the lock is held.
            values: unsafe { std::slice::from_raw_parts(place.values, place.count) },
            lock: place.lock,
        }
    }

    /// The values, to change.
    #[allow(clippy::mut_from_ref, reason = "the lock sees to it that there is one")]
    pub fn exclusive(&self) -> Guard<&mut [T]> {
        let place = self.acquire(pg_sys::LWLockMode::LW_EXCLUSIVE);
        Guard {
            // SAFETY: as above, and nobody else looks at them.
            values: unsafe { std::slice::from_raw_parts_mut(place.values, place.count) },
            lock: place.lock,
        }
    }

    fn acquire(&self, mode: pg_sys::LWLockMode::Type) -> &Place<T> {
        // SAFETY: the place is written once, before the first process is forked; the lock lives as long as the server.
        unsafe {
            let place = &*self.place.get();
            if place.lock.is_null() {
                panic!("shared memory of redshift_streaming is not there");
            }
            // Waiting for oneself would be without end.
            if pg_sys::LWLockHeldByMe(place.lock) {
                panic!("lock {:?} is held by this process already", self.name);
            }
            pg_sys::LWLockAcquire(place.lock, mode);
            place
        }
    }
}

impl<T: Copy + Default> PgSharedMemoryInitialization for SharedValues<T> {
    type Value = ();

    unsafe fn on_shmem_request(&'static self) {
        // SAFETY: called from shmem_request_hook (from _PG_init before 15).
        unsafe {
            pg_sys::RequestAddinShmemSpace(size_of::<T>() * (self.count)());
            pg_sys::RequestNamedLWLockTranche(self.name.as_ptr(), 1);
        }
    }

    unsafe fn on_shmem_startup(&'static self, _value: ()) {
        let count = (self.count)();
        let mut found = false;
        // SAFETY: called from shmem_startup_hook in the postmaster, which is alone: at the start, and anew after a crash. The memory is aligned to cache
        // lines, and as large as was asked for.
        unsafe {
            let values =
                pg_sys::ShmemInitStruct(self.name.as_ptr(), size_of::<T>() * count, &mut found)
                    .cast::<T>();
            assert!(values.is_aligned(), "shared memory is not aligned");
            if !found {
                for index in 0..count {
                    values.add(index).write(T::default());
                }
            }
            let tranche = pg_sys::GetNamedLWLockTranche(self.name.as_ptr());
            *self.place.get() = Place {
                lock: &raw mut (*tranche).lock,
                values,
                count,
            };
        }
    }
}

/// Holds the lock; gives it back when dropped, also while an error is on its way.
pub(super) struct Guard<D> {
    values: D,
    lock: *mut pg_sys::LWLock,
}

impl<D: Deref> Deref for Guard<D> {
    type Target = D::Target;
    fn deref(&self) -> &D::Target {
        &self.values
    }
}

impl<D: DerefMut> DerefMut for Guard<D> {
    fn deref_mut(&mut self) -> &mut D::Target {
        &mut self.values
    }
}

impl<D> Drop for Guard<D> {
    fn drop(&mut self) {
        // SAFETY: the lock lives as long as the server. What is held is released, and its release counts one off: where an error has reset the count,
        // that is put back first (as LWLockReleaseAll does it).
        unsafe {
            if pg_sys::LWLockHeldByMe(self.lock) {
                if pg_sys::InterruptHoldoffCount == 0 {
                    pg_sys::InterruptHoldoffCount = 1;
                }
                pg_sys::LWLockRelease(self.lock);
            }
        }
    }
}
