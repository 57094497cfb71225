//! Options of WITH (..) that say how a worker loads a view. Those that are not given follow the settings of the same names.

use super::kept::kept_options;
use crate::pg::setting;
use plan::tempo::Limits;
use std::time::Duration;

kept_options! {
    /// How a worker loads a view.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Pace {
        /// `batch_records`
        batch_records: Option<i32> = BATCH_RECORDS,
        /// `batch_size`, in kilobytes.
        batch_kb: Option<i32> = BATCH_SIZE,
        /// `commit_window_ms`
        commit_window_ms: Option<i32> = COMMIT_WINDOW,
        /// `max_records_per_second`
        max_records_per_second: Option<i32> = MAX_RECORDS_PER_SECOND,
        /// `batch_timeout`, in milliseconds.
        batch_timeout_ms: Option<i32> = BATCH_TIMEOUT,
        /// `parallel`: how many workers divide the partitions.
        parallel: i32 = PARALLEL,
    }
}

impl Pace {
    /// What is asked of its batches: the options, or the settings in their place.
    pub fn limits(&self) -> Limits {
        let (records, bytes) = setting::batch_limits();
        Limits {
            records: self
                .batch_records
                .map_or(records, |records| usize::try_from(records).unwrap_or(1)),
            bytes: self
                .batch_kb
                .map_or(bytes, |kb| u64::try_from(kb).unwrap_or(1) * 1024),
            window: self
                .commit_window_ms
                .map_or_else(setting::commit_window, setting::milliseconds),
            per_second: self.max_records_per_second.map(f64::from),
        }
    }

    /// The longest time of a batch; None: any. The view's owner can make it shorter than the setting, not longer.
    pub fn batch_timeout(&self) -> Option<Duration> {
        let own = self.batch_timeout_ms.map(setting::milliseconds);
        [own, setting::batch_timeout()].into_iter().flatten().min()
    }
}
