//! What a refresh gives a scan to do, and what it gets back.
//!
//! The definition's plan runs inside Postgres's executor, which knows nothing of refreshes. So the refresh lays a job down just before the executor
//! starts, the scan of that stream takes it when it begins and lays the outcome down when it ends.

use crate::pg::current_record;
use crate::pg::relation::Oid;
use crate::source::outcome::{Limits, Outcome};
use crate::source::{Source, current};
use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;

/// One refresh's reading of a stream.
pub struct Job<S: Source> {
    /// The foreign table that the definition reads.
    pub table: Oid,
    /// The topic or stream.
    pub name: String,
    /// Where the records come from.
    pub input: Input<S>,
    /// What to read.
    pub reading: S::Reading,
    /// When to stop earlier, and which records to skip.
    pub limits: Limits,
    /// When the refresh began (a timestamp in UTC).
    pub refresh_time: i64,
}

/// Where a refresh's records come from.
pub enum Input<S: Source> {
    /// They are fetched by the client that was asked what there is.
    Fetch(Rc<S::Client>),
    /// A worker has them already.
    Taken(Rc<S::Records>),
    /// There are none: only the bounds are asked for.
    Nothing,
}

/// A job on its way to its scan, whatever its source is.
struct Offer {
    table: Oid,
    job: Box<dyn Any>,
}

thread_local! {
    static OFFERED: Cell<Option<Offer>> = const { Cell::new(None) };
    static FINISHED: Cell<Option<Box<dyn Any>>> = const { Cell::new(None) };
    /// The table of the view whose definition runs.
    static RUNNING: Cell<Option<Oid>> = const { Cell::new(None) };
}

/// Lays the job down for the scan that begins next.
pub fn offer<S: Source>(job: Job<S>) {
    FINISHED.set(None);
    current::read_from(format!("{} \"{}\"", S::WORDS.stream, job.name));
    OFFERED.set(Some(Offer {
        table: job.table,
        job: Box::new(job),
    }));
}

/// The job for a scan of `table`, if one is waiting.
pub fn take<S: Source>(table: Oid) -> Option<Box<Job<S>>> {
    let offer = OFFERED.take()?;
    if offer.table == table {
        return offer.job.downcast().ok();
    }
    OFFERED.set(Some(offer));
    None
}

/// Lays the outcome down for the refresh.
pub fn finish<S: Source>(outcome: Outcome<S::Position>) {
    FINISHED.set(Some(Box::new(outcome)));
}

/// The outcome of the scan, which was begun or made up for: [`is_offered`].
pub fn take_outcome<S: Source>() -> Option<Outcome<S::Position>> {
    OFFERED.set(None);
    let outcome = FINISHED.take()?.downcast();
    outcome.ok().map(|outcome| *outcome)
}

/// Does the job still wait for its scan? A plan may need none: WHERE false.
pub fn is_offered() -> bool {
    let offer = OFFERED.take();
    let is_offered = offer.is_some();
    OFFERED.set(offer);
    is_offered
}

/// The table that a refresh or a batch loads in this backend, while it runs the definition.
pub fn loaded_table() -> Option<Oid> {
    RUNNING.get()
}

/// Marks the definition's run; the mark goes when the value is dropped, on errors too.
pub struct Running(());

impl Running {
    /// Sets the mark: this table is loaded.
    pub fn begin(table: Oid) -> Running {
        RUNNING.set(Some(table));
        Running(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(None);
        OFFERED.set(None);
        current_record::work_on(None);
    }
}
