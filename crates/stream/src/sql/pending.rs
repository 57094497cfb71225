//! What a transaction has added to a stream and not written yet.
//!
//! Records of a partition are collected until they fill a row. A savepoint that is rolled back takes its records along, so those of each level of
//! subtransactions are kept apart until the level ends. Rows are numbered when they are begun, not when they are written: by these numbers the
//! records of a partition are in the order in which they were added.

use super::chunk::{self, CHUNK_BYTES, Entry};
use std::collections::{BTreeMap, TryReserveError};

/// The records of one row.
#[derive(Debug)]
pub struct Chunk {
    /// Its number within the transaction.
    pub ordinal: i32,
    /// The partition.
    pub partition: i32,
    /// How many records it has.
    pub records: i32,
    /// The newest time of its records.
    pub newest: Option<i64>,
    /// When its last record was added, in what the writer counts by: what was committed before has a smaller number.
    pub added: u64,
    /// The records.
    pub body: Vec<u8>,
}

/// The unwritten records of a transaction in one stream.
#[derive(Debug, Default)]
pub struct Pending {
    levels: Vec<Level>,
    next_ordinal: i32,
}

/// The records of one level of subtransactions.
#[derive(Debug, Default)]
struct Level {
    depth: i32,
    /// By partition.
    open: BTreeMap<i32, Chunk>,
    /// To be written before anything else.
    full: Vec<Chunk>,
    /// Something of it is written, or about to be: its open chunks go behind that, and are none of its parent's.
    has_full: bool,
}

impl Pending {
    /// Adds a record at a depth, which is the deepest, and at a moment; true if a chunk is to be taken now.
    pub fn add(
        &mut self,
        (depth, moment): (i32, u64),
        partition: i32,
        entry: &Entry,
    ) -> Result<bool, TryReserveError> {
        if self.levels.last().is_none_or(|level| level.depth < depth) {
            self.levels.push(Level {
                depth,
                ..Level::default()
            });
        }
        let next_ordinal = &mut self.next_ordinal;
        let Some(level) = self.levels.last_mut() else {
            return Ok(false);
        };
        let is_full = level
            .open
            .get(&partition)
            .is_some_and(|chunk| chunk.body.len() + entry.size() > CHUNK_BYTES);
        if is_full && let Some(chunk) = level.open.remove(&partition) {
            level.full.push(chunk);
            level.has_full = true;
        }
        let chunk = level.open.entry(partition).or_insert_with(|| {
            *next_ordinal += 1;
            Chunk {
                ordinal: *next_ordinal,
                partition,
                records: 0,
                newest: None,
                added: moment,
                body: Vec::new(),
            }
        });
        entry.append_to(&mut chunk.body)?;
        chunk.records += 1;
        chunk.added = moment;
        chunk.newest = chunk.newest.max(entry.time.map(|(_, time)| time));
        Ok(!level.full.is_empty())
    }

    /// A chunk that is to be written now, at this depth.
    pub fn take_full(&mut self, depth: i32) -> Option<Chunk> {
        let level = self.levels.last_mut().filter(|level| level.depth == depth);
        level?.full.pop()
    }

    /// Everything, when the transaction is about to end, in order. Nothing is left.
    pub fn take_all(&mut self) -> Vec<Chunk> {
        let levels = std::mem::take(&mut self.levels);
        let mut chunks: Vec<Chunk> = levels
            .into_iter()
            .flat_map(|level| level.full.into_iter().chain(level.open.into_values()))
            .collect();
        chunks.sort_by_key(|chunk| chunk.ordinal);
        chunks
    }

    /// Is there nothing that is not written?
    pub fn is_empty(&self) -> bool {
        self.levels
            .iter()
            .all(|level| level.open.is_empty() && level.full.is_empty())
    }

    /// A subtransaction was rolled back.
    pub fn rolled_back(&mut self, depth: i32) {
        self.levels.retain(|level| level.depth < depth);
    }

