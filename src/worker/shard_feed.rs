//! A feed of a stream of Kinesis: one reader of its shards, and the views that are at its positions.
//!
//! A view that is elsewhere (new, or after an error) has a reader of its own until it has caught up: a shard is read so often a second, by all together.

use super::backlog::Backlog;
use super::feed::Plan;
use super::ingest::{self, Known, Outcome};
use super::memory::Memory;
use crate::catalog::pace::Pace;
use crate::catalog::position::State;
use crate::catalog::{checkpoint, materialized_view};
use crate::error;
use crate::pg::background::{Failure, transaction};
use crate::pg::batch::{self, Stop};
use crate::pg::relation::Oid;
use crate::pg::setting;
use crate::pg::wait::WakeSet;
use crate::pg::{progress, relation, time};
use crate::refresh;
use crate::scan::job::{Input, Job};
use crate::source::Source;
use crate::source::any::Named;
use crate::source::kinesis::plan::Checkpoint;
use crate::source::kinesis::{self, Kinesis, Plan as ShardPlan, check_shard};
use crate::source::outcome::{Limits, Outcome as Read};
use crate::source::plan::entry;
use plan::tempo::Tempo;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::kinesis::{
    Client, Pending, Position, ReadOptions, Reader, Records, ShardState, StreamDescription, Until,
    now_ms,
};

/// How often a stream is looked at for shards that nobody told of, and whether it is still the same one.
const DESCRIBE_PAUSE: Duration = Duration::from_secs(10);
/// How long the service may take for that, or be silent, before the view is shown as waiting for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same where it pushes: without records there is an event every five seconds.
const PUSH_PATIENCE: Duration = Duration::from_secs(10);
/// How far behind the stored parity of a shard may be that has no new records: it matters only when retention has passed.
const PARITY_PAUSE_MS: i64 = 60_000;

/// A view whose feed is being opened.
pub struct ShardOpening {
    /// The view.
    pub plan: Plan,
    source: Kinesis,
    stream: String,
    client: Client,
    description: Pending<StreamDescription>,
    began: Instant,
}

impl ShardOpening {
    /// Asks for the stream's shards.
    pub fn begin(
        plan: Plan,
        stream: Named<Kinesis>,
        memory: &Memory,
        wake: &WakeSet,
    ) -> ShardOpening {
        let Named {
            source,
            name: stream,
        } = stream;
        let client = source.client(memory.of_stream(), Some(&memory.streams));
        wake.add(client.wake_fd());
        let description = client.describe_stream(&stream, setting::connect_timeout());
        ShardOpening {
            plan,
            source,
            stream,
            client,
            description,
            began: Instant::now(),
        }
    }

    /// Why there is no answer yet, for one who has waited long enough.
    pub fn cause(&self) -> Option<String> {
        let waits = self.began.elapsed() > PATIENCE;
        waits.then(|| format!("{}: no answer from Kinesis yet", self.source.label()))
    }

    /// Everything is polled now.
    pub fn clear_wake(&self) {
        self.client.clear_wake();
    }

    /// Has the service answered?
    pub fn poll(&mut self) -> Option<Result<StreamDescription, Failure>> {
        let label = self.source.label();
        match self.description.poll()? {
            Ok(description) => Some(Ok(description)),
            Err(error) => Some(transaction(|| error::service(&label, &error).raise())),
        }
    }

