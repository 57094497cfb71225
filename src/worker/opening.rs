//! From a view to its feed: the brokers are asked where the topic begins and ends, and the view's positions are compared with it.

use super::clients::Clients;
use super::feed::{Feed, PATIENCE, Plan, ranges_from};
use super::ingest::bound_lock_waits;
use super::sources::Origin;
use crate::access::Access;
use crate::aws::Question;
use crate::catalog::position::State;
use crate::catalog::{checkpoint as checkpoints, materialized_view};
use crate::error;
use crate::pg::background::{Failure, transaction};
use crate::pg::batch::{self, Stop};
use crate::pg::relation;
use crate::pg::wait::WakeSet;
use crate::refresh::{self, Locked};
use crate::source::Source;
use crate::source::any::{Kind, Named, Stream};
use crate::source::kafka::plan::{Checkpoint, plan};
use crate::source::kafka::position::Offset;
use crate::source::kafka::{Kafka, Watermarks};
use crate::source::kinesis::Kinesis;
use plan::tempo::Tempo;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use stream::{ListedOffset, OffsetSpec, Pending, TopicDescription};

/// A view whose feed is being opened: the broker's answers are waited for without standing in anybody's way.
pub struct Opening {
    /// The view.
    pub plan: Plan,
    source: Kafka,
    topic: String,
    pub(super) client: usize,
    description: Answer<TopicDescription>,
    /// When the broker was first asked.
    pub began: Instant,
    /// The view's checkpoints before the watermarks were asked for.
    stored: Vec<Checkpoint>,
    earliest: Option<Answer<Vec<ListedOffset>>>,
    latest: Option<Answer<Vec<ListedOffset>>>,
}

/// An answer that has come, or will.
pub(super) enum Answer<T> {
    Pending(Pending<T>),
    Ready(T),
}

impl<T> Answer<T> {
    /// The answer, once it has come.
    pub(super) fn poll(&mut self) -> Result<Option<&T>, stream::Error> {
        if let Answer::Pending(pending) = self
            && let Some(answer) = pending.poll()
        {
            *self = Answer::Ready(answer?);
        }
        Ok(match self {
            Answer::Ready(value) => Some(value),
            Answer::Pending(_) => None,
        })
    }
}

/// A view of a topic whose client may have to wait for what AWS is asked.
pub struct Prepared {
    /// The view.
    pub plan: Plan,
    source: Kafka,
    topic: String,
    stored: Vec<Checkpoint>,
    /// What has to be answered before.
    pub questions: Vec<Question>,
    /// Since when it waits.
    pub began: Instant,
}

impl Prepared {
    /// Which brokers are to be asked, as whom.
    pub fn access(&self) -> &Access {
        self.source.access()
    }

    /// What it waits for.
    pub fn cause(&self) -> String {
        format!("{}: no answer from AWS yet", self.source.label())
    }

    /// Is there nothing to wait for?
    pub fn has_client(&self, clients: &Clients) -> bool {
        self.questions.is_empty() || clients.has(&self.source)
    }
}

/// What a view reads.
pub enum Begun {
    /// A topic.
    Topic(Box<Prepared>),
    /// A stream of Kinesis.
    Stream(Box<Named<Kinesis>>),
}

impl Begun {
    /// Which source that is of.
    pub fn kind(&self) -> Kind {
        match self {
            Begun::Topic(_) => Kind::Kafka,
            Begun::Stream(_) => Kind::Kinesis,
        }
    }
}

/// Where a view begins to follow its topic.
pub struct Start {
    /// Next offset by partition.
    pub positions: BTreeMap<i32, i64>,
    topic_id: Option<String>,
    /// One past the last record by partition.
    ends: BTreeMap<i32, i64>,
    /// Those of the worker's partitions that the definition does not read.
    excluded: BTreeSet<i32>,
}

