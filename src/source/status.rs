//! What sources answer when they are asked how they are: names, parts, and how far views are behind.

use crate::pg::guard::Failure;
use crate::pg::report::Report;
use std::os::fd::RawFd;
use std::time::Instant;

/// A stream that there is.
pub struct Listed {
    /// Its name.
    pub name: String,
    /// It is the source's own: only who names it wants it.
    pub is_internal: bool,
}

/// One row of `redshift.source_status`.
pub struct PartStatus {
    /// The topic.
    pub topic: String,
    /// The partition; a stream of Kinesis has none.
    pub partition_id: Option<i64>,
    /// The shard; a topic has none.
    pub shard_id: Option<String>,
    /// The earliest offset; shards have none.
    pub low_watermark: Option<i64>,
    /// The end: the last stable offset; shards have none.
    pub high_watermark: Option<i64>,
    /// Time of the newest record, in microseconds since 2000 (UTC).
    pub last_record_time: Option<i64>,
    /// Why nothing is known of the topic or stream, which is one row then.
    pub error: Option<String>,
}

impl PartStatus {
    /// Of a topic or stream that the service refuses to tell of.
    pub fn unknown(topic: &str, report: Report) -> PartStatus {
        PartStatus {
            topic: topic.to_owned(),
            partition_id: None,
            shard_id: None,
            low_watermark: None,
            high_watermark: None,
            last_record_time: None,
            error: Some(report.message),
        }
    }
}

/// How far a view is behind in one partition or shard, or why nobody knows.
pub struct Lag {
    /// The partition or shard; `None` if the view as a whole could not be asked for.
    pub partition: Option<String>,
    /// The end of the partition; shards have none.
    pub high_watermark: Option<i64>,
    /// How long the oldest record that is not loaded has been there, in seconds; only of shards.
    pub seconds: Option<f64>,
    /// What went wrong.
    pub error: Option<String>,
    /// Has the source answered? `None` if it was not asked, since the view itself is broken.
    pub source_up: Option<bool>,
}

/// Why there is no answer.
#[derive(Clone)]
pub struct Trouble {
    error: String,
    source_up: Option<bool>,
}

impl Trouble {
    /// The view itself is broken, so that its source was not asked.
    pub fn of_view(failure: Failure) -> Trouble {
        Trouble {
            error: failure.message,
            source_up: None,
        }
    }

    /// No client can be made of the server's options and the owner's credentials.
    pub fn of_server(failure: Failure) -> Trouble {
        Trouble {
            error: failure.message,
            source_up: Some(false),
        }
    }

    /// The source has said no, or nothing (SQLSTATE class 08, connections).
    pub fn of_source(report: &Report) -> Trouble {
        let detail = report
            .detail
            .as_ref()
            .map(|detail| format!(" DETAIL: {detail}"));
        Trouble {
            error: format!("{}{}", report.message, detail.unwrap_or_default()),
            source_up: Some(!report.sqlstate.0.starts_with(b"08")),
        }
    }

    /// As a row without a lag.
    pub fn row(&self) -> Lag {
        Lag {
            partition: None,
            high_watermark: None,
            seconds: None,
            error: Some(self.error.clone()),
            source_up: self.source_up,
        }
    }
}

/// How far a view is behind: asked without waiting, and answered later.
pub trait LagQuestion {
    /// Becomes readable when there may be more to take in.
    fn wake_fd(&self) -> RawFd;

    /// Everything is polled now.
    fn clear_wake(&self);

    /// Takes in what has come. Until when to wait; `None` if it is done.
    fn take_in(&mut self) -> Option<Instant>;

    /// The answer; to be asked for when it is there.
    fn rows(&self) -> Vec<Lag>;
}
