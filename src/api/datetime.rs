//! Redshift's date and time functions. The rules are in [`calendar`]; timestamps and dates are passed as the numbers that Postgres stores.

use pgrx::prelude::*;
use plan::calendar::{self, DateError, Part};
use plan::date_format;

use crate::pg::datum::{Bytes, Varlena};
use crate::pg::report::{Report, sqlstate};

fn part(name: Bytes<'_>) -> Part {
    word(name).and_then(Part::named).unwrap_or_else(|| {
        let message = format!("\"{}\" is no date part", name.excerpt());
        Report::new(sqlstate::INVALID_PARAMETER_VALUE, message).raise()
    })
}

/// A text that may be a name: not a gigabyte of something else.
fn word(text: Bytes<'_>) -> Option<&str> {
    const LONGEST: usize = 1024;
    (text.as_slice().len() <= LONGEST).then(|| text.as_str())
}

#[cold]
fn refuse_part(part: Part, function: &str) -> ! {
    let message = format!("date part {} does not work in {function}", part.name());
    Report::new(sqlstate::INVALID_PARAMETER_VALUE, message).raise()
}

#[cold]
fn out_of_range() -> ! {
    Report::new(sqlstate::DATETIME_FIELD_OVERFLOW, "timestamp out of range").raise()
}

/// DATEADD of a timestamp.
#[pg_extern]
fn dateadd_timestamp(name: Bytes<'_>, count: i64, timestamp: i64) -> i64 {
    let part = part(name);
    if calendar::is_infinite(timestamp) {
        return timestamp;
    }
    calendar::add(part, count, timestamp).unwrap_or_else(|error| match error {
        DateError::Part => refuse_part(part, "DATEADD"),
        DateError::Range => out_of_range(),
    })
}

/// DATEADD of a time of day, in microseconds: past midnight it begins anew.
#[pg_extern]
fn dateadd_time(name: Bytes<'_>, count: i64, time: i64) -> i64 {
    let part = part(name);
    let length = part
        .of_time()
        .unwrap_or_else(|| refuse_part(part, "DATEADD of a time"));
    let sum = i128::from(time) + i128::from(count) * i128::from(length);
    sum.rem_euclid(i128::from(calendar::DAY)) as i64
}

/// DATEDIFF of two timestamps.
#[pg_extern]
fn datediff_timestamp(name: Bytes<'_>, from: i64, to: i64) -> i64 {
    let part = part(name);
    if calendar::is_infinite(from) || calendar::is_infinite(to) {
        let message = "cannot subtract infinite timestamps";
        Report::new(sqlstate::DATETIME_FIELD_OVERFLOW, message).raise()
    }
    calendar::difference(part, from, to).unwrap_or_else(|error| match error {
        DateError::Part => refuse_part(part, "DATEDIFF"),
        DateError::Range => {
            let message = format!("the difference in {} is out of range", part.name());
            Report::new(sqlstate::DATETIME_FIELD_OVERFLOW, message)
                .detail("A bigint cannot hold it.")
                .raise()
        }
    })
}

/// DATEDIFF of two times of day, in microseconds.
#[pg_extern]
fn datediff_time(name: Bytes<'_>, from: i64, to: i64) -> i64 {
    let part = part(name);
    let length = part
        .of_time()
        .unwrap_or_else(|| refuse_part(part, "DATEDIFF of times"));
    to.div_euclid(length) - from.div_euclid(length)
}

/// `redshift.date_part_name(text)`: Postgres's name for a date part of Redshift's.
#[pg_extern]
fn date_part_name(name: Bytes<'_>) -> Varlena {
    Varlena::of_payload(part(name).name().as_bytes())
}

/// ADD_MONTHS.
#[pg_extern]
fn add_months(timestamp: i64, months: i32) -> i64 {
    if calendar::is_infinite(timestamp) {
        return timestamp;
    }
    calendar::add_months(timestamp, i64::from(months)).unwrap_or_else(|| out_of_range())
}

fn finite(timestamp: i64) -> i64 {
    if calendar::is_infinite(timestamp) {
        out_of_range()
    }
    timestamp
}

/// MONTHS_BETWEEN.
#[pg_extern]
fn months_between(a: i64, b: i64) -> f64 {
    calendar::months_between(finite(a), finite(b))
}

/// LAST_DAY.
#[pg_extern]
fn last_day(timestamp: i64) -> i32 {
    calendar::last_day(finite(timestamp)) as i32
}

/// NEXT_DAY.
#[pg_extern]
fn next_day(timestamp: i64, name: Bytes<'_>) -> i32 {
    let weekday = word(name).and_then(calendar::weekday).unwrap_or_else(|| {
        let message = format!("\"{}\" is no day of the week", name.excerpt());
        Report::new(sqlstate::INVALID_PARAMETER_VALUE, message).raise()
    });
    calendar::next_day(finite(timestamp), weekday) as i32
}

/// What TO_DATE and TO_TIMESTAMP read.
#[pg_extern]
fn parse_timestamp(text: Bytes<'_>, format: Bytes<'_>, strict: bool) -> i64 {
    date_format::parse(text.as_str(), format.as_str(), strict).unwrap_or_else(|reason| {
        let message = format!("cannot read \"{}\" as a date: {reason}", text.excerpt());
        Report::new(sqlstate::INVALID_DATETIME_FORMAT, message).raise()
    })
}
