//! The memory for pages of records, which are reserved before they are asked for.

use super::fetch::LARGEST_PAGE;
use crate::runtime;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for pages; clones share it. At least one page has room.
#[derive(Clone, Debug)]
pub struct Memory {
    room: Arc<Semaphore>,
    bytes: Arc<Mutex<usize>>,
}

impl Memory {
    /// So many bytes.
    pub fn new(bytes: usize) -> Memory {
        let bytes = allowed(bytes);
        Memory {
            room: Arc::new(Semaphore::new(bytes)),
            bytes: Arc::new(Mutex::new(bytes)),
        }
    }

    /// So many bytes from now on. What is in use stays: less is there when that has been given back.
    pub fn resize(&self, bytes: usize) {
        let bytes = allowed(bytes);
        let mut before = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let less = before.saturating_sub(bytes);
        self.room.add_permits(bytes.saturating_sub(*before));
        *before = bytes;
        let owed = less - self.room.forget_permits(less);
        if let (Ok(owed), Ok(runtime)) = (u32::try_from(owed), runtime::handle())
            && owed > 0
        {
            let room = Arc::clone(&self.room);
            runtime.spawn(async move {
                if let Ok(permits) = room.acquire_many_owned(owed).await {
                    permits.forget();
                }
            });
        }
    }

    /// Is there no room for a page?
    pub(super) fn is_short(&self) -> bool {
        self.room.available_permits() < LARGEST_PAGE
    }

    /// Room for so many bytes, once there is some.
    pub(super) async fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.room);
        let bytes = bytes.clamp(1, LARGEST_PAGE) as u32;
        room.acquire_many_owned(bytes).await.ok()
    }
}

fn allowed(bytes: usize) -> usize {
    // A reservation counts in 32 bits.
    bytes.clamp(LARGEST_PAGE, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
}

/// Room that a page has, of its reader's memory and of what that is a part of.
pub struct Reserved(Vec<OwnedSemaphorePermit>);

impl Reserved {
    /// Reserves so many bytes of each.
    pub(super) async fn of(memories: &[Memory], bytes: usize) -> Reserved {
        let mut reserved = Vec::with_capacity(memories.len());
        for memory in memories {
            reserved.extend(memory.reserve(bytes).await);
        }
        Reserved(reserved)
    }

    /// Gives back what is not needed for so many bytes.
    pub(super) fn keep(self, bytes: usize) -> Reserved {
        let needed = |mut permit: OwnedSemaphorePermit| {
            let bytes = bytes.min(permit.num_permits());
            permit.split(bytes)
        };
        Reserved(self.0.into_iter().filter_map(needed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_at_once_and_shrinks_as_room_comes_back() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let memory = Memory::new(2 * LARGEST_PAGE);
        let page = runtime.block_on(memory.reserve(LARGEST_PAGE)).unwrap();
        assert!(!memory.is_short());
        memory.resize(LARGEST_PAGE);
        assert!(memory.is_short());
        drop(page);
        assert!(!memory.is_short());
        memory.resize(3 * LARGEST_PAGE);
        assert_eq!(memory.room.available_permits(), 3 * LARGEST_PAGE);
        memory.resize(0);
        assert_eq!(memory.room.available_permits(), LARGEST_PAGE);
    }
}
