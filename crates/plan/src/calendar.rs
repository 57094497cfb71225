//! Dates and times by Redshift's rules ("Date and time functions" in its Developer Guide), as plain numbers: a date is days since 2000-01-01, a
//! timestamp microseconds since 2000-01-01 00:00, which is how Postgres passes them.

#[cfg(test)]
mod tests;

/// Microseconds.
pub const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// Microseconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// `MIN_TIMESTAMP` and `END_TIMESTAMP` of `src/include/datatype/timestamp.h`.
const TIMESTAMPS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// A part of a date ("Date parts for date or timestamp functions").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Part {
    Millennium,
    Century,
    Decade,
    Epoch,
    Year,
    Quarter,
    Month,
    Week,
    DayOfWeek,
    DayOfYear,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Part {
    /// The part of that name or abbreviation, whatever its case.
    pub fn named(name: &str) -> Option<Part> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "millennium" | "millennia" | "mil" | "mils" => Part::Millennium,
            "century" | "centuries" | "c" | "cent" | "cents" => Part::Century,
            "decade" | "decades" | "dec" | "decs" => Part::Decade,
            "epoch" => Part::Epoch,
            "year" | "years" | "y" | "yr" | "yrs" => Part::Year,
            "quarter" | "quarters" | "qtr" | "qtrs" => Part::Quarter,
            "month" | "months" | "mon" | "mons" => Part::Month,
            "week" | "weeks" | "w" => Part::Week,
            "dayofweek" | "dow" | "dw" | "weekday" => Part::DayOfWeek,
            "dayofyear" | "doy" | "dy" | "yearday" => Part::DayOfYear,
            "day" | "days" | "d" => Part::Day,
            "hour" | "hours" | "h" | "hr" | "hrs" => Part::Hour,
            "minute" | "minutes" | "m" | "min" | "mins" => Part::Minute,
            "second" | "seconds" | "s" | "sec" | "secs" => Part::Second,
            "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds"
            | "millisec" | "millisecs" | "millisecon" => Part::Millisecond,
            "microsecond" | "microseconds" | "microsec" | "microsecs" | "usecond" | "useconds"
            | "us" | "usec" | "usecs" => Part::Microsecond,
            "timezone" => Part::Timezone,
            "timezone_hour" => Part::TimezoneHour,
            "timezone_minute" => Part::TimezoneMinute,
            _ => return None,
        })
    }

    /// Postgres's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Millennium => "millennium",
            Part::Century => "century",
            Part::Decade => "decade",
            Part::Epoch => "epoch",
            Part::Year => "year",
            Part::Quarter => "quarter",
            Part::Month => "month",
            Part::Week => "week",
            Part::DayOfWeek => "dow",
            Part::DayOfYear => "doy",
            Part::Day => "day",
            Part::Hour => "hour",
            Part::Minute => "minute",
            Part::Second => "second",
            Part::Millisecond => "milliseconds",
            Part::Microsecond => "microseconds",
            Part::Timezone => "timezone",
            Part::TimezoneHour => "timezone_hour",
            Part::TimezoneMinute => "timezone_minute",
        }
    }

    /// Its length in microseconds, if it always has the same.
    fn microseconds(self) -> Option<i64> {
        Some(match self {
            Part::Week => 7 * DAY,
            Part::Day => DAY,
            Part::Hour => HOUR,
            Part::Minute => MINUTE,
            Part::Second => SECOND,
            Part::Millisecond => 1000,
            Part::Microsecond => 1,
            _ => return None,
        })
    }

    /// Its length in microseconds, if a time of day has it.
    pub fn of_time(self) -> Option<i64> {
        self.microseconds().filter(|&length| length < DAY)
    }

    /// Its length in months, if it is made of months.
    fn months(self) -> Option<i64> {
        Some(match self {
            Part::Millennium => 12_000,
            Part::Century => 1200,
            Part::Decade => 120,
            Part::Year => 12,
            Part::Quarter => 3,
            Part::Month => 1,
            _ => return None,
        })
    }
}

/// Year, month and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// 0 is 1 BC.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
}

/// Days from 2000-01-01 back to 0000-03-01, the first day of a period of 400 years.
const ERA_OFFSET: i64 = 730_425;

impl Date {
    /// Of a number of days since 2000-01-01, in the proleptic Gregorian calendar.
    pub fn of_days(days: i64) -> Date {
        // Years are counted from March on, so that the leap day comes last.
        let days = days + ERA_OFFSET;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        Date {
            year: era * 400 + year + next,
            month,
            day: day_of_year - (153 * ((month + 9) % 12) + 2) / 5 + 1,
        }
    }

    /// Days since 2000-01-01. A day beyond the month's last rolls over.
    pub fn to_days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - ERA_OFFSET
    }

    /// The month's number of days.
    pub fn days_in_month(self) -> i64 {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        match self.month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Whether it is the last day of its month.
    pub fn is_last(self) -> bool {
        self.day == self.days_in_month()
    }

    /// Months since the year 0.
    fn months(self) -> i64 {
        self.year * 12 + self.month - 1
    }

    /// The same day so many months later, which may be beyond that month's last.
    fn add_months(self, months: i64) -> Option<Date> {
        let months = self.months().checked_add(months)?;
        Some(Date {
            year: months.div_euclid(12),
            month: months.rem_euclid(12) + 1,
            day: self.day,
        })
    }

    fn clamped(self) -> Date {
        Date {
            day: self.day.min(self.days_in_month()),
            ..self
        }
    }
}