    /// Compares the view's positions with the stream, as a refresh does, stores what is new, and reads from there on.
    pub fn into_feed(self, stream: &StreamDescription) -> Result<ShardFeed, Failure> {
        let table = self.plan.table;
        let (plan, consumer) = transaction(|| {
            ingest::bound_lock_waits();
            relation::lock(table, relation::LockMode::RowExclusive);
            let view = materialized_view::find(table)
                .unwrap_or_else(|| error::not_a_streaming_view(&self.stream).raise());
            let stored = checkpoint::lock(view.id);
            if stored.is_empty() {
                error::no_checkpoint(&view.name()).raise();
            }
            // What the worker before could not write.
            checkpoint::flush_all(&view);
            let deaggregate = self.source.deaggregate;
            let plan = kinesis::plan::plan(&view, stream, stored, now_ms(), deaggregate);
            let starts: Vec<_> = plan.parts.iter().map(|p| p.from.clone()).collect();
            plan.store(view.id, &starts);
            refresh::log_lost(&view, &plan.lost, &plan.jumps());
            (plan, view.options.consumer)
        })?;
        let (deaggregate, shards) = (self.source.deaggregate, plan.reading.shards.clone());
        let reader = match &consumer {
            Some(consumer) => self
                .client
                .follow(&self.stream, shards, deaggregate, consumer),
            None => {
                let options = ReadOptions {
                    until: Until::Stopped,
                    page_records: None,
                    deaggregate,
                };
                self.client.read(&self.stream, shards, &options)
            }
        };
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                let label = self.source.label();
                transaction(|| error::service(&label, &error).raise())?
            }
        };
        Ok(ShardFeed {
            members: vec![self.plan.mv_id],
            pace: self.plan.pace,
            tempo: Tempo::new(self.plan.pace.limits(), 1),
            backlog: None,
            stored: reader.shards(),
            unchanging: plan,
            reader,
            answers: 0,
            answered: Instant::now(),
            described: Instant::now(),
            description: None,
            created_ms: stream.created_ms,
            shown: stream.shards.iter().map(|shard| shard.id.clone()).collect(),
            source: self.source,
            stream: self.stream,
            client: self.client,
            consumer,
        })
    }
}

/// A reader and the views at its positions.
pub struct ShardFeed {
    /// The views.
    pub members: Vec<i64>,
    /// Options of the views.
    pub pace: Pace,
    /// How fast it goes.
    pub tempo: Tempo,
    /// What waited when a batch was full, until one is not.
    pub backlog: Option<Backlog>,
    source: Kinesis,
    /// By whose subscriptions it reads, if not by requests.
    consumer: Option<String>,
    stream: String,
    created_ms: i64,
    /// The shards that the service has shown.
    shown: Vec<String>,
    /// What the views have stored, in the order of the reader's shards.
    stored: Vec<ShardState>,
    /// Knows how states are stored.
    unchanging: ShardPlan,
    // The reader goes before its client.
    reader: Reader,
    client: Client,
    /// The reader's answers, and since when there are so many.
    answers: u64,
    answered: Instant,
    described: Instant,
    description: Option<Pending<StreamDescription>>,
}

/// What there is for the view.
pub struct ShardBatch {
    records: Rc<Records>,
    /// The shards when the records are loaded.
    reached: Vec<ShardState>,
}

impl ShardBatch {
    /// Number of records.
    pub fn record_count(&self) -> usize {
        self.records.len()
    }

    /// Where the shards are with these records.
    pub fn reached(&self) -> &[ShardState] {
        &self.reached
    }
}

/// What the service says of a feed's stream.
pub enum Stream {
    /// It answers.
    Answers,
    /// Other shards, or another stream of the same name: open again.
    Changed,
    /// It does not answer, for this reason.
    Silent(String),
}

impl ShardFeed {
    /// Everything is polled now.
    pub fn clear_wake(&self) {
        self.client.clear_wake();
    }

    /// It holds at most so many bytes from now on.
    pub fn set_memory(&self, bytes: usize) {
        self.reader.set_memory(bytes);
    }

    /// In words, which limit of the service's slows it down.
    pub fn throttled(&self) -> Option<String> {
        self.client.throttled().map(as_text)
    }

    /// What the view has stored.
    pub fn stored(&self) -> &[ShardState] {
        &self.stored
    }

    /// Has the service given anything to read, since it was opened?
    pub fn has_answers(&self) -> bool {
        self.reader.answers() > 0
    }

    /// The shards that may have something to write into the ledger.
    pub fn shard_names(&self) -> Vec<String> {
        self.stored.iter().map(|state| state.id.clone()).collect()
    }

    /// Gathers what has arrived, within the batch limits; what there is to store now, if there is. (The reader's memory bounds what is gathered.)
    pub fn gather(&mut self) -> Result<Option<ShardBatch>, Failure> {
        let (max_records, max_bytes) = self.tempo.batch();
        let gathered = match self.reader.gather(max_records, max_bytes) {
            Ok(gathered) => gathered,
            Err(error) => {
                let what = format!("stream \"{}\"", self.stream);
                return transaction(|| error::service(&what, &error).raise());
            }
        };
        let (is_full, has_more) = (gathered.is_full, gathered.has_more);
        if !self.tempo.is_due(is_full, has_more, Instant::now()) {
            return Ok(None);
        }
        match (&self.backlog, gathered.is_full) {
            (None, true) => self.backlog = Some(Backlog::begin()),
            (Some(_), false) => self.backlog = None,
            _ => {}
        }
        let reached = self.reader.shards();
        let has_news = !self.reader.gathered().is_empty() || self.news(&reached).next().is_some();
        Ok(has_news.then(|| ShardBatch {
            records: Rc::new(self.reader.take()),
            reached,
        }))
    }

