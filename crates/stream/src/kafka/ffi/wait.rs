//! How long a request's thread waits: until its deadline, or until nobody wants the answer any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at whether the answer is still wanted.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Tells a request's thread that nobody waits for it.
#[derive(Clone, Default)]
pub struct GiveUp(Arc<AtomicI32>);

impl GiveUp {
    /// The thread ends soon.
    pub fn tell(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// Was it told?
    pub fn is_told(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// For librdkafka, which looks at it while it waits. Lives as long as this value.
    pub(super) fn flag(&self) -> *const i32 {
        self.0.as_ptr()
    }
}

/// The patience of one request.
pub struct Wait {
    /// When it ends.
    pub deadline: Instant,
    /// Whether it ends before.
    pub give_up: GiveUp,
}

impl Wait {
    /// What is left of it.
    pub fn left(&self) -> Duration {
        if self.give_up.is_told() {
            return Duration::ZERO;
        }
        self.deadline.saturating_duration_since(Instant::now())
    }
}