/// A timestamp's date, in days, and time of day.
fn split(timestamp: i64) -> (i64, i64) {
    (timestamp.div_euclid(DAY), timestamp.rem_euclid(DAY))
}

/// A timestamp of a date and a time of day; `None` if there is no such timestamp.
pub fn join(days: i64, time: i64) -> Option<i64> {
    let timestamp = days.checked_mul(DAY)?.checked_add(time)?;
    TIMESTAMPS.contains(&timestamp).then_some(timestamp)
}

/// Whether it is infinity or minus infinity.
pub fn is_infinite(timestamp: i64) -> bool {
    timestamp == i64::MIN || timestamp == i64::MAX
}

/// What can go wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum DateError {
    /// The part does not fit the function.
    Part,
    /// The result is out of range.
    Range,
}

/// DATEADD. The month's end is not kept: Apr 30 + 1 month = May 30. A day that the month does not have is its last one, but from a Feb 29 years lead
/// to Mar 1.
pub fn add(part: Part, count: i64, timestamp: i64) -> Result<i64, DateError> {
    let result = if let Some(length) = part.microseconds() {
        let length = count.checked_mul(length).ok_or(DateError::Range)?;
        timestamp.checked_add(length)
    } else {
        let months = part.months().ok_or(DateError::Part)?;
        let (days, time) = split(timestamp);
        let date = count
            .checked_mul(months)
            .filter(|months| months.unsigned_abs() < 12 * 600_000)
            .and_then(|months| Date::of_days(days).add_months(months))
            .ok_or(DateError::Range)?;
        let date = if months >= 12 { date } else { date.clamped() };
        join(date.to_days(), time)
    };
    result
        .filter(|result| TIMESTAMPS.contains(result))
        .ok_or(DateError::Range)
}

/// DATEDIFF: how many boundaries of the part lie between, positive if `to` is later. Weeks begin on Monday.
pub fn difference(part: Part, from: i64, to: i64) -> Result<i64, DateError> {
    let boundary = |timestamp: i64| -> Option<i64> {
        let (days, _) = split(timestamp);
        if part == Part::Week {
            // 2000-01-03 was a Monday.
            return Some((days - 2).div_euclid(7));
        }
        if let Some(length) = part.microseconds() {
            return Some(timestamp.div_euclid(length));
        }
        Some(match part {
            Part::Epoch => timestamp.div_euclid(SECOND),
            // Centuries begin with the year 1.
            Part::Century | Part::Millennium => {
                (Date::of_days(days).year - 1).div_euclid(part.months()? / 12)
            }
            _ => Date::of_days(days).months().div_euclid(part.months()?),
        })
    };
    let (from, to) = boundary(from).zip(boundary(to)).ok_or(DateError::Part)?;
    to.checked_sub(from).ok_or(DateError::Range)
}

/// ADD_MONTHS: the last day of a month stays the last.
pub fn add_months(timestamp: i64, months: i64) -> Option<i64> {
    let (days, time) = split(timestamp);
    let from = Date::of_days(days);
    let to = from.add_months(months)?;
    let day = if from.is_last() {
        to.days_in_month()
    } else {
        to.clamped().day
    };
    join(Date { day, ..to }.to_days(), time)
}

/// MONTHS_BETWEEN: whole months where the days are equal or both the last of their month, else with a fraction of a month of 31 days.
pub fn months_between(a: i64, b: i64) -> f64 {
    let ((days_a, time_a), (days_b, time_b)) = (split(a), split(b));
    let (a, b) = (Date::of_days(days_a), Date::of_days(days_b));
    let months = (a.months() - b.months()) as f64;
    if a.day == b.day || a.is_last() && b.is_last() {
        return months;
    }
    let days = (a.day - b.day) as f64 + (time_a - time_b) as f64 / DAY as f64;
    months + days / 31.0
}

/// LAST_DAY: the last day of the month, in days.
pub fn last_day(timestamp: i64) -> i64 {
    let date = Date::of_days(split(timestamp).0);
    Date {
        day: date.days_in_month(),
        ..date
    }
    .to_days()
}

/// NEXT_DAY: the first such weekday (0 is Sunday) after the date, in days.
pub fn next_day(timestamp: i64, weekday: i64) -> i64 {
    let days = split(timestamp).0;
    // 2000-01-01 was a Saturday.
    let today = (days + 6).rem_euclid(7);
    days + (weekday - today - 1).rem_euclid(7) + 1
}

/// The weekday of a name or the unambiguous beginning of one; 0 is Sunday.
pub fn weekday(name: &str) -> Option<i64> {
    let name = name.trim().to_ascii_lowercase();
    let days = [
        "sunday",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
    ];
    let mut found = (0..).zip(days).filter(|(_, day)| day.starts_with(&name));
    match (found.next(), found.next()) {
        (Some((day, _)), None) => Some(day),
        _ => None,
    }
}
