//! Texts that are read by a format of TO_DATE and TO_TIMESTAMP ("Datetime format strings" in Redshift's Developer Guide).

use crate::calendar::{Date, SECOND, join};
use super_value::pace::{self, Pace};

#[cfg(test)]
mod tests;

/// Reads `text` by a format of TO_DATE and TO_TIMESTAMP: a timestamp, or what is wrong. Without `strict` a day beyond the month's last and a time
/// beyond the day roll over.
pub fn parse(text: &str, format: &str, strict: bool) -> Result<i64, String> {
    let mut rest = skip_blanks(text);
    let mut pattern = format;
    let (mut year, mut month, mut day, mut day_of_year) = (1, 1, 1, None);
    let (mut hour, mut minute, mut second, mut fraction, mut afternoon) = (0, 0, 0, 0, None);
    let upper = |text: &str, length: usize| text.get(..length).map(str::to_ascii_uppercase);
    let mut pace = Pace::new();
    while !pattern.is_empty() {
        pace.steps(16);
        let element = ELEMENTS
            .iter()
            .find(|element| upper(pattern, element.len()).as_deref() == Some(**element));
        let Some(element) = element else {
            let mut characters = pattern.chars();
            let Some(character) = characters.next() else {
                break;
            };
            if character == '"' {
                let quoted = characters.as_str();
                let (literal, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                rest = rest
                    .get(literal.len()..)
                    .ok_or("the text is shorter than its format")?;
                pattern = after;
                continue;
            }
            if character.is_ascii_alphabetic() {
                let element: String = pattern.chars().take(20).collect();
                return Err(format!("format element \"{element}\" is not supported"));
            }
            // A separator stands for any other; blanks may be missing.
            if !character.is_whitespace() && rest.starts_with(|c: char| !c.is_ascii_alphanumeric())
            {
                rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
            }
            rest = skip_blanks(rest);
            pattern = characters.as_str();
            continue;
        };
        pattern = &pattern[element.len()..];
        let number = |rest: &mut &str, width: usize| -> Result<(i64, usize), String> {
            let from = skip_blanks(rest);
            let digits = from.bytes().take(width).take_while(u8::is_ascii_digit);
            let (digits, after) = from.split_at(digits.count());
            *rest = after;
            let value = digits
                .parse()
                .map_err(|_| format!("there is no number for {element}"))?;
            Ok((value, digits.len()))
        };
        match *element {
            "YYYY" => year = number(&mut rest, 4)?.0,
            "YY" => {
                let short = number(&mut rest, 2)?.0;
                year = short + if short < 70 { 2000 } else { 1900 };
            }
            "MM" => month = number(&mut rest, 2)?.0,
            "DDD" => day_of_year = Some(number(&mut rest, 3)?.0),
            "DD" => day = number(&mut rest, 2)?.0,
            "HH24" | "HH12" | "HH" => hour = number(&mut rest, 2)?.0,
            "MI" => minute = number(&mut rest, 2)?.0,
            "SS" => second = number(&mut rest, 2)?.0,
            "MS" | "US" => {
                // The digits are those after the decimal point.
                let (value, digits) = number(&mut rest, 6)?;
                fraction = value * 10i64.pow(6 - digits as u32);
            }
            "MONTH" | "MON" => {
                let names = [
                    "JANUARY",
                    "FEBRUARY",
                    "MARCH",
                    "APRIL",
                    "MAY",
                    "JUNE",
                    "JULY",
                    "AUGUST",
                    "SEPTEMBER",
                    "OCTOBER",
                    "NOVEMBER",
                    "DECEMBER",
                ];
                // No month has more.
                let longest = rest.bytes().take(LONGEST_MONTH + 1);
                let letters = longest.take_while(u8::is_ascii_alphabetic).count();
                let length = if *element == "MON" {
                    letters.min(3)
                } else {
                    letters
                };
                let name = upper(rest, length).unwrap_or_default();
                let found = names
                    .iter()
                    .position(|month| name.len() >= 3 && month.starts_with(&name));
                month = found.ok_or_else(|| format!("\"{name}\" is no month"))? as i64 + 1;
                rest = &rest[length..];
            }
            _ => {
                let word = upper(rest, element.len()).unwrap_or_default();
                afternoon = Some(match word.as_bytes().first() {
                    Some(b'A') => false,
                    Some(b'P') => true,
                    _ => return Err(format!("there is no AM or PM for {element}")),
                });
                rest = &rest[element.len()..];
            }
        }
    }
    if !(1..=12).contains(&month) {
        return Err(format!("{month} is no month"));
    }
    if let Some(afternoon) = afternoon {
        if !(1..=12).contains(&hour) {
            return Err(format!("{hour} is no hour of a 12-hour clock"));
        }
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let date = Date { year, month, day };
    let days = match day_of_year {
        Some(day) => {
            Date {
                year,
                month: 1,
                day: 1,
            }
            .to_days()
                + day
                - 1
        }
        None => date.to_days(),
    };
    let time = ((hour * 60 + minute) * 60 + second) * SECOND + fraction;
    if strict {
        let day_exists = match day_of_year {
            Some(day) => day >= 1 && Date::of_days(days).year == year,
            None => day >= 1 && day <= date.days_in_month(),
        };
        if !day_exists || hour > 23 || minute > 59 || second > 59 {
            return Err("a field is out of range".into());
        }
    }
    join(days, time).ok_or_else(|| "the result is out of range".into())
}

/// The elements of a format, of two with the same beginning the longer first.
const ELEMENTS: [&str; 18] = [
    "YYYY", "YY", "MONTH", "MON", "MM", "MI", "MS", "DDD", "DD", "HH24", "HH12", "HH", "SS", "US",
    "A.M.", "P.M.", "AM", "PM",
];

/// Letters of the longest month.
const LONGEST_MONTH: usize = 9;

/// The text without the blanks at its beginning, of which there may be a gigabyte.
fn skip_blanks(mut text: &str) -> &str {
    const PIECE: usize = 256 * 1024;
    loop {
        let piece = &text[..text.floor_char_boundary(PIECE)];
        let rest = piece.trim_start();
        text = &text[piece.len() - rest.len()..];
        if !rest.is_empty() || text.is_empty() {
            return text;
        }
        pace::ask();
    }
}
