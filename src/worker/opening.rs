//! From a view to its feed: the source is asked where the stream begins and ends, and the view's positions are compared with it.

use super::assignment::Assignment;
use super::feed::Feed;
use crate::aws::Question;
use crate::catalog::checkpoint::{self, Checkpoint};
use crate::catalog::materialized_view;
use crate::catalog::position::Position;
use crate::error;
use crate::pg::background::{Failure, transaction};
use crate::pg::batch::{self, Stop};
use crate::pg::relation;
use crate::pg::wait::WakeSet;
use crate::refresh;
use crate::source::any::Named;
use crate::source::follow::{Asking, Follow, Part, Place, bound_lock_waits, takes};
use crate::source::plan::Plan;
use plan::bounds::Bounds;
use plan::tempo::Tempo;
use std::time::Instant;

/// A view whose client may have to wait for what AWS is asked.
pub struct Prepared<S: Follow> {
    /// The view.
    pub assignment: Assignment,
    /// What it reads.
    pub source: S,
    name: String,
    /// What has to be answered before.
    pub questions: Vec<Question>,
    /// Since when it waits.
    pub began: Instant,
}

impl<S: Follow> Prepared<S> {
    /// A view that reads that stream.
    pub fn new(assignment: Assignment, stream: Named<S>) -> Prepared<S> {
        Prepared {
            assignment,
            questions: stream.source.questions(),
            source: stream.source,
            name: stream.name,
            began: Instant::now(),
        }
    }

    /// What it waits for.
    pub fn cause(&self) -> String {
        format!("{}: no answer from AWS yet", self.source.label())
    }

    /// Asks the source. What is stored is read before: ends that are older than positions would look like a loss.
    pub fn begin(self, clients: &mut S::Clients, wake: &WakeSet) -> Result<Opening<S>, Failure> {
        let Prepared {
            assignment,
            source,
            name,
            ..
        } = self;
        let (stored, asking) = transaction(|| {
            let stored = own(&assignment, checkpoint::read(assignment.mv_id));
            (stored, source.ask(&name, clients, wake))
        })?;
        Ok(Opening {
            assignment,
            source,
            name,
            asking,
            began: Instant::now(),
            stored,
        })
    }
}

/// A view whose feed is being opened: answers are waited for without standing in anybody's way.
pub struct Opening<S: Follow> {
    /// The view.
    pub assignment: Assignment,
    /// What it reads.
    pub source: S,
    name: String,
    asking: S::Asking,
    /// When the source was first asked.
    pub began: Instant,
    /// The view's checkpoints before.
    stored: Vec<Checkpoint<S::Position>>,
}

/// Where a view begins to follow its stream.
pub struct Start<S: Follow> {
    plan: Plan<S>,
    excluded: Vec<Part<S>>,
    consumer: Option<String>,
    found: S::Found,
}

/// What is stored, against what was when the source was asked.
enum Compared<S: Follow> {
    /// The same: the start.
    Same(Start<S>),
    /// Others: these.
    Moved(Vec<Checkpoint<S::Position>>),
}

/// Those of the checkpoints that are the worker's.
fn own<P: Position>(
    assignment: &Assignment,
    mut checkpoints: Vec<Checkpoint<P>>,
) -> Vec<Checkpoint<P>> {
    checkpoints.retain(|row| takes::<P>(assignment.slice, &row.part));
    checkpoints
}

impl<S: Follow> Opening<S> {
    /// Why there is no answer yet, for one who has waited long enough.
    pub fn cause(&self) -> String {
        format!("{}: {}", self.source.label(), self.asking.cause())
    }

    /// Has the source answered? Then the view's positions are compared with the stream, as a refresh does, and stored.
    pub fn poll(&mut self) -> Option<Result<Start<S>, Stop>> {
        loop {
            let slice = self.assignment.slice;
            match self.asking.poll(&self.source, &self.name, slice) {
                Ok(None) => return None,
                Ok(Some(found)) => match self.start(found) {
                    Ok(Compared::Same(start)) => return Some(Ok(start)),
                    Ok(Compared::Moved(stored)) => {
                        // Somebody refreshed the view meanwhile: the answer may be older than its positions.
                        self.stored = stored;
                        self.asking.ask_again(&self.source, &self.name);
                    }
                    Err(stop) => return Some(Err(stop)),
                },
                Err(fault) => {
                    let failure = fault.into_failure::<S>(&self.source.label());
                    return Some(Err(Stop::Failed(failure)));
                }
            }
        }
    }

    /// Compares the answer with what is stored.
    fn start(&self, found: S::Found) -> Result<Compared<S>, Stop> {
        let Assignment { table, pace, .. } = self.assignment;
        // The plan of the definition may call the owner's functions: with a time limit, as a batch.
        batch::run(table, pace.batch_timeout(), || {
            bound_lock_waits();
            relation::lock(table, relation::LockMode::RowExclusive);
            let view = materialized_view::find(table)
                .unwrap_or_else(|| error::not_a_streaming_view(&self.name).raise());
            let parts = |rows: &[Checkpoint<S::Position>]| -> Vec<Part<S>> {
                rows.iter().map(|row| row.part.clone()).collect()
            };
            let stored: Vec<Checkpoint<S::Position>> = checkpoint::read(view.id);
            if stored.is_empty() {
                error::no_checkpoint(&view.name()).raise();
            }
            // Other workers may be busy with the other parts.
            S::lock(view.id, &parts(&own(&self.assignment, stored)));
            let stored = own(&self.assignment, checkpoint::read(view.id));
            if stored != self.stored {
                return Compared::Moved(stored);
            }
            // What the worker before could not write.
            checkpoint::flush(&view, Some(&parts(&stored)));
            let locked = refresh::lock_source(&view);
            let bounds = if S::LEAVES_OUT {
                refresh::definition_bounds::<S>(&view, &locked, &self.name)
            } else {
                Bounds::default()
            };
            let plan = self.source.plan_found(&view, &found, stored, &bounds);
            let starts: Vec<_> = plan.parts.iter().map(|p| p.from.clone()).collect();
            plan.store(view.id, &starts);
            refresh::log_lost(&view, &plan.lost, &plan.jumps());
            Compared::Same(Start {
                plan,
                excluded: S::left_out(&found, &bounds),
                consumer: view.options.consumer,
                found,
            })
        })
    }

    /// Reads from there on.
    pub fn into_feed(
        self,
        start: Start<S>,
        clients: &mut S::Clients,
        wake: &WakeSet,
    ) -> Result<Feed<S>, Failure> {
        let Assignment {
            mv_id, slice, pace, ..
        } = self.assignment;
        let Plan {
            parts,
            reading,
            source_id,
            ..
        } = start.plan;
        let place = Place {
            source: self.source,
            name: self.name,
            source_id,
            consumer: start.consumer,
            slice,
            stored: parts.into_iter().map(|planned| planned.from).collect(),
            excluded: start.excluded,
        };
        let tail = S::follow(&place, self.asking, start.found, reading, (clients, wake))?;
        // Where parts appear a view is one worker's.
        let slices = if S::PARTS_APPEAR { 1 } else { slice.of() };
        Ok(Feed {
            members: vec![mv_id],
            place,
            pace,
            tempo: Tempo::new(pace.limits(), slices),
            backlog: None,
            tail,
        })
    }
}
