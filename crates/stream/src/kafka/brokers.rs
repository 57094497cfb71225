//! Room for a cluster's brokers: each costs a thread, a pipe and a connection, and how many there are is for the cluster to say.

use super::ffi::Handle;

/// Who counts what brokers cost; kept as long as the client lives.
pub trait Room {
    /// Takes room for so many more brokers; false if there is none.
    fn more(&mut self, brokers: usize) -> bool;
}

/// How many brokers there is room for.
pub(super) struct Brokers {
    most: usize,
    room: Option<Box<dyn Room>>,
    /// So many could not be had room for, which has been told.
    without_room: usize,
}

impl Brokers {
    /// For so many at first (0: for all).
    pub(super) fn new(most: usize) -> Brokers {
        Brokers {
            most,
            room: None,
            without_room: 0,
        }
    }

    /// Asks for room for more from now on.
    pub(super) fn hold(&mut self, room: Box<dyn Room>) {
        self.room = Some(room);
    }

    /// Makes room for the brokers that were left out: those that lead partitions are missing. What is to be told if there is none, once.
    pub(super) fn make_room(&mut self, handle: &Handle) -> Option<String> {
        let refused = handle.brokers_refused();
        if refused == 0 {
            return None;
        }
        if self.room.as_mut().is_some_and(|room| room.more(refused)) {
            self.most += refused;
            handle.set_most_brokers(self.most);
            return None;
        }
        let is_told = std::mem::replace(&mut self.without_room, refused) == refused;
        (!is_told).then(|| {
            format!(
                "the cluster lists {refused} brokers more than there is room for ({})",
                self.most
            )
        })
    }
}
