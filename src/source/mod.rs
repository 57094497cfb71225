//! Sources: where records come from. One folder each, and here what they have in common (README.md).

pub mod any;
pub mod column;
pub mod current;
pub mod follow;
pub mod kafka;
pub mod kinesis;
pub mod outcome;
pub mod plan;
pub mod position;
pub mod request;
pub mod sql;
pub mod status;
pub mod tally;

use crate::aws;
use crate::catalog::checkpoint::Checkpoint;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::{Position, State};
use crate::pg::foreign::Server;
use crate::pg::relation::Oid;
use crate::pg::report::Report;
use crate::pg::tuple::RowWriter;
use ::plan::bounds::{BoundColumn, Bounds};
use column::{Column, Spec};
use outcome::{SkipReason, SkippedRecord};
use plan::Plan;
use request::Pending;
use status::{LagQuestion, Listed, PartStatus};
use std::cell::RefCell;
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;
use stream::Next;
use tally::Tally;

/// What a source calls its things, for messages.
pub struct Words {
    /// What a relation stands for.
    pub stream: &'static str,
    /// Its parts: one, several.
    pub parts: (&'static str, &'static str),
    /// What `start` takes.
    pub starts: &'static str,
    /// The label of the stream, and of its parts that are read, in EXPLAIN.
    pub explain: (&'static CStr, &'static CStr),
    /// The column that bounds what is read, likewise.
    pub bound: BoundColumn,
}

/// A source as a server, read by somebody: what a scan, a refresh and `set_position` need of it.
pub trait Source: Sized + 'static {
    /// Its words.
    const WORDS: Words;
    /// The columns of its relations, in the order of the documentation.
    const COLUMNS: &'static [Spec];
    /// A query that wants a few records buffers no more than this.
    const SMALL_PEEK_BYTES: usize;
    /// How often a reader is asked when nothing arrives, if it has checks of its own to make.
    const CHECKS: Option<Duration> = None;
    /// A definition may leave parts out (`WHERE kafka_partition ..`), whose positions then stay where they are.
    const LEAVES_OUT: bool = false;
    /// A view may be read by a consumer that is registered with the stream.
    const HAS_CONSUMERS: bool = false;
    /// Parts may come up while others are read.
    const PARTS_APPEAR: bool = false;

    /// Where a part is read on.
    type Position: Position;
    /// What asks and fetches.
    type Client: Client;
    /// What there is of a stream.
    type Description;
    /// What is to be read of it.
    type Reading: Clone + Default;
    /// Reads that.
    type Reader: Reader<Self>;
    /// A record, lent by its reader.
    type Record<'a>: Record<Self> + Copy;
    /// Records that a worker has taken.
    type Records: Records<Self>;
    /// What filling a row needs from record to record.
    type Scratch: Default;

    /// The source of a server, read as `user`.
    fn of_server(server: &Server, user: Oid) -> Self;

    /// A column that the relations of a server do not have.
    fn column_left_out(_server: &Server) -> Option<Column> {
        None
    }

    /// Have the relations of a server the names of Redshift's preview?
    fn has_preview_columns(_server: &Server) -> bool {
        false
    }

    /// What AWS has to be asked before there can be a client.
    fn questions(&self) -> Vec<aws::Question> {
        Vec::new()
    }

    /// Which streams the server's relations are of: comma-separated names in which `*` stands for any characters.
    fn pattern(&self) -> Option<&str>;

    /// Asks which streams there are.
    fn list(&self, client: &Self::Client) -> Box<dyn Pending<Vec<Listed>>>;

    /// Each part of a stream, for `redshift.source_status`.
    fn status(&self, client: &Self::Client, name: &str) -> Vec<PartStatus>;

    /// Asks, without waiting, how far a view is behind that stands there.
    fn ask_lag(
        &self,
        name: &str,
        stored: Vec<Checkpoint<Self::Position>>,
    ) -> Rc<RefCell<dyn LagQuestion>>;

    /// The external schema's name.
    fn server_name(&self) -> &str;

    /// What error messages call it.
    fn label(&self) -> String;

    /// The columns that tell a row's record from all others.
    fn place_columns(&self) -> &'static [&'static str];

    /// Would it be read in the same way, by the same client?
    fn reads_as(&self, other: &Self) -> bool;

    /// A new client that buffers at most `memory_bytes`.
    fn connect(&self, memory_bytes: usize) -> Self::Client;

    /// What the stream is now; waits for it.
    fn describe(&self, client: &Self::Client, name: &str) -> Self::Description;

    /// Compares what a view has stored with what the stream has now: what a refresh reads. Raises what is lost, unless the view takes losses.
    fn plan(
        &self,
        client: &Self::Client,
        view: &MaterializedView,
        stream: &Self::Description,
        stored: Vec<Checkpoint<Self::Position>>,
        bounds: &Bounds,
    ) -> Plan<Self>;

    /// Raises an error if the stream was created anew since it was described: records of both may have been read.
    fn check_still_same(
        &self,
        client: &Self::Client,
        view: &MaterializedView,
        before: &Self::Description,
    );

    /// Everything that the stream has now within the bounds; of `few` records at most, if so many are enough.
    fn peek(
        &self,
        client: &Self::Client,
        name: &str,
        bounds: &Bounds,
        few: Option<u32>,
    ) -> Self::Reading;

    /// Begins to read.
    fn read(
        client: &Self::Client,
        name: &str,
        reading: &Self::Reading,
    ) -> Result<Self::Reader, stream::Error>;

    /// What of a refresh's reading its scan fetches. Bounds on other things than parts are conditions on records: what they leave out is read and counted.
    fn within(reading: &Self::Reading, _bounds: &Bounds) -> Self::Reading {
        reading.clone()
    }

    /// Does a definition of these bounds read the part?
    fn is_read(_part: &<Self::Position as Position>::Part, _bounds: &Bounds) -> bool {
        true
    }

    /// The parts of a reading in the order in which their records are counted, as far as they are known before.
    fn parts(reading: &Self::Reading) -> Vec<<Self::Position as Position>::Part>;

    /// How many records that will be at most, if that is known.
    fn expected(_reading: &Self::Reading) -> u64 {
        u64::MAX
    }

    /// How far each part has been read, in the order in which their records are counted.
    fn reached(reader: &Self::Reader, reading: &Self::Reading) -> Vec<State<Self::Position>>;

    /// For EXPLAIN ANALYZE: which parts are read.
    fn explain(reading: &Self::Reading, reader: Option<&Self::Reader>) -> String;

    /// In words, what is being waited for.
    fn waiting_for(reading: &Self::Reading, reader: &Self::Reader) -> String;

    /// A failure of the source. `what` says what we were about.
    fn failure(what: &str, error: &stream::Error) -> Report;

    /// Nothing came for `redshift.fetch_timeout_ms`.
    fn stalled(name: &str, waiting_for: &str, cause: Option<String>) -> Report;

    /// The checkpoints of a view that begins there, one a part that the stream has now; `None` if `text` is no start.
    fn start(
        &self,
        client: &Self::Client,
        stream: &Self::Description,
        text: &str,
    ) -> Option<Vec<Checkpoint<Self::Position>>>;

    /// The checkpoints of parts (null: all) that are moved there. The source is `None` if the definition is gone: then what can be stored unseen is.
    fn moved(
        source: Option<(&Self, &str)>,
        known: &Known<Self::Position>,
        part: Option<&str>,
        text: &str,
    ) -> Vec<Checkpoint<Self::Position>>;

    /// Writes a record as a row, unless it does not fit.
    fn fill(
        record: &Self::Record<'_>,
        columns: &[(usize, Column)],
        refresh_time: i64,
        scratch: &mut Self::Scratch,
        row: &mut RowWriter,
    ) -> Result<(), SkipReason>;
}

