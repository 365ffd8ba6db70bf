//! `strftime` for the dates that templates print, in UTC and English.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
/// From the day of 1970-01-01 on.
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// `time` in the form of `format`; `None` for a directive that is not known.
pub fn strftime(time: SystemTime, format: &str) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let half_day = (hour + 11) % 12 + 1;
    let month_name = MONTHS[month as usize - 1];
    let day_name = DAYS[(days % 7) as usize];
    let day_of_year = days - days_before(year) + 1;
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let (mut directive, mut plain) = (characters.next()?, false);
        if directive == '-' {
            (directive, plain) = (characters.next()?, true);
        }
        let number = |value: u64, width: usize| if plain { value.to_string() } else { format!("{value:0width$}") };
        out += &match directive {
            'Y' => year.to_string(),
            'y' => number(year % 100, 2),
            'm' => number(month, 2),
            'd' => number(day, 2),
            'e' => format!("{day:2}"),
            'j' => number(day_of_year, 3),
            'H' => number(hour, 2),
            'I' => number(half_day, 2),
            'M' => number(minute, 2),
            'S' => number(second, 2),
            'p' => if hour < 12 { "AM" } else { "PM" }.into(),
            'B' => month_name.into(),
            'b' | 'h' => month_name[..3].into(),
            'A' => day_name.into(),
            'a' => day_name[..3].into(),
            'F' => format!("{year}-{month:02}-{day:02}"),
            'T' => format!("{hour:02}:{minute:02}:{second:02}"),
            'Z' => "UTC".into(),
            'z' => "+0000".into(),
            '%' => "%".into(),
            _ => return None,
        };
    }
    Some(out)
}

/// Days from 1970-01-01 to the first day of `year`.
fn days_before(year: u64) -> u64 {
    let past = year - 1;
    365 * (year - 1970) + (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
}

/// Year, month and day of a number of days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let mut year = 1970 + days / 366;
    while days_before(year + 1) <= days {
        year += 1;
    }
    let leap = days_before(year + 1) - days_before(year) == 366;
    let mut rest = days - days_before(year);
    for (month, length) in [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate() {
        if rest < length {
            return (year, month as u64 + 1, rest + 1);
        }
        rest -= length;
    }
    (year, 12, 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // Seconds and text from `date -u -d @N`.
        for (seconds, text) in [
            (0, "Thursday 1970-01-01 00:00:00 001"),
            (951_782_399, "Monday 2000-02-28 23:59:59 059"),
            (951_868_800, "Wednesday 2000-03-01 00:00:00 061"),
            (1_709_164_800, "Thursday 2024-02-29 00:00:00 060"),
            (1_735_689_599, "Tuesday 2024-12-31 23:59:59 366"),
            (4_107_542_400, "Monday 2100-03-01 00:00:00 060"),
        ] {
            assert_eq!(strftime(UNIX_EPOCH + Duration::from_secs(seconds), "%A %F %T %j").unwrap(), text);
        }
        let time = UNIX_EPOCH + Duration::from_secs(1_720_000_000);
        assert_eq!(strftime(time, "%d %b %Y, %-d %B %y %I:%M %p %a %%").unwrap(), "03 Jul 2024, 3 July 24 09:46 AM Wed %");
        assert_eq!(strftime(time, "%Q"), None);
        assert_eq!(strftime(time, "%"), None);
    }
}
