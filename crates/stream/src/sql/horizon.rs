//! Up to which transactions the records of a stream have been numbered: what makes it quick to find those that have not.
//!
//! Records are numbered when their transaction has committed, never before, in the order in which they are found. So a transaction that takes long holds up nobody: its records
//! get numbers when it ends. What is kept of a pass is the snapshot that it saw: whoever was running then, and whoever began later, may have added
//! records since; nobody else. Nothing depends on it but the time that a pass takes: what has a number keeps it.

/// Where a horizon is true: transaction ids mean nothing in another cluster, or of another table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The system identifier.
    pub system: u64,
    /// The database's OID.
    pub database: u32,
    /// The table's OID.
    pub table: u32,
}

/// The snapshot of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Where it was taken.
    pub origin: Origin,
    /// Who began before this one and is not [`Horizon::running`] had ended.
    pub next: u64,
    /// Who was running, in order.
    pub running: Vec<u64>,
}

/// Running transactions that are remembered one by one; if there are more, the horizon ends before the first that finds no room.
const MOST_RUNNING: usize = 120;
const HEADER: usize = 32;

impl Horizon {
    /// Bytes of a stored horizon.
    pub const BYTES: usize = HEADER + 8 * MOST_RUNNING;

    /// The horizon of a snapshot: `next` is its first transaction that had not begun, `running` are those that had not ended.
    pub fn new(origin: Origin, next: u64, mut running: Vec<u64>) -> Horizon {
        running.sort_unstable();
        running.dedup();
        running.retain(|id| *id < next);
        let next = running.get(MOST_RUNNING).copied().unwrap_or(next);
        running.truncate(MOST_RUNNING);
        Horizon {
            origin,
            next,
            running,
        }
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> [u8; Horizon::BYTES] {
        let mut bytes = [0; Horizon::BYTES];
        let running = self.running.iter().take(MOST_RUNNING);
        let numbers = [
            self.origin.system,
            u64::from(self.origin.database) << 32 | u64::from(self.origin.table),
            self.next,
            running.len() as u64,
        ];
        let numbers = numbers.iter().chain(running);
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// From stored bytes; `None` for those that are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Horizon> {
        if bytes.len() != Horizon::BYTES {
            return None;
        }
        let mut numbers = bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes));
        let (system, objects) = (numbers.next()?, numbers.next()?);
        let (next, count) = (numbers.next()?, usize::try_from(numbers.next()?).ok()?);
        (count <= MOST_RUNNING).then(|| Horizon {
            origin: Origin {
                system,
                database: (objects >> 32) as u32,
                table: objects as u32,
            },
            next,
            running: numbers.take(count).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Origin = Origin {
        system: u64::MAX,
        database: 5,
        table: u32::MAX,
    };

    #[test]
    fn what_was_stored_is_read() {
        let horizon = Horizon::new(HERE, 1000, vec![990, 7, 995, 7, 1000, 1001]);
        assert_eq!(horizon.running, [7, 990, 995]);
        assert_eq!(Horizon::from_bytes(&horizon.to_bytes()), Some(horizon));
    }

    #[test]
    fn a_fresh_one_is_of_no_place() {
        let none = Horizon::from_bytes(&[0; Horizon::BYTES]);
        assert_eq!(none.map(|horizon| horizon.origin), Some(Origin::default()));
        assert_eq!(Horizon::from_bytes(&[0; 8]), None);
        assert_eq!(Horizon::from_bytes(&[255; Horizon::BYTES]), None);
    }

    #[test]
    fn who_finds_no_room_is_looked_for_again() {
        let running: Vec<u64> = (100..400).collect();
        let horizon = Horizon::new(HERE, 1000, running.clone());
        let looked_for = |id: u64| id >= horizon.next || horizon.running.contains(&id);
        assert!(running.into_iter().all(looked_for));
        assert!(!looked_for(99));
    }
}
