//! Texts are written by the rule of each element, and read back.

use super::*;
use crate::calendar::DAY;
use proptest::prelude::*;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A timestamp as the element of a format writes it.
fn written(element: &str, timestamp: i64) -> String {
    let (days, time) = (timestamp.div_euclid(DAY), timestamp.rem_euclid(DAY));
    let Date { year, month, day } = Date::of_days(days);
    let (hour, fraction) = (time / (3600 * SECOND), time % SECOND);
    match element {
        "YYYY" => format!("{year:04}"),
        "YY" => format!("{:02}", year % 100),
        "MM" => format!("{month:02}"),
        "MON" => MONTHS[month as usize - 1][..3].to_owned(),
        "MONTH" => MONTHS[month as usize - 1].to_owned(),
        "DD" => format!("{day:02}"),
        "DDD" => format!(
            "{:03}",
            days - Date {
                year,
                month: 1,
                day: 1
            }
            .to_days()
                + 1
        ),
        "HH24" => format!("{hour:02}"),
        "HH12" | "HH" => format!("{:02}", (hour + 11) % 12 + 1),
        "AM" | "PM" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "A.M." | "P.M." => if hour < 12 { "a.m." } else { "p.m." }.to_owned(),
        "MI" => format!("{:02}", time / (60 * SECOND) % 60),
        "SS" => format!("{:02}", time / SECOND % 60),
        "US" => format!("{fraction:06}"),
        separator => separator.to_owned(),
    }
}

fn formats() -> impl Strategy<Value = Vec<&'static str>> {
    let date = vec![
        vec!["YYYY", "-", "MM", "-", "DD"],
        vec!["YYYY", "MM", "DD"],
        vec!["DD", ". ", "MONTH", " ", "YYYY"],
        vec!["MON", " ", "DD", ", ", "YYYY"],
        vec!["YYYY", "/", "DDD"],
        vec!["DD", ".", "MM", ".", "YY"],
    ];
    let time = vec![
        vec!["HH24", ":", "MI", ":", "SS", ".", "US"],
        vec!["HH12", ":", "MI", ":", "SS", ".", "US", " ", "AM"],
        vec!["P.M.", " ", "HH", " ", "MI", " ", "SS", " ", "US"],
    ];
    let select = proptest::sample::select;
    (select(date), select(time)).prop_map(|(date, time)| [date, vec![" "], time].concat())
}

proptest! {
    #[test]
    fn what_is_written_by_a_format_is_read_by_it(format in formats(), timestamp in -10_957 * DAY..25_566 * DAY, strict: bool) {
        // 1970 to 2069: the years that YY can say.
        let text: String = format.iter().map(|element| written(element, timestamp)).collect();
        let as_sql = format.concat();
        prop_assert_eq!(parse(&text, &as_sql, strict), Ok(timestamp), "{} as {}", text, as_sql);
        prop_assert_eq!(parse(&text.to_uppercase(), &as_sql.to_lowercase(), strict), Ok(timestamp));
        let spaced = format!("  {}", text.replace(' ', "   "));
        prop_assert_eq!(parse(&spaced, &as_sql, strict), Ok(timestamp));
    }

    #[test]
    fn any_text_and_format_end_in_a_result(text in ".{0,40}", format in "([A-Za-z]{1,3}|YYYY|MM|DD|HH24|MI|SS|MONTH|US|\"[^\"]{0,3}\"?|[-/:. é]){0,8}", strict: bool) {
        let _ = parse(&text, &format, strict);
    }
}

#[test]
fn a_day_that_the_month_does_not_have_rolls_over_unless_strict() {
    let read = |text, strict| parse(text, "YYYY-MM-DD HH24:MI:SS", strict);
    let march = Date {
        year: 2023,
        month: 3,
        day: 2,
    }
    .to_days()
        * DAY;
    assert_eq!(read("2023-02-30 00:00:00", false), Ok(march));
    assert_eq!(read("2023-03-01 24:00:00", false), Ok(march));
    for text in [
        "2023-02-30 00:00:00",
        "2023-03-01 24:00:00",
        "2023-03-01 00:60:00",
        "2023-03-00 00:00:00",
    ] {
        assert_eq!(read(text, true), Err("a field is out of range".to_owned()));
    }
    assert_eq!(
        read("2023-13-01 00:00:00", false),
        Err("13 is no month".to_owned())
    );
}

#[test]
fn what_is_not_supported_is_said() {
    let wrong = |text, format| parse(text, format, false).unwrap_err();
    assert_eq!(wrong("5", "Q"), "format element \"Q\" is not supported");
    assert_eq!(wrong("x", "YYYY"), "there is no number for YYYY");
    assert_eq!(wrong("Ma", "MON"), "\"MA\" is no month");
    assert_eq!(wrong("10 xm", "HH12 AM"), "there is no AM or PM for AM");
    assert_eq!(
        wrong("13 am", "HH12 AM"),
        "13 is no hour of a 12-hour clock"
    );
    assert_eq!(
        wrong("1", "\"day\" DD"),
        "the text is shorter than its format"
    );
}
