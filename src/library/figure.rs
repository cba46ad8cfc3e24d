//! Figures as people read them: counts with separators, metrics, times, sizes, short ids, words of a
//! shell. Text
//! only; it knows no other module.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

/// `25000` as `25,000`.
pub fn count(n: impl TryInto<u64>) -> String {
    let digits = n.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (idx, digit) in digits.char_indices() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `25,000 rows`: as many of what is called `one`, whose plural has an s.
pub fn counted(n: impl TryInto<u64>, one: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `word` as a shell takes it for one word: bare where that is plain, else in quotes.
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |char: char| char.is_alphanumeric() || "_-./@%+=:,".contains(char);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

/// A metric with four digits, `0.9064`; large and tiny values in scientific notation.
pub fn metric(value: f64) -> String {
    if value.is_finite() && value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        format!("{value:.3e}")
    } else {
        format!("{value:.4}")
    }
}

/// A metric that may be missing.
pub fn metric_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), metric)
}

/// Seconds: `48 ms`, `1.24 s`, `3 min 07 s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor())
    }
}

/// Milliseconds since the Unix epoch as `2026-11-21 14:05:09` in UTC.
pub fn time(at_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(at_ms)
        .map_or_else(|| at_ms.to_string(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// The bytes that `text` says: `500 MB`, `2GB`, `1000`; the inverse of [`bytes()`].
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return None,
    };
    let n_bytes = number.parse::<f64>().ok()? * factor;
    (n_bytes < 2_f64.powi(63)).then_some(n_bytes as u64)
}

/// Bytes: `812 B`, `3.4 MB`.
pub fn bytes(n_bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if n_bytes < 1000 {
        return format!("{n_bytes} B");
    }
    let mut size = n_bytes as f64 / 1e3;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1e3;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// The first eight characters of an id or a checksum: enough to name it.
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, n_bytes) in [
            ("1000", Some(1_000)),
            ("500 MB", Some(500_000_000)),
            ("2GB", Some(2_000_000_000)),
            ("1.5 kb", Some(1_500)),
            ("0", Some(0)),
            ("", None),
            ("MB", None),
            ("2 GiB", None),
            ("-1", None),
            ("1.2.3", None),
            ("99999999999 TB", None),
        ] {
            assert_eq!(parse_bytes(text), n_bytes, "{text:?}");
        }
    }

    #[test]
    fn one_is_no_plural() {
        for (n, expected) in [(0_u64, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_000, "1,000 rows")]
        {
            assert_eq!(counted(n, "row"), expected);
        }
    }

    #[test]
    fn words_of_a_shell_stand_in_quotes_where_they_must() {
        for (word, expected) in [
            ("imdb/3", "imdb/3"),
            ("Größe", "Größe"),
            ("a b", "'a b'"),
            ("*", "'*'"),
            ("a#b", "'a#b'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), expected);
        }
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (n, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n as u64), expected);
        }
    }

    #[test]
    fn metrics_keep_four_digits_unless_they_would_show_none() {
        for (value, expected) in [
            (0.90642, "0.9064"),
            (0.0, "0.0000"),
            (0.000_012, "1.200e-5"),
            (2.5e7, "2.500e7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(metric(value), expected);
        }
    }

    #[test]
    fn sizes_and_times_pick_their_unit() {
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(3_449_000), "3.4 MB");
        assert_eq!(bytes(999_990), "1.0 MB");
        assert_eq!(seconds(0.048), "48 ms");
        assert_eq!(seconds(1.239), "1.24 s");
        assert_eq!(seconds(187.4), "3 min 07 s");
        assert_eq!(time(0), "1970-01-01 00:00:00");
    }
}
