//! The spelling of labels: one spelling for a number in every format, and the order of labels that
//! are numbers. It knows nothing of classes.

use std::cmp::Ordering;

/// `label` without white space around it; a whole number that is written with a fraction of zeros
/// loses that: `1.0` and `-0.00` are `1` and `0`, as they are in formats whose numbers have types.
/// Nothing else is a number here: `01`, `1e0` and `1.50` stay what they are.
pub(super) fn canonical(label: String) -> String {
    let trimmed = label.trim();
    let whole = match trimmed.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            whole
        }
        _ => trimmed,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || digits.bytes().next().is_some_and(|first| first != b'0'));
    match is_plain {
        true if whole == "-0" => "0".to_owned(),
        true if whole.len() < label.len() => whole.to_owned(),
        false if trimmed.len() < label.len() => trimmed.to_owned(),
        _ => label,
    }
}

/// The order of labels that are all plain decimal numbers: 1, 2, 10 and not 1, 10, 2.
pub(super) fn by_number(left: &str, right: &str) -> Ordering {
    let number = |label: &str| label.parse().unwrap_or(f64::NAN);
    number(left).total_cmp(&number(right)).then_with(|| left.cmp(right))
}

/// True if `label` is a plain decimal number: digits, perhaps with a sign before and a fraction
/// behind.
pub(super) fn is_number(label: &str) -> bool {
    let unsigned = label.strip_prefix(['-', '+']).unwrap_or(label);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_has_one_spelling_and_other_labels_stay() {
        for (label, expected) in [
            ("1.0", "1"),
            (" 0.000\t", "0"),
            ("-1.0", "-1"),
            ("-0.0", "0"),
            ("-0", "0"),
            ("10", "10"),
            ("10.0", "10"),
            ("01", "01"),
            ("01.0", "01.0"),
            ("0.5", "0.5"),
            ("1.50", "1.50"),
            ("1.", "1."),
            (".0", ".0"),
            ("-.0", "-.0"),
            ("+1.0", "+1.0"),
            ("1e0", "1e0"),
            ("1.0.0", "1.0.0"),
            ("v1.0", "v1.0"),
            (" Spam ", "Spam"),
            ("", ""),
            ("-", "-"),
        ] {
            assert_eq!(canonical(label.to_owned()), expected, "{label:?}");
        }
    }

    #[test]
    fn numbers_are_told_from_names_and_sorted_as_numbers() {
        let mut labels = ["10", "2", "-1", "0.5", "+1", "1", "01"];
        assert!(labels.iter().all(|label| is_number(label)));
        labels.sort_by(|left, right| by_number(left, right));
        assert_eq!(labels, ["-1", "0.5", "+1", "01", "1", "2", "10"]);
        for name in ["", "-", "1.", ".5", "1e3", "1,5", "inf", "nan", "1 star", "٣"] {
            assert!(!is_number(name), "{name:?}");
        }
    }
}
