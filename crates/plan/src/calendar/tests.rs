//! Against a reference that steps through the days one by one.

use super::*;
use proptest::prelude::*;

/// The day after, by the rule of leap years as people say it.
fn tomorrow(Date { year, month, day }: Date) -> Date {
    let is_leap = year % 400 == 0 || year % 4 == 0 && year % 100 != 0;
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    match (month, day) {
        (12, 31) => Date {
            year: year + 1,
            month: 1,
            day: 1,
        },
        (_, last) if last == length => Date {
            year,
            month: month + 1,
            day: 1,
        },
        _ => Date {
            year,
            month,
            day: day + 1,
        },
    }
}

#[test]
fn days_are_those_of_the_calendar() {
    let mut date = Date {
        year: -4800,
        month: 1,
        day: 1,
    };
    let first = date.to_days();
    // More than a period of 400 years on both sides of the years 0 and 2000.
    for days in first..first + 4 * 146_097 * 5 {
        assert_eq!(Date::of_days(days), date);
        assert_eq!(date.to_days(), days);
        let next = tomorrow(date);
        assert_eq!(date.is_last(), next.month != date.month);
        date = next;
    }
    assert_eq!(
        Date::of_days(0),
        Date {
            year: 2000,
            month: 1,
            day: 1
        }
    );
}

#[test]
fn every_part_has_a_name_of_its_own() {
    for name in [
        "mil",
        "century",
        "dec",
        "epoch",
        "yr",
        "qtr",
        "mon",
        "w",
        "dow",
        "doy",
        "d",
        "h",
        "m",
        "s",
        "ms",
        "us",
        "timezone",
        "timezone_hour",
        "timezone_minute",
    ] {
        let part = Part::named(&name.to_uppercase()).unwrap();
        assert_eq!(
            Part::named(part.name()).or(Some(part)),
            Some(part),
            "{name}"
        );
    }
    assert_eq!(Part::named("fortnight"), None);
}

#[test]
fn weekdays_by_unambiguous_beginnings() {
    assert_eq!(weekday(" Su"), Some(0));
    assert_eq!(weekday("SATURDAY"), Some(6));
    assert_eq!(weekday("t"), None);
    assert_eq!(weekday("tu"), Some(2));
    assert_eq!(weekday("saturdays"), None);
}

/// Timestamps of the years 1 to 4000 or so.
fn timestamps() -> impl Strategy<Value = i64> {
    -730_000 * DAY..730_000 * DAY
}

fn parts_of_one_length() -> impl Strategy<Value = Part> {
    proptest::sample::select(vec![
        Part::Week,
        Part::Day,
        Part::Hour,
        Part::Minute,
        Part::Second,
        Part::Millisecond,
        Part::Microsecond,
    ])
}

fn parts_of_months() -> impl Strategy<Value = Part> {
    proptest::sample::select(vec![
        Part::Millennium,
        Part::Century,
        Part::Decade,
        Part::Year,
        Part::Quarter,
        Part::Month,
    ])
}

proptest! {
    #[test]
    fn parts_of_one_length_add_up(part in parts_of_one_length(), count in -100_000i64..100_000, from in timestamps()) {
        let to = add(part, count, from).unwrap();
        prop_assert_eq!(add(part, -count, to), Ok(from));
        prop_assert_eq!(difference(part, from, to), Ok(count));
    }

    #[test]
    fn months_lead_to_the_same_day_or_the_next_one_there_is(part in parts_of_months(), count in -30i64..30, from in timestamps()) {
        let Ok(to) = add(part, count, from) else { return Ok(()) };
        let (a, b) = (Date::of_days(from.div_euclid(DAY)), Date::of_days(to.div_euclid(DAY)));
        prop_assert_eq!(from.rem_euclid(DAY), to.rem_euclid(DAY));
        match part {
            // A year and more leads from a Feb 29 to Mar 1.
            Part::Month | Part::Quarter => prop_assert!(b.day == a.day || b.is_last() && b.day < a.day),
            _ => prop_assert!(b.day == a.day || (a.month, a.day, b.month, b.day) == (2, 29, 3, 1)),
        }
        prop_assert_eq!(difference(part, from, to), Ok(count));
    }

    #[test]
    fn differences_add_up(part in prop_oneof![parts_of_one_length(), parts_of_months()], a in timestamps(), b in timestamps(), c in timestamps()) {
        let between = |from, to| difference(part, from, to).unwrap();
        prop_assert_eq!(between(a, b) + between(b, c), between(a, c));
        prop_assert_eq!(between(a, b), -between(b, a));
        prop_assert!(a > b || between(a, b) >= 0);
    }

    #[test]
    fn the_end_of_a_month_stays_one(from in timestamps(), months in -500i64..500) {
        let to = add_months(from, months).unwrap();
        let (a, b) = (Date::of_days(from.div_euclid(DAY)), Date::of_days(to.div_euclid(DAY)));
        prop_assert_eq!(b.months() - a.months(), months);
        prop_assert!(b.day == a.day && !a.is_last() || b.is_last());
        if a.is_last() || a.day == b.day {
            prop_assert_eq!(months_between(to, from), months as f64);
        }
        prop_assert_eq!(months_between(to, from), -months_between(from, to));
        prop_assert_eq!(last_day(to), Date { day: b.days_in_month(), ..b }.to_days());
    }

    #[test]
    fn the_next_weekday_comes_within_a_week(from in timestamps(), wanted in 0i64..7) {
        let (today, found) = (from.div_euclid(DAY), next_day(from, wanted));
        prop_assert!((1..=7).contains(&(found - today)));
        // 2000-01-02 was a Sunday.
        prop_assert_eq!((found - 1).rem_euclid(7), wanted);
    }

    #[test]
    fn nothing_overflows(part in prop_oneof![parts_of_one_length(), parts_of_months()], count: i64, from: i64, to: i64) {
        if let Ok(result) = add(part, count, from) {
            prop_assert!(join(result.div_euclid(DAY), result.rem_euclid(DAY)) == Some(result));
        }
        let _ = (difference(part, from, to), add_months(from, count), months_between(from, to), last_day(from));
    }
}
