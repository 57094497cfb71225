//! Where a new view begins: the option `start`.

use crate::catalog::checkpoint;
use crate::error;
use crate::pg::setting;
use crate::source::Source;
use crate::source::any::{Named, Stream, each};

/// Asks the source where a view begins; gives what stores it as the checkpoints of a view.
pub fn ask(stream: &Stream, start: Option<&str>) -> Box<dyn Fn(i64)> {
    each!(Stream, stream, it => Box::new(checkpoints(it, start.unwrap_or("earliest"))))
}

fn checkpoints<S: Source>(stream: &Named<S>, start: &str) -> impl Fn(i64) + use<S> {
    let Named { source, name } = stream;
    let client = source.connect(setting::memory_limit_bytes());
    let description = source.describe(&client, name);
    let start = start.trim();
    let checkpoints = source
        .start(&client, &description, start)
        .unwrap_or_else(|| error::option_value("start", start, S::WORDS.starts).raise());
    move |mv_id| {
        for checkpoint in &checkpoints {
            checkpoint::store(mv_id, checkpoint, None);
        }
    }
}
