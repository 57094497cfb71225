//! A row of failures of a view, whatever their causes: told once (history, event, log) when it begins, and once more when every partition is past what
//! has failed.

use super::database::Worker;
use super::feed::Feed;
use super::journal;
use super::state::State;
use crate::pg::background::{self, Failure};
use crate::pg::batch::Stop;
use std::collections::BTreeMap;
use stream::PartitionRange;
use stream::kinesis::{Position, ShardState};

/// SQLSTATE of brokers that do not answer (errcodes.txt).
pub const NO_CONNECTION: &str = "08001";

/// Failures of a view that are not over.
#[derive(Default)]
pub struct Trouble {
    /// It has been told.
    is_told: bool,
    /// It began in another process: what failed there is before the end of the topic.
    is_inherited: bool,
    /// Where each partition has to be before it is over.
    offsets: BTreeMap<i32, i64>,
    /// The same of shards.
    shards: BTreeMap<String, Position>,
}

impl Trouble {
    /// What the worker before this one has told.
    pub fn inherited() -> Trouble {
        Trouble {
            is_told: true,
            is_inherited: true,
            ..Trouble::default()
        }
    }

    /// The batch of these ranges has failed.
    pub fn cover(&mut self, ranges: &[PartitionRange]) {
        for range in ranges {
            let end = self.offsets.entry(range.partition).or_insert(range.end);
            *end = range.end.max(*end);
        }
    }

    /// The batch that would have reached these positions has failed.
    pub fn cover_shards(&mut self, reached: &[ShardState]) {
        for state in reached {
            let known = self.shards.entry(state.id.clone());
            let known = known.or_insert_with(|| state.position.clone());
            if !has_passed(known, &state.position) {
                *known = state.position.clone();
            }
        }
    }

    /// A topic was opened whose partitions end there: what is to be passed lies before that (it may be another topic of the same name).
    fn bound(&mut self, ends: &BTreeMap<i32, i64>) {
        if std::mem::take(&mut self.is_inherited) {
            self.offsets = ends.clone();
        }
        self.offsets
            .retain(|partition, _| ends.contains_key(partition));
        for (partition, end) in &mut self.offsets {
            *end = ends.get(partition).copied().unwrap_or(*end).min(*end);
        }
    }

    fn is_past(&self, partition: i32, position: i64) -> bool {
        self.offsets.get(&partition).is_none_or(|e| position >= *e)
    }

    fn is_past_shard(&self, state: &ShardState) -> bool {
        let position = self.shards.get(&state.id);
        state.is_drained || position.is_none_or(|to| has_passed(&state.position, to))
    }
}

fn has_passed(now: &Position, to: &Position) -> bool {
    match (now, to) {
        (Position::After(now), Position::After(to)) => now >= to,
        (_, Position::After(_)) => false,
        _ => true,
    }
}

impl Worker {
    /// A view fails: the first time of a row it is told.
    pub(super) fn tell_trouble(&mut self, id: i64, failure: &Failure) {
        let number = self.number;
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        let trouble = view.trouble.get_or_insert_default();
        if !std::mem::replace(&mut trouble.is_told, true) {
            background::log(&format!("materialized view {id}: {}", failure.message));
            journal::write_auto(id, number, view.plan.table, failure);
        }
    }

    /// The trouble of a view whose batch has not come to its end; None if that is no failure.
    pub(super) fn trouble_of(&mut self, id: i64, stop: &Stop) -> Option<&mut Trouble> {
        let view = self.views.get_mut(&id)?;
        let is_failure = !matches!(stop, Stop::ByOwner(_));
        is_failure.then(|| view.trouble.get_or_insert_default())
    }

    /// The brokers of a view do not answer.
    pub(super) fn silent(&mut self, id: i64, cause: &str) {
        // Where a broker slows down its answers are late, and so are those to our looks.
        let is_throttled = |view: &super::view::View| view.throttled.is_some() && view.errors == 0;
        if self.views.get(&id).is_none_or(is_throttled) {
            return;
        }
        self.tell_trouble(
            id,
            &Failure {
                sqlstate: NO_CONNECTION.to_owned(),
                message: cause.to_owned(),
            },
        );
        self.show(id, State::Retrying, Some(cause));
    }

    /// A topic was opened.
    pub(super) fn opened(&mut self, id: i64, feed: &Feed) {
        if let Some(trouble) = self.views.get_mut(&id).and_then(|v| v.trouble.as_mut()) {
            trouble.bound(&feed.ends);
        }
        self.settle(id, &feed.positions);
    }

    /// The brokers answer, and the view is at these positions: shows that, and ends its trouble if it is past it.
    pub(super) fn settle(&mut self, id: i64, positions: &BTreeMap<i32, i64>) {
        let Some(view) = self.views.get(&id) else {
            return;
        };
        let is_past = |(partition, position): (&i32, &i64)| match &view.trouble {
            Some(trouble) => trouble.is_past(*partition, *position),
            None => true,
        };
        if positions.iter().all(is_past) {
            self.end_trouble(id);
        }
    }

    /// The same of a stream.
    pub(super) fn settle_stream(&mut self, id: i64, stored: &[ShardState]) {
        let Some(view) = self.views.get(&id) else {
            return;
        };
        let is_past = |state: &ShardState| match &view.trouble {
            Some(trouble) => trouble.is_past_shard(state),
            None => true,
        };
        if stored.iter().all(is_past) {
            self.end_trouble(id);
        }
    }

    fn end_trouble(&mut self, id: i64) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        view.errors = 0;
        if view.trouble.take().is_some_and(|trouble| trouble.is_told) {
            journal::recovered(id, self.number, view.plan.table);
            background::log(&format!("materialized view {id} is loaded again"));
        }
        self.show(id, State::Running, None);
    }
}