impl Opening {
    /// Looks up what a view reads, and from where on.
    pub fn prepare(plan: Plan) -> Result<(Origin, Begun), Failure> {
        transaction(|| {
            bound_lock_waits();
            let view = materialized_view::find(plan.table).unwrap_or_else(|| {
                error::not_a_streaming_view(&plan.table.to_u32().to_string()).raise()
            });
            let Locked { stream, .. } = refresh::lock_source(&view);
            let owner = relation::owner(plan.table);
            let begun = match Stream::of_table(stream, owner) {
                Stream::Kafka(Named { source, name }) => Begun::Topic(Box::new(Prepared {
                    plan,
                    questions: source.access().questions(),
                    source,
                    topic: name,
                    stored: plan.own_checkpoints(checkpoints::read(view.id)),
                    began: Instant::now(),
                })),
                Stream::Kinesis(stream) => Begun::Stream(Box::new(stream)),
                Stream::Sql(stream) => error::no_auto_refresh(&stream.name).raise(),
            };
            (Origin::of(stream, owner), begun)
        })
    }

    /// Asks the broker for the topic's partitions and watermarks.
    pub fn begin(
        prepared: Prepared,
        clients: &mut Clients,
        wake: &WakeSet,
    ) -> Result<Opening, Failure> {
        let Prepared {
            plan,
            source,
            topic,
            stored,
            ..
        } = prepared;
        let client = transaction(|| clients.first(&source, wake))?;
        let description = clients.get(client).describe_topic(&topic, PATIENCE);
        Ok(Opening {
            plan,
            source,
            topic,
            client,
            description: Answer::Pending(description),
            began: Instant::now(),
            stored,
            earliest: None,
            latest: None,
        })
    }

    /// Which brokers are asked, as whom.
    pub fn access(&self) -> &Access {
        self.source.access()
    }

    /// Why there is no answer yet, for one who has waited long enough.
    pub fn cause(&self, clients: &Clients) -> String {
        let cause = clients.get(self.client).last_broker_error();
        let cause = cause.unwrap_or_else(|| "no answer from the Kafka broker".to_owned());
        format!("{}: {cause}", self.source.label())
    }

    /// Has the broker answered? Then the view's positions are compared with the topic, as a refresh does, and stored.
    pub fn poll(&mut self, clients: &Clients) -> Option<Result<Start, Stop>> {
        loop {
            match self.answers(clients) {
                Ok(None) => return None,
                Ok(Some((description, watermarks))) => {
                    match self.start(&description, &watermarks) {
                        Ok(Ok(start)) => return Some(Ok(start)),
                        Ok(Err(stored)) => {
                            // Somebody refreshed the view meanwhile: the watermarks may be older than its positions, so they are asked for again.
                            self.stored = stored;
                            (self.earliest, self.latest) = (None, None);
                        }
                        Err(stop) => return Some(Err(stop)),
                    }
                }
                Err(error) => {
                    let label = self.source.label();
                    let failure: Result<(), Failure> =
                        transaction(|| error::source(&label, &error).raise());
                    return Some(Err(Stop::Failed(failure.err()?)));
                }
            }
        }
    }

    fn answers(
        &mut self,
        clients: &Clients,
    ) -> Result<Option<(TopicDescription, Vec<Watermarks>)>, stream::Error> {
        let Some(description) = self.description.poll()?.cloned() else {
            return Ok(None);
        };
        let client = clients.get(self.client);
        let (source, topic) = (&self.source, &self.topic);
        let own = self.plan.own(&description.partitions);
        if own.is_empty() {
            return Ok(Some((description, Vec::new())));
        }
        let ask = |spec| Answer::Pending(source.ask_offsets(client, topic, &own, spec));
        let earliest = self
            .earliest
            .get_or_insert_with(|| ask(OffsetSpec::Earliest))
            .poll()?
            .cloned();
        let latest = self
            .latest
            .get_or_insert_with(|| ask(OffsetSpec::Latest))
            .poll()?
            .cloned();
        let (Some(earliest), Some(latest)) = (earliest, latest) else {
            return Ok(None);
        };
        Ok(Some((description, Watermarks::pair(&earliest, &latest))))
    }

