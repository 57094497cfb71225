//! A row of failures of a view, whatever their causes: told once (history, event, log) when it begins, and once more when every partition is past what
//! has failed.

use crate::catalog::position::{Position, State};
use std::collections::BTreeMap;

/// SQLSTATE of brokers that do not answer (errcodes.txt).
pub const NO_CONNECTION: &str = "08001";

/// Failures of a view that are not over.
#[derive(Default)]
pub struct Trouble {
    /// It has been told.
    pub is_told: bool,
    /// It began in another process: what failed there is before the end of the topic.
    is_inherited: bool,
    /// Where each partition or shard has to be before it is over, as text: a view is of one source, its worker has them all.
    to_pass: BTreeMap<String, String>,
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

    /// The batch that would have reached these positions has failed.
    pub fn cover<'a, P: Position>(&mut self, reached: impl Iterator<Item = &'a State<P>>) {
        for state in reached {
            if self
                .end::<P>(&state.part)
                .is_none_or(|end| !end.has_passed(&state.position))
            {
                let (part, end) = (state.part.to_string(), state.position.to_string());
                self.to_pass.insert(part, end);
            }
        }
    }

    /// A stream was opened whose parts end there: what is to be passed lies before that (it may be another topic of the same name).
    pub fn bound<P: Position>(&mut self, ends: &[State<P>]) {
        let failed = std::mem::take(&mut self.to_pass);
        let is_inherited = std::mem::take(&mut self.is_inherited);
        for State { part, position, .. } in ends {
            let name = part.to_string();
            let known = failed.get(&name).and_then(|text| P::read(text));
            let end = match known {
                Some(known) if !is_inherited && !known.has_passed(position) => known,
                None if !is_inherited => continue,
                _ => position.clone(),
            };
            self.to_pass.insert(name, end.to_string());
        }
    }

    /// Is a view past it that stands there?
    pub fn is_past<P: Position>(&self, stored: &[State<P>]) -> bool {
        let is_past = |state: &State<P>| {
            let end = self.end::<P>(&state.part);
            state.is_drained || end.is_none_or(|end| state.position.has_passed(&end))
        };
        self.to_pass.is_empty() || stored.iter().all(is_past)
    }

    fn end<P: Position>(&self, part: &P::Part) -> Option<P> {
        P::read(self.to_pass.get(&part.to_string())?)
    }
}