    /// A subtransaction has ended well: what it has added is its parent's now.
    pub fn released(&mut self, depth: i32) {
        let Some(mut level) = self.levels.pop_if(|level| level.depth >= depth) else {
            return;
        };
        let parent = self
            .levels
            .last_mut()
            .filter(|parent| parent.depth == depth - 1);
        let Some(parent) = parent else {
            level.depth = depth - 1;
            self.levels.push(level);
            return;
        };
        for (partition, chunk) in level.open {
            let Some(before) = parent.open.get_mut(&partition) else {
                parent.open.insert(partition, chunk);
                continue;
            };
            let fits = before.body.len() + chunk.body.len() <= CHUNK_BYTES;
            if fits && !level.has_full && chunk::append(&mut before.body, &chunk.body).is_ok() {
                before.records += chunk.records;
                before.newest = before.newest.max(chunk.newest);
                before.added = before.added.max(chunk.added);
                continue;
            }
            let before = std::mem::replace(before, chunk);
            parent.full.push(before);
            parent.has_full = true;
        }
        parent.full.append(&mut level.full);
        parent.has_full |= level.has_full;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entries;
    use super::*;
    use std::collections::HashMap;

    /// A small generator: the same numbers in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    /// What a table would hold: rows with the level that wrote them.
    #[derive(Default)]
    struct Table {
        rows: Vec<(i32, Chunk)>,
    }

    impl Table {
        fn records(&self) -> HashMap<i32, Vec<u64>> {
            let mut rows: Vec<&Chunk> = self.rows.iter().map(|(_, chunk)| chunk).collect();
            rows.sort_by_key(|chunk| chunk.ordinal);
            let mut records: HashMap<i32, Vec<u64>> = HashMap::new();
            let mut added: HashMap<i32, u64> = HashMap::new();
            for chunk in rows {
                let before = added.insert(chunk.partition, chunk.added);
                assert!(before.is_none_or(|before| before <= chunk.added));
                let mut entries = Entries::default();
                let mut count = 0;
                while let Some(entry) = entries.next(&chunk.body).unwrap() {
                    let value = entry.value.unwrap();
                    let number = u64::from_le_bytes(value[..8].try_into().unwrap());
                    records.entry(chunk.partition).or_default().push(number);
                    count += 1;
                }
                assert_eq!(count, chunk.records);
                assert!(chunk.body.len() <= CHUNK_BYTES || chunk.records == 1);
            }
            records
        }
    }

    /// Savepoints in any order: what is written at the end is what was added and not rolled back, in order.
    #[test]
    fn savepoints_keep_records_and_their_order() {
        for seed in 0..300 {
            let mut random = Random(seed);
            let (mut pending, mut table) = (Pending::default(), Table::default());
            // Each level's records, as (partition, number).
            let mut model: Vec<Vec<(i32, u64)>> = vec![Vec::new()];
            for number in 0..400_u64 {
                let depth = model.len() as i32;
                match random.below(10) {
                    0 if depth < 6 => model.push(Vec::new()),
                    1 if depth > 1 => {
                        pending.rolled_back(depth);
                        table.rows.retain(|(level, _)| *level < depth);
                        model.pop();
                    }
                    2 | 3 if depth > 1 => {
                        pending.released(depth);
                        for (level, _) in &mut table.rows {
                            *level = (*level).min(depth - 1);
                        }
                        let ended = model.pop().unwrap();
                        model.last_mut().unwrap().extend(ended);
                    }
                    _ => {
                        let partition = random.below(3) as i32;
                        let mut value = number.to_le_bytes().to_vec();
                        value.resize(8 + random.below(4000) as usize, 0);
                        let entry = Entry {
                            time: None,
                            key: None,
                            value: Some(&value),
                            headers: None,
                        };
                        if pending.add((depth, number), partition, &entry).unwrap() {
                            while let Some(chunk) = pending.take_full(depth) {
                                table.rows.push((depth, chunk));
                            }
                        }
                        model.last_mut().unwrap().push((partition, number));
                    }
                }
            }
            while model.len() > 1 {
                pending.released(model.len() as i32);
                let ended = model.pop().unwrap();
                model.last_mut().unwrap().extend(ended);
            }
            let rest = pending.take_all();
            assert!(pending.is_empty());
            table.rows.extend(rest.into_iter().map(|chunk| (1, chunk)));
            let mut expected: HashMap<i32, Vec<u64>> = HashMap::new();
            for (partition, number) in &model[0] {
                expected.entry(*partition).or_default().push(*number);
            }
            assert_eq!(table.records(), expected, "seed {seed}");
        }
    }

    #[test]
    fn many_small_savepoints_make_few_chunks() {
        let mut pending = Pending::default();
        for _ in 0..50 {
            let entry = Entry {
                time: None,
                key: None,
                value: Some(&[1; 100]),
                headers: None,
            };
            pending.add((2, 0), 0, &entry).unwrap();
            pending.released(2);
        }
        assert_eq!(pending.take_all().len(), 1);
    }
}