/// What is known of a view's positions before they are moved.
pub struct Known<P: Position> {
    /// The rows that can be read, or were mended.
    pub checkpoints: Vec<Checkpoint<P>>,
    /// Every row names a part.
    pub is_complete: bool,
}

/// What asks and fetches in threads of its own.
pub trait Client {
    /// Becomes readable when there may be something to take in.
    fn wake_fd(&self) -> RawFd;

    /// Everything is polled now.
    fn clear_wake(&self);

    /// What went wrong last, in words.
    fn trouble(&self) -> Option<String>;

    /// Does the source slow it down?
    fn is_throttled(&self) -> bool {
        false
    }
}

/// Reads record by record. It goes before its client.
pub trait Reader<S: Source> {
    /// The next record, which stands until the next call.
    fn next(&mut self) -> Result<Next<S::Record<'_>>, stream::Error>;

    /// The next record belongs to the one before, and no position is between them.
    fn is_within_record(&self) -> bool {
        false
    }

    /// A number that is another one after each sign of life of the source, records apart.
    fn signs_of_life(&self) -> u64 {
        0
    }

    /// Records and bytes that were read.
    fn counts(&self) -> (u64, u64);
}

/// Records that were taken from a reader, to be read as often as needed.
pub trait Records<S: Source> {
    /// How many there are.
    fn len(&self) -> usize;

    /// Are there none?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    fn get(&self, index: usize) -> Option<S::Record<'_>>;

    /// Bytes of keys and values.
    fn bytes(&self) -> u64;
}

/// A record, for as long as its reader lends it.
pub trait Record<S: Source> {
    /// Raises an error if its names are none that the source can give.
    fn check(&self, _name: &str) {}

    /// Is it the stream's, for a query that loads nothing?
    fn is_shown(&self) -> bool {
        true
    }

    /// Makes it the current record of a refresh and counts it. Why it is not to be loaded, if it is not.
    fn count(&self, tally: &mut Tally) -> Option<SkipReason>;

    /// How it is logged when it is not loaded.
    fn skipped(&self, reason: SkipReason) -> SkippedRecord;

    /// Where it is within its stream, in words.
    fn place(&self) -> String;
}
