//! Which shards of a stream are read, and from where: what a view has stored against the shards that the service shows now. A row is kept for each
//! shard that it shows: those that are drained are not read again, and a shard without a row is new.

use crate::loss::OnDataLoss;

#[cfg(test)]
mod tests;

/// What a view has stored of a shard, with positions of type `P`.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a, P> {
    /// The shard's id.
    pub shard: &'a str,
    /// Where to read on.
    pub position: &'a P,
    /// When the stream was created that the position belongs to, as text.
    pub created: Option<&'a str>,
    /// Everything that arrived in the shard before this time is loaded, in milliseconds since 1970.
    pub caught_up_to: Option<i64>,
    /// The shard is closed and loaded to its end.
    pub is_drained: bool,
}

/// A stream as the service describes it.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// When it was created, as text.
    pub created: &'a str,
    /// What arrived before this time has expired, in milliseconds since 1970.
    pub oldest: i64,
    /// The ids of its shards, children and parents alike.
    pub shards: &'a [&'a str],
}

/// Records of a shard that arrived in this time may have expired before they were loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss<'a> {
    /// The shard.
    pub shard: &'a str,
    /// What arrived before it is loaded, in milliseconds since 1970.
    pub from: i64,
    /// What arrived after it is still there.
    pub until: i64,
}

/// What a view that takes no losses is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal<'a> {
    /// The stream is another one than this, which was created then.
    Recreated {
        /// As it is stored.
        old: &'a str,
    },
    /// The first loss.
    Lost(Loss<'a>),
}

/// A shard that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read<'a, P> {
    /// Its id.
    pub shard: &'a str,
    /// From there; `None` is its oldest record. A child begins there, where its parents end.
    pub from: Option<&'a P>,
}

/// What is to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan<'a, P> {
    /// The shards that are not drained, in the order in which the service shows them.
    pub reads: Vec<Read<'a, P>>,
    /// Shards of another stream of the same name: what they had from where the view stood is given up.
    pub abandoned: Vec<&'a str>,
    /// What is given up of this stream.
    pub lost: Vec<Loss<'a>>,
    /// Shards that are stored and that the service does not show: they have no records any more.
    pub gone: Vec<&'a str>,
}

/// Compares what is stored with the stream.
pub fn plan<'a, P>(
    stream: Stream<'a>,
    stored: &[Stored<'a, P>],
    on_loss: OnDataLoss,
) -> Result<Plan<'a, P>, Refusal<'a>> {
    let of_other = |row: &Stored<'a, P>| row.created.filter(|created| *created != stream.created);
    let old = stored.iter().find_map(of_other);
    let undrained = || stored.iter().filter(|row| !row.is_drained);
    let (abandoned, lost): (Vec<&str>, Vec<Loss>) = match old {
        Some(_) => (undrained().map(|row| row.shard).collect(), Vec::new()),
        None => {
            let expired = undrained().filter_map(|row| expired(row, stream.oldest));
            (Vec::new(), expired.collect())
        }
    };
    if on_loss == OnDataLoss::Fail {
        if let Some(old) = old {
            return Err(Refusal::Recreated { old });
        }
        if let Some(loss) = lost.first() {
            return Err(Refusal::Lost(*loss));
        }
    }
    let read = |shard: &&'a str| {
        let row = stored.iter().find(|row| row.shard == *shard);
        let from = match row {
            _ if old.is_some() => None,
            Some(row) if row.is_drained => return None,
            row => row.map(|row| row.position),
        };
        Some(Read { shard, from })
    };
    let known = stored.iter().map(|row| row.shard);
    Ok(Plan {
        reads: stream.shards.iter().filter_map(read).collect(),
        abandoned,
        lost,
        gone: known.filter(|id| !stream.shards.contains(id)).collect(),
    })
}

/// A shard is shown as long as it has records. So whatever is missing arrived longer ago than the retention.
fn expired<'a, P>(row: &Stored<'a, P>, oldest: i64) -> Option<Loss<'a>> {
    let from = row.caught_up_to.filter(|time| *time < oldest)?;
    Some(Loss {
        shard: row.shard,
        from,
        until: oldest,
    })
}