    /// The start, or the checkpoints that are stored now if they are others than when the broker was asked.
    fn start(
        &self,
        topic: &TopicDescription,
        watermarks: &[Watermarks],
    ) -> Result<Result<Start, Vec<Checkpoint>>, Stop> {
        // The plan of the definition may call the owner's functions: with a time limit, as a batch.
        batch::run(self.plan.table, self.plan.pace.batch_timeout(), || {
            bound_lock_waits();
            relation::lock(self.plan.table, relation::LockMode::RowExclusive);
            let view = materialized_view::find(self.plan.table)
                .unwrap_or_else(|| error::not_a_streaming_view(&self.topic).raise());
            let stored: Vec<Checkpoint> = checkpoints::read(view.id);
            if stored.is_empty() {
                error::no_checkpoint(&view.name()).raise();
            }
            // Other workers may be busy with the other partitions.
            let own: Vec<i32> = stored.iter().map(|c| c.part).collect();
            checkpoints::lock_positions::<Offset>(view.id, &self.plan.own(&own));
            let stored = self.plan.own_checkpoints(checkpoints::read(view.id));
            if stored != self.stored {
                return Err(stored);
            }
            // What the worker before could not write.
            let own: Vec<i32> = stored.iter().map(|c| c.part).collect();
            checkpoints::flush(&view, Some(&own));
            if stored.is_empty() && watermarks.is_empty() {
                // More workers than partitions.
                return Ok(Start {
                    positions: BTreeMap::new(),
                    topic_id: topic.topic_id.clone(),
                    ends: BTreeMap::new(),
                    excluded: BTreeSet::new(),
                });
            }
            let locked = refresh::lock_source(&view);
            let bounds = refresh::definition_bounds::<Kafka>(&view, &locked, &self.topic);
            let (watermarks, excluded): (Vec<Watermarks>, Vec<Watermarks>) = watermarks
                .iter()
                .partition(|w| bounds.has_partition(w.partition));
            let excluded: Vec<i32> = excluded.iter().map(|w| w.partition).collect();
            let plan = plan::<Kafka>(&view, topic, &stored, (&watermarks, &excluded), &bounds);
            let starts: Vec<State<Offset>> = plan.parts.iter().map(|p| p.from.clone()).collect();
            plan.store(view.id, &starts);
            let positions: BTreeMap<i32, i64> = starts
                .iter()
                .filter_map(|start| Some((start.part, start.position.0?)))
                .collect();
            refresh::log_lost(&view, &plan.lost, &plan.jumps());
            Ok(Start {
                positions,
                topic_id: topic.topic_id.clone(),
                ends: watermarks.iter().map(|w| (w.partition, w.latest)).collect(),
                excluded: excluded.into_iter().collect(),
            })
        })
    }

    /// Reads from there on.
    pub fn into_feed(
        self,
        start: Start,
        clients: &mut Clients,
        wake: &WakeSet,
    ) -> Result<Feed, Failure> {
        let ranges = ranges_from(&start.positions);
        let (reader_client, reader) = clients.read(
            &self.source,
            (&self.topic, start.topic_id.as_ref()),
            ranges,
            false,
            wake,
        )?;
        Ok(Feed {
            members: vec![self.plan.mv_id],
            slice: self.plan.slice,
            pace: self.plan.pace,
            tempo: Tempo::new(self.plan.pace.limits(), self.plan.slice.of()),
            topic: self.topic,
            client: self.client,
            source: self.source,
            positions: start.positions,
            excluded: start.excluded,
            topic_id: start.topic_id,
            is_recreated: false,
            ends: start.ends,
            backlog: None,
            reader,
            reader_client,
            has_room_since: None,
            looked: Instant::now(),
            look: None,
            is_silent: false,
        })
    }
}