    /// The shards of which more must be stored than a position.
    fn news<'a>(&'a self, reached: &'a [ShardState]) -> impl Iterator<Item = &'a ShardState> {
        reached.iter().enumerate().filter_map(|(place, now)| {
            let is_news = self.stored.get(place).is_none_or(|before| {
                let (then, now_at) = (before.caught_up_to, now.caught_up_to);
                let is_due = now_at
                    .is_some_and(|now_at| then.is_none_or(|then| now_at - then >= PARITY_PAUSE_MS));
                before.is_drained != now.is_drained || is_due
            });
            is_news.then_some(now)
        })
    }

    /// Shows that a batch of the backlog goes into `table`, or nothing if there is none.
    pub fn show_progress(&self, table: Oid) {
        match &self.backlog {
            Some(backlog) => backlog.show(table, self.stored.len(), None),
            None => progress::end(),
        }
    }

    /// Loads a batch into a view: one transaction, as a refresh is.
    pub fn load(
        &self,
        batch: &ShardBatch,
        table: Oid,
        known: &mut Option<Known>,
        flush: bool,
    ) -> Result<Outcome, Stop> {
        // Looked up anew after an error.
        let mut found = known.take();
        let outcome = batch::run(table, self.pace.batch_timeout(), || {
            ingest::bound_lock_waits();
            let Some(known) = ingest::locked(table, &mut found) else {
                return Outcome::Gone;
            };
            let view = &known.view;
            let stored = checkpoint::lock(view.id);
            if !self.is_at(&stored) {
                return Outcome::Moved;
            }
            let (rows, mut outcome) = self.load_records(known, batch);
            outcome.states = batch.reached.iter().cloned().map(kinesis::state).collect();
            self.store(view.id, &batch.reached, &outcome, rows);
            refresh::log_skipped(view, &outcome, &self.shard_names());
            if flush {
                checkpoint::flush_all(view);
            }
            Outcome::Loaded
        })?;
        if outcome == Outcome::Loaded {
            *known = found;
        }
        Ok(outcome)
    }

    fn load_records(&self, known: &Known, batch: &ShardBatch) -> (u64, Read<Position>) {
        if batch.records.is_empty() {
            return (0, Read::default());
        }
        let job = Job::<Kinesis> {
            table: known.stream,
            name: self.stream.clone(),
            input: Input::Taken(Rc::clone(&batch.records)),
            reading: kinesis::Reading::default(),
            limits: Limits {
                max_records: u64::MAX,
                max_bytes: u64::MAX,
                max_record_bytes: known.view.options.max_record_bytes,
            },
            refresh_time: time::now_utc(),
        };
        let (rows, outcome) = refresh::load(&known.view, known.definition, job);
        (rows, outcome.unwrap_or_default())
    }

    /// The members have the batch, which took them so long; the worker has no other views, or has.
    pub fn advance(&mut self, batch: &ShardBatch, took: Duration, is_alone: bool) {
        let records = batch.records.len();
        self.tempo.loaded(records, took, is_alone, Instant::now());
        if let Some(backlog) = &mut self.backlog {
            backlog.add(batch.records.len(), batch.records.bytes());
        }
        self.stored = self.merged(&batch.reached);
    }

    /// Is another feed at the same place?
    pub fn is_at_same_place(&self, other: &ShardFeed) -> bool {
        let is_here = |state: &ShardState| {
            let mut others = other.undrained();
            others.any(|other| other.id == state.id && other.position == state.position)
        };
        self.stream == other.stream
            && self.source.reads_as(&other.source)
            && self.created_ms == other.created_ms
            && self.consumer == other.consumer
            && self.pace == other.pace
            && self.undrained().count() == other.undrained().count()
            && self.undrained().all(is_here)
    }

    /// Takes over the views of another feed that is at the same place. Of the times of parity the earlier ones are what all have stored.
    pub fn take_over(&mut self, other: ShardFeed) {
        for state in &mut self.stored {
            let mut others = other.stored.iter();
            if let Some(other) = others.find(|other| other.id == state.id) {
                state.caught_up_to = state.caught_up_to.min(other.caught_up_to);
            }
        }
        self.members.extend(&other.members);
    }

