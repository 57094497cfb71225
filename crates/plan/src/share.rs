//! Which worker loads which partitions of which view: a rule that all workers of a database compute alike, from the same list.
//!
//! Topics go round the workers in the order of their oldest views, so views of one topic are together and share its fetch. A view with `parallel = n`
//! is cut into n slices of its partitions, which go to as many workers, beginning at its topic's. If two workers see different lists for a moment
//! nothing is loaded twice: each batch compares the positions under their lock.

#[cfg(test)]
mod tests;

/// One worker's place among those of its database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Its number, from 0.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
}

/// Some of a view's partitions: those whose number leaves `index` when divided by `of`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    index: i32,
    of: i32,
}

impl Slice {
    /// Is the partition one of them?
    pub fn takes(self, partition: i32) -> bool {
        partition.rem_euclid(self.of) == self.index
    }

    /// Into how many slices the view is cut.
    pub fn of(self) -> u32 {
        self.of.unsigned_abs()
    }
}

/// The slice of each view that is this worker's; `None` for views that others have. The views are in the order of their numbers, given as topic and
/// `parallel`.
pub fn slices<T: PartialEq>(share: Share, views: &[(T, i32)]) -> Vec<Option<Slice>> {
    let workers = share.workers.max(1);
    let mut topics: Vec<&T> = Vec::new();
    let slice = |parallel: i32, place: usize| {
        let of = usize::try_from(parallel).unwrap_or(1).clamp(1, workers);
        let index = (share.worker + workers - place % workers) % workers;
        (index < of).then_some(Slice {
            index: index as i32,
            of: of as i32,
        })
    };
    let mut found = Vec::with_capacity(views.len());
    for view in views {
        let place = topics.iter().position(|topic| **topic == view.0);
        let place = place.unwrap_or_else(|| {
            topics.push(&view.0);
            topics.len() - 1
        });
        found.push(slice(view.1, place));
    }
    found
}

/// How many workers have something to do.
pub fn useful_workers<T: PartialEq>(views: &[(T, i32)]) -> usize {
    let mut topics: Vec<(&T, usize)> = Vec::new();
    for (topic, parallel) in views {
        let parallel = usize::try_from(*parallel).unwrap_or(1).max(1);
        match topics.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, most)) => *most = parallel.max(*most),
            None => topics.push((topic, parallel)),
        }
    }
    topics.iter().map(|(_, parallel)| parallel).sum()
}
