//! The lanes of a worker: the one place of this room that names the sources.

use super::assignment::Assignment;
use super::lane::Lane;
use super::lookup::Lookups;
use super::opening::Prepared;
use super::views::Views;
use crate::pg::progress;
use crate::pg::setting;
use crate::pg::wait::WakeSet;
use crate::source::any::{Kind, Stream};
use crate::source::kafka::Kafka;
use crate::source::kinesis::Kinesis;
use crate::source::sql::Sql;
use plan::room;
use std::time::Instant;

/// A lane a source.
#[derive(Default)]
pub struct Lanes {
    kafka: Lane<Kafka>,
    kinesis: Lane<Kinesis>,
    sql: Lane<Sql>,
}

/// Does the same with each lane.
macro_rules! each_lane {
    ($lanes:expr, $lane:ident => $body:expr) => {{
        let $lane = &mut $lanes.kafka;
        $body;
        let $lane = &mut $lanes.kinesis;
        $body;
        let $lane = &mut $lanes.sql;
        $body;
    }};
}

impl Lanes {
    /// Is the view followed, or about to be?
    pub fn has(&self, id: i64) -> bool {
        self.kafka.has(id) || self.kinesis.has(id) || self.sql.has(id)
    }

    /// Follows no views but these.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        each_lane!(self, lane => lane.retain(&keep));
    }

    /// Begins to follow a view that reads that stream.
    pub fn prepare(&mut self, assignment: Assignment, stream: Stream) {
        match stream {
            Stream::Kafka(named) => self.kafka.prepare(Prepared::new(assignment, named)),
            Stream::Kinesis(named) => self.kinesis.prepare(Prepared::new(assignment, named)),
            Stream::Sql(named) => self.sql.prepare(Prepared::new(assignment, named)),
        }
    }

    /// Begins and ends openings, within one limit of memory for all that the worker reads.
    pub fn open(&mut self, views: &mut Views, lookups: &mut Lookups, wake: &WakeSet) {
        self.divide_memory(views);
        each_lane!(self, lane => lane.open(views, lookups, wake));
    }

    /// Divides the memory anew after views have come or gone.
    fn divide_memory(&mut self, views: &mut Views) {
        let count = |kind| {
            let kinds = views.by_id.values().map(|view| view.kind);
            kinds.filter(|of_view| *of_view == Some(kind)).count()
        };
        let counts = [Kind::Kafka, Kind::Kinesis, Kind::Sql].map(count);
        let has = counts.map(|count| count > 0);
        let parts = room::parts(setting::memory_limit_bytes(), has);
        self.kafka.divide_memory(parts[0], counts[0], views);
        self.kinesis.divide_memory(parts[1], counts[1], views);
        self.sql.divide_memory(parts[2], counts[2], views);
    }

    /// Looks how the streams are.
    pub fn follow(&mut self, views: &mut Views) {
        each_lane!(self, lane => lane.follow(views));
    }

    /// Loads what has arrived; true if there may be more.
    pub fn load(&mut self, views: &mut Views) -> bool {
        let (mut busy, mut has_backlog) = (false, false);
        each_lane!(self, lane => {
            busy |= lane.load(views);
            has_backlog |= lane.has_backlog();
        });
        if !has_backlog {
            progress::end();
        }
        busy
    }

    /// What has come to the same place is read together, and who is behind gets room.
    pub fn arrange(&mut self, views: &mut Views, wake: &WakeSet) {
        each_lane!(self, lane => {
            lane.merge();
            lane.give_room(views, wake);
        });
    }

    /// Leaves views that somebody moved: [`Lane::leave_moved`].
    pub fn leave_moved(
        &mut self,
        stored: &[(i64, String, Option<String>)],
        consumer: impl Fn(i64) -> Option<String>,
    ) {
        each_lane!(self, lane => lane.leave_moved(stored, &consumer));
    }

    /// After a wake-up; everything is polled then.
    pub fn clear_wakes(&mut self) {
        each_lane!(self, lane => lane.clear_wakes());
    }

    /// When there may be something to do that nothing wakes the worker for.
    pub fn moments(&self) -> impl Iterator<Item = Instant> {
        let moments = self.kafka.moments().chain(self.kinesis.moments());
        moments.chain(self.sql.moments())
    }
}