    fn undrained(&self) -> impl Iterator<Item = &ShardState> {
        self.stored.iter().filter(|state| !state.is_drained)
    }

    /// Does the view want to be read as this feed does it?
    pub fn is_as_wanted(&self, table: Oid) -> bool {
        let view = materialized_view::find(table);
        view.is_some_and(|view| view.options.consumer == self.consumer)
    }

    /// Is the view where this feed left it?
    pub fn is_at(&self, stored: &[Checkpoint]) -> bool {
        let undrained = stored.iter().filter(|row| !row.is_drained);
        let is_here = |row: &Checkpoint| {
            let mut states = self.stored.iter();
            states.any(|state| {
                state.id == row.part && state.position == row.position && !state.is_drained
            })
        };
        let open = self.undrained().count();
        undrained.clone().count() == open && undrained.clone().all(is_here)
    }

    /// What is stored after a batch: parity only where it was stored too.
    fn merged(&self, reached: &[ShardState]) -> Vec<ShardState> {
        let mut merged = reached.to_vec();
        for (place, state) in merged.iter_mut().enumerate() {
            if self.news(reached).any(|news| news.id == state.id) {
                continue;
            }
            if let Some(before) = self.stored.get(place) {
                state.caught_up_to = before.caught_up_to;
            }
        }
        merged
    }

    fn store(&self, mv_id: i64, reached: &[ShardState], outcome: &Read<Position>, rows: u64) {
        for state in outcome.states.iter().skip(self.stored.len()) {
            // A child that came up: its row is there before it moves.
            check_shard(&self.stream, &state.part);
            let start = State {
                position: Position::Horizon,
                ..state.clone()
            };
            checkpoint::store(mv_id, &self.unchanging.checkpoint(&start, None), None);
        }
        let of_shard = |(place, state): (usize, &State<Position>)| {
            let before = self.stored.get(place).map(|state| state.position.clone());
            let before = before.unwrap_or(Position::Horizon);
            entry(&before, state, &outcome.progress_at(place))
        };
        let entries: Vec<_> = outcome
            .states
            .iter()
            .enumerate()
            .filter_map(of_shard)
            .collect();
        if !entries.is_empty() {
            checkpoint::advance(mv_id, &entries, rows);
        }
        for state in self.news(reached) {
            let state = kinesis::state(state.clone());
            checkpoint::store(mv_id, &self.unchanging.checkpoint(&state, None), None);
        }
    }

    /// Looks whether the service answers, and at the stream from time to time, without waiting.
    pub fn look(&mut self) -> Stream {
        if self.reader.answers() != self.answers {
            self.answers = self.reader.answers();
            self.answered = Instant::now();
        }
        if self.description.is_none() && self.described.elapsed() >= DESCRIBE_PAUSE {
            self.description = Some(self.client.describe_stream(&self.stream, PATIENCE));
        }
        if let Some(answer) = self.description.as_mut().and_then(Pending::poll) {
            self.description = None;
            self.described = Instant::now();
            match answer {
                Ok(stream) if self.is_other(&stream) => return Stream::Changed,
                Err(stream::Error::UnknownStream { .. }) => return Stream::Changed,
                Ok(_) => {}
                Err(error) => return Stream::Silent(as_text(error.to_string())),
            }
        }
        let patience = match self.consumer {
            Some(_) => PUSH_PATIENCE,
            None => PATIENCE,
        };
        if self.answered.elapsed() <= patience {
            return Stream::Answers;
        }
        let unanswered = self.client.unanswered_for();
        match self.client.trouble_since(self.answered) {
            Some(trouble) => Stream::Silent(as_text(trouble)),
            None if unanswered.is_some_and(|time| time > patience) => Stream::Silent(format!(
                "stream \"{}\": no answer from Kinesis in time",
                self.stream
            )),
            None => Stream::Answers,
        }
    }

    /// Another stream, or one with shards that the reader does not know.
    fn is_other(&self, stream: &StreamDescription) -> bool {
        let states = self.reader.shards();
        let is_known =
            |id: &String| self.shown.contains(id) || states.iter().any(|state| state.id == *id);
        stream.created_ms != self.created_ms || !stream.shards.iter().all(|s| is_known(&s.id))
    }
}

/// What a service writes of its troubles, as text that can be stored.
fn as_text(message: String) -> String {
    if message.contains('\0') {
        message.replace('\0', "\u{FFFD}")
    } else {
        message
    }
}
