//! What a refresh of a stream does that one of a topic does not: the shards side by side, each to parity.

use super::plan::{Plan, plan, utc};
use super::source::Source;
use crate::catalog::ledger::{self, Entry};
use crate::catalog::{checkpoint, refresh_history};
use crate::pg::progress::Phase;
use crate::refresh::{self, Locked, Run, Summary};
use crate::scan::job::{Input, Job, Outcome};
use crate::{error, settings};
use std::rc::Rc;
use stream::kinesis::{Position, ReadOptions, ShardState, Until, now_ms};

/// Loads what the stream has; the view and its source are locked.
pub fn run(run: &Run, locked: &Locked, source: &Source, stream: &str) -> Summary {
    let view = run.view;
    let stored = checkpoint::lock(view.id);
    let client = Rc::new(source.connect(settings::memory_limit_bytes()));
    let description = source.describe(&client, stream);
    let began = now_ms();
    let plan = plan(view, &description, stored, began);
    let (rows, outcome) = if plan.shards.is_empty() {
        (0, None)
    } else {
        let options = ReadOptions {
            until: Until::Parity(began),
            page_records: None,
            deaggregate: source.deaggregate,
        };
        let reader = client
            .read(stream, plan.shards.clone(), &options)
            .unwrap_or_else(|error| error::service(&source.label(), &error).raise());
        let job = Job {
            table: locked.stream,
            topic: stream.to_owned(),
            input: Input::FetchShards(Box::new(reader), Rc::clone(&client)),
            ranges: Vec::new(),
            limits: run.limits,
            refresh_time: run.started,
        };
        run.reporting
            .expect(plan.shards.len(), run.limits.max_records);
        run.reporting.phase(Phase::Loading);
        refresh::load(view, locked.definition, job)
    };
    // A stream that was re-created while it was read may have given records of both.
    let after = source.describe(&client, stream);
    if after.created_ms != description.created_ms {
        let [old, new] = [description.created_ms, after.created_ms].map(utc);
        error::stream_recreated(&view.name(), stream, &old, &new).raise();
    }
    run.reporting.phase(Phase::Storing);
    store(run, plan, outcome, rows)
}

fn store(run: &Run, plan: Plan, outcome: Option<Outcome>, rows: u64) -> Summary {
    // A plan that needs no scan at all (WHERE false) has read nothing; what is new is stored all the same.
    let outcome = outcome.unwrap_or_else(|| Outcome {
        shards: plan.shards.iter().map(ShardState::new).collect(),
        ..Outcome::default()
    });
    checkpoint::flush_all(run.view);
    ledger::insert_losses(run.view.id, &plan.jumps());
    let query_id = refresh_history::next_query_id();
    for (state, from) in plan.store(run.view.id, &outcome.shards) {
        if let Some(entry) = entry(&outcome, state, &from) {
            ledger::insert(query_id, run.view.id, &entry);
        }
    }
    refresh::finish(run, query_id, &outcome, plan.lost, rows)
}

/// The ledger's entry of a shard; none if it stayed where it was.
pub fn entry(outcome: &Outcome, state: &ShardState, from: &Position) -> Option<Entry> {
    if state.position == *from {
        return None;
    }
    let place = outcome.shards.iter().position(|s| s.id == state.id)?;
    let progress = outcome.partitions.get(place).copied().unwrap_or_default();
    let last = match &state.position {
        Position::After(number) => Some(number.to_string()),
        _ => None,
    };
    let positions = (from.to_string(), state.position.to_string(), last);
    Some(Entry::new(state.id.clone(), positions, &progress))
}
