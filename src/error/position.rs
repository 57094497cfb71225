//! Positions: what is lost, what cannot be read, what users write.

use super::{POSITION_PASSED, POSITION_PAST_END, POSITION_UNREADABLE, TOPIC_RECREATED};
use crate::pg::report::{Report, sqlstate};

/// Records of a shard expired before they were loaded.
pub fn shard_expired(view: &str, stream: &str, shard: &str, from: &str, until: &str) -> Report {
    Report::new(
        POSITION_PASSED,
        format!("materialized view \"{view}\": records of stream \"{stream}\", {shard} may be lost"),
    )
    .detail(format!(
        "Everything that arrived before {from} is loaded, and the stream keeps what arrived after {until}: what arrived between may have expired."
    ))
    .hint(format!(
        "To accept the loss: CALL redshift.set_position('{view}', '{shard}', 'earliest'), which loads from the oldest record that is left; or ALTER MATERIALIZED VIEW {view} SET (on_data_loss = 'continue')."
    ))
}

/// The stream was deleted and created again.
pub fn stream_recreated(view: &str, stream: &str, old: &str, new: &str) -> Report {
    Report::new(TOPIC_RECREATED, format!("materialized view \"{view}\": stream \"{stream}\" was re-created"))
        .detail(format!("The one that was loaded was created at {old}, this one at {new}."))
        .hint(format!(
            "To load the new stream from its start: CALL redshift.set_position('{view}', NULL, 'earliest'). The rows of the old one stay."
        ))
}

/// Records between the position and the earliest offset are gone.
pub fn position_passed(
    view: &str,
    topic: &str,
    partition: i32,
    position: i64,
    earliest: i64,
) -> Report {
    Report::new(
        POSITION_PASSED,
        format!("materialized view \"{view}\": records of topic \"{topic}\", partition {partition} are lost"),
    )
    .detail(format!(
        "The next record to load is offset {position}, the earliest that the broker still has is {earliest}: offsets {position} to {} are gone.",
        earliest - 1
    ))
    .hint(format!(
        "To accept the loss: CALL redshift.set_position('{view}', '{partition}', '{earliest}'); or ALTER MATERIALIZED VIEW {view} SET (on_data_loss = 'continue')."
    ))
}

/// The position is after the last record.
pub fn position_past_end(
    view: &str,
    topic: &str,
    partition: i32,
    position: i64,
    end: i64,
) -> Report {
    Report::new(
        POSITION_PAST_END,
        format!("materialized view \"{view}\": the position in topic \"{topic}\", partition {partition} is past its end"),
    )
    .detail(format!(
        "The next record to load is offset {position}, but the partition ends at {end}: the broker lost records, or the topic was re-created."
    ))
    .hint(format!("To go on at the end: CALL redshift.set_position('{view}', '{partition}', '{end}'). To load what is there from the start: CALL redshift.set_position('{view}', NULL, 'earliest')."))
}

/// The topic was dropped and created again.
pub fn topic_recreated(view: &str, topic: &str, detail: String) -> Report {
    Report::new(TOPIC_RECREATED, format!("materialized view \"{view}\": topic \"{topic}\" was re-created")).detail(detail).hint(format!(
        "To load the new topic from its start: CALL redshift.set_position('{view}', NULL, 'earliest'). The rows of the old one stay."
    ))
}

/// What of a row of redshift.checkpoint cannot be read.
pub struct UnreadablePosition<'a> {
    /// The view, as SQL names it.
    pub view: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its number.
    pub mv_id: i64,
    /// What its parts are called: partition or shard.
    pub of: &'a str,
    /// The part, as it stands there.
    pub part: &'a str,
    /// Can that be read?
    pub has_part: bool,
    /// What cannot be read.
    pub what: &'a str,
    /// What stands there.
    pub text: &'a str,
    /// Where the view stood by what was loaded last.
    pub known: Option<String>,
    /// The part could be one, but the stream has none of that name.
    pub is_unknown: bool,
    /// If it is the part that cannot be read: where the view stands in all parts, with `..` for those that are not known.
    pub positions: Vec<(String, String)>,
}

/// As `redshift.set_position` takes them: offsets as numbers.
fn explicit(positions: &[(String, String)]) -> String {
    let member = |(part, position): &(String, String)| match position.parse::<i64>() {
        Ok(offset) => format!("\"{part}\": {offset}"),
        Err(_) => format!("\"{part}\": \"{position}\""),
    };
    let members: Vec<String> = positions.iter().map(member).collect();
    format!("{{{}}}", members.join(", "))
}

/// A stored position, or what names its partition or shard, is none.
pub fn position_unreadable(row: &UnreadablePosition) -> Report {
    let UnreadablePosition {
        view,
        name,
        mv_id,
        of,
        part,
        what,
        text,
        ..
    } = row;
    let quoted = |text: &str| text.replace('\'', "''");
    let to = row.known.as_deref().unwrap_or("..");
    let (statement, hint) = match (row.has_part, &row.known) {
        (true, Some(_)) => (
            format!(
                "CALL redshift.set_position('{}', '{}', '{to}')",
                quoted(view),
                quoted(part)
            ),
            format!(
                "{to} is where what was loaded last ends, by redshift.scan_ledger or the counts beside the position."
            ),
        ),
        (true, None) => (
            format!(
                "CALL redshift.set_position('{}', '{}', '{to}')",
                quoted(view),
                quoted(part)
            ),
            "Say where the view goes on: nothing tells what was loaded last.".to_owned(),
        ),
        (false, _) => (
            format!(
                "CALL redshift.set_position('{}', NULL, '{}')",
                quoted(view),
                explicit(&row.positions)
            ),
            format!(
                "Write the name of the {of} that is missing in the place of \"..\": what stands behind it is where the view stood there. A {of} that is not named begins at its earliest record."
            ),
        ),
    };
    let place = if row.has_part {
        format!("{of} {part}: ")
    } else {
        String::new()
    };
    let why = if row.is_unknown {
        "is none of the stream's"
    } else {
        "cannot be read"
    };
    Report::new(POSITION_UNREADABLE, format!("materialized view \"{name}\": {place}the stored {} \"{text}\" {why}", what.replace('_', " ")))
        .detail(format!("The row of redshift.checkpoint with mv_id {mv_id} and partition_id '{}' was damaged; nothing is loaded until it is mended: {statement}.", quoted(part)))
        .hint(hint)
}

/// start = timestamp where the broker cannot look records up by time.
pub fn no_time_lookup(topic: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("the broker cannot look up records of topic \"{topic}\" by time"),
    )
    .hint("Use start = earliest, latest or positions such as {\"0\": 42}.")
}

/// set_position with something that is no position.
pub fn invalid_position(position: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid position \"{position}\""),
    )
    .hint("A position is the next offset to load (of a shard: the last sequence number that is loaded), or earliest, latest, a timestamp.")
}

/// No checkpoint for the partition.
pub fn unknown_partition(view: &str, partition: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_OBJECT,
        format!("materialized view \"{view}\" has read no partition \"{partition}\""),
    )
    .hint("redshift.visible_checkpoint lists the partitions; NULL stands for all.")
}

/// No checkpoint rows at all: deleted by hand, or lost by a partial restore.
pub fn no_checkpoint(view: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("materialized view \"{view}\" has no positions"))
        .detail("Its rows in redshift.checkpoint are missing, so it is not known which records it holds already.")
        .hint(format!("Restore them, or say where to go on: CALL redshift.set_position('{view}', NULL, 'earliest') loads the topic again from its start."))
}
