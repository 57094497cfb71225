//! What a query's WHERE says about partition or shard, offset and timestamp, so that the rest is not fetched.
//!
//! Bounds only narrow what is read; the conditions themselves are evaluated on every record all the same.

use std::ffi::CStr;

#[cfg(test)]
mod tests;

/// A column that can be bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoundColumn {
    /// `kafka_partition`
    Partition,
    /// `kafka_offset`
    Offset,
    /// `kafka_timestamp`, `approximate_arrival_timestamp`
    Timestamp,
    /// `shard_id`
    Shard,
}

/// How the column is compared, the column on the left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `= ANY (array)`, of partitions and shards only.
    AnyOf,
}

/// The first five in the order of btree's strategy numbers (stratnum.h).
const COMPARISONS: [(Comparison, &str); 6] = [
    (Comparison::Less, "<"),
    (Comparison::LessOrEqual, "<="),
    (Comparison::Equal, "="),
    (Comparison::GreaterOrEqual, ">="),
    (Comparison::Greater, ">"),
    (Comparison::AnyOf, "in"),
];

const COLUMNS: [(BoundColumn, &CStr); 4] = [
    (BoundColumn::Partition, c"Partitions"),
    (BoundColumn::Offset, c"Offsets"),
    (BoundColumn::Timestamp, c"Timestamps"),
    (BoundColumn::Shard, c"Shards"),
];

impl Comparison {
    /// The comparison of a btree strategy number; `None` for 0, which stands for "not in the family".
    pub fn of_btree_strategy(number: i32) -> Option<Comparison> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let (comparison, _) = *COMPARISONS.get(index)?;
        (comparison != Comparison::AnyOf).then_some(comparison)
    }

    fn symbol(self) -> &'static str {
        COMPARISONS
            .iter()
            .find(|(comparison, _)| *comparison == self)
            .map_or("", |(_, symbol)| symbol)
    }
}

/// A condition whose right side is known when the scan starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The left side.
    pub column: BoundColumn,
    /// The operator.
    pub comparison: Comparison,
}

impl Bound {
    /// As an integer, which a plan can carry.
    pub fn to_code(self) -> i32 {
        let column = COLUMNS
            .iter()
            .position(|(column, _)| *column == self.column)
            .unwrap_or(0);
        let comparison = COMPARISONS
            .iter()
            .position(|(c, _)| *c == self.comparison)
            .unwrap_or(0);
        (column * COMPARISONS.len() + comparison) as i32
    }

    /// The reverse of [`Bound::to_code`].
    pub fn from_code(code: i32) -> Option<Bound> {
        let code = usize::try_from(code).ok()?;
        let (column, _) = *COLUMNS.get(code / COMPARISONS.len())?;
        let (comparison, _) = COMPARISONS[code % COMPARISONS.len()];
        Some(Bound { column, comparison })
    }
}

/// For EXPLAIN: what is read, as far as it is bounded; `operands` are the bounds' right sides as text. `parts` (partitions or shards) are always
/// told.
pub fn explain(operands: &[(Bound, String)], parts: BoundColumn) -> Vec<(&'static CStr, String)> {
    let conditions = |column| {
        let of_column = operands.iter().filter(|(bound, _)| bound.column == column);
        let texts: Vec<String> = of_column
            .map(|(bound, operand)| format!("{} {operand}", bound.comparison.symbol()))
            .collect();
        texts.join(" and ")
    };
    COLUMNS
        .iter()
        .map(|(column, label)| (*column, *label, conditions(*column)))
        .filter(|(column, _, text)| *column == parts || !text.is_empty())
        .map(|(_, label, text)| {
            (
                label,
                if text.is_empty() {
                    "all".to_owned()
                } else {
                    text
                },
            )
        })
        .collect()
}

/// The bounds of one scan, with values.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// A comparison with NULL is among them: no record passes.
    pub is_never: bool,
    /// Lowest and highest partition.
    pub partitions: (i64, i64),
    /// Only these, if there is a list.
    pub partition_list: Option<Vec<i64>>,
    /// Only these shards, if there is a list.
    pub shard_list: Option<Vec<String>>,
    /// Lowest and highest offset.
    pub offsets: (i64, i64),
    /// No record before this time (a Postgres timestamp in UTC). There is no upper bound: producers set the times, so a later record may
    /// well be older.
    pub timestamp_from: Option<i64>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            is_never: false,
            partitions: (0, i64::MAX),
            partition_list: None,
            shard_list: None,
            offsets: (0, i64::MAX),
            timestamp_from: None,
        }
    }
}

impl Bounds {
    /// Adds a condition. A comparison with NULL is never true: then nothing is read.
    pub fn narrow(&mut self, bound: Bound, value: Option<i64>) {
        let Some(value) = value else {
            self.is_never = true;
            return;
        };
        let (low, high) = match bound.comparison {
            Comparison::Less => (i64::MIN, value.saturating_sub(1)),
            Comparison::LessOrEqual => (i64::MIN, value),
            Comparison::Equal => (value, value),
            Comparison::GreaterOrEqual => (value, i64::MAX),
            Comparison::Greater => (value.saturating_add(1), i64::MAX),
            Comparison::AnyOf => return,
        };
        match bound.column {
            BoundColumn::Partition => narrow_range(&mut self.partitions, low, high),
            BoundColumn::Offset => narrow_range(&mut self.offsets, low, high),
            BoundColumn::Timestamp if low > i64::MIN => {
                self.timestamp_from = Some(self.timestamp_from.map_or(low, |from| from.max(low)));
            }
            BoundColumn::Timestamp | BoundColumn::Shard => {}
        }
    }

    /// Adds `kafka_partition IN (..)`.
    pub fn only_partitions(&mut self, list: Vec<i64>) {
        match &mut self.partition_list {
            None => self.partition_list = Some(list),
            Some(before) => before.retain(|partition| list.contains(partition)),
        }
    }

    /// Adds `shard_id = ..` or `shard_id IN (..)`.
    pub fn only_shards(&mut self, list: Vec<String>) {
        // Values of type character are compared without the blanks at their ends.
        let list: Vec<String> = list
            .iter()
            .map(|id| id.trim_end_matches(' ').to_owned())
            .collect();
        match &mut self.shard_list {
            None => self.shard_list = Some(list),
            Some(before) => before.retain(|shard| list.contains(shard)),
        }
    }

    /// Is the shard within the bounds?
    pub fn has_shard(&self, shard: &str) -> bool {
        let listed = self.shard_list.as_ref();
        listed.is_none_or(|list| list.iter().any(|id| id == shard))
    }

    /// Is the partition within the bounds?
    pub fn has_partition(&self, partition: i32) -> bool {
        let partition = i64::from(partition);
        let listed = self
            .partition_list
            .as_ref()
            .is_none_or(|list| list.contains(&partition));
        listed && (self.partitions.0..=self.partitions.1).contains(&partition)
    }
}

fn narrow_range(range: &mut (i64, i64), low: i64, high: i64) {
    range.0 = range.0.max(low);
    range.1 = range.1.min(high);
}
