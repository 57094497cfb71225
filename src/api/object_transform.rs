//! OBJECT_TRANSFORM ("OBJECT_TRANSFORM function" in Redshift's Developer Guide): the paths that it takes. What it does is in [`super_value::changes`].

use pgrx::prelude::*;
use super_value::Kind;
use super_value::changes::Changes;
use super_value::limits::MAX_DEPTH;
use super_value::pace::Pace;

use crate::pg::datum::{Super, Varlena};
use crate::pg::report::{Report, sqlstate};
use crate::types::compose;

/// OBJECT_TRANSFORM: see `redshift.object_transform` in the SQL. `keep` and `set` are paths such as `"a"."b"`; `values` is an array with one for each of `set`.
#[pg_extern]
fn object_transform(
    value: Super<'_>,
    keep: pgrx::Array<'_, &str>,
    set: pgrx::Array<'_, &str>,
    values: Super<'_>,
) -> Option<Varlena> {
    let value = value.value();
    if value.kind() != Kind::Object {
        return Some(Varlena::of_value(value));
    }
    let mut pace = Pace::new();
    let mut changes = Changes::default();
    let mut is_whole = true;
    for path in keep.iter().flatten() {
        pace.bytes(path.len());
        is_whole = false;
        read_path(path, &mut changes);
        let found = changes.find(value);
        compose::made(changes.set(found));
    }
    for (path, new) in set.iter().flatten().zip(values.value().elements()) {
        pace.bytes(path.len());
        read_path(path, &mut changes);
        compose::made(changes.set(Some(new)));
    }
    Some(compose::image(changes.apply(is_whole.then_some(value))))
}

#[cold]
fn refuse(path: &str) -> ! {
    let start = &path[..path.floor_char_boundary(200)];
    let message = format!("invalid path {start}");
    Report::new(sqlstate::INVALID_PARAMETER_VALUE, message)
        .hint("A path is a list of quoted names with dots between them: '\"a\".\"b\"'.")
        .raise()
}

/// Reads the names in a path: `"a"."b c"`, quotes doubled inside, or bare names.
fn read_path(path: &str, changes: &mut Changes<'_>) {
    let mut rest = path.trim();
    loop {
        let after = match rest.strip_prefix('"') {
            Some(quoted) => read_quoted(path, quoted, changes),
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                if end == 0 {
                    refuse(path);
                }
                compose::made(changes.name(rest[..end].trim().as_bytes()));
                &rest[end..]
            }
        };
        if changes.depth() > MAX_DEPTH {
            let message = format!("a path has at most {MAX_DEPTH} names");
            Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).raise()
        }
        let after = after.trim_start();
        if after.is_empty() {
            return;
        }
        rest = after
            .strip_prefix('.')
            .unwrap_or_else(|| refuse(path))
            .trim_start();
    }
}

/// Reads the name before a closing quote; what follows that.
fn read_quoted<'a>(path: &str, quoted: &'a str, changes: &mut Changes<'_>) -> &'a str {
    let mut end = 0;
    loop {
        let Some(quote) = quoted[end..].find('"') else {
            refuse(path)
        };
        end += quote + 1;
        if !quoted[end..].starts_with('"') {
            break;
        }
        end += 1;
    }
    let name = &quoted[..end - 1];
    if name.contains('"') {
        let parts = name.split("\"\"").map(str::as_bytes);
        compose::made(changes.joined_name(parts));
    } else {
        compose::made(changes.name(name.as_bytes()));
    }
    &quoted[end..]
}
