//! Numbers in decimal digits: what they spell, and whether a float of 64 bits holds it.

/// `value` / 10^`scale` with all digits of its scale: 350 of scale 2 is `3.50`.
pub(super) fn decimal_text(value: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// True if readers that have 64 bits for a number print `number`, a number of JSON, with the same
/// digits again. Up to 15 digits they always do.
pub(super) fn survives_double(number: &str) -> bool {
    prints_as(number, |value, _| format!("{value:e}"))
}

/// True if `number`, a number of JSON, is the print of the float nearest to it, with as many
/// digits. A program's print of a float is such a number, however many digits it printed.
pub(super) fn is_double(number: &str) -> bool {
    survives_double(number) || prints_as(number, |value, n_more| format!("{value:.n_more$e}"))
}

/// True if `print` makes the same digits again of the nearest float, and of the number of digits
/// that `number` has after the first one.
fn prints_as(number: &str, print: impl Fn(f64, usize) -> String) -> bool {
    let (digits, exponent) = significant(number);
    if digits.is_empty() {
        return true;
    }
    let Ok(value) = number.parse::<f64>() else { return false };
    value.is_finite() && significant(&print(value, digits.len() - 1)) == (digits, exponent)
}

/// The digits of `number` from the first to the last that is no zero, and the power of ten of the
/// first one.
fn significant(number: &str) -> (String, i64) {
    let number = number.trim_start_matches(['-', '+']);
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let n_zeros = digits.len() - digits.trim_start_matches('0').len();
    // An exponent of more digits than 64 bits have is no float anyway.
    let exponent = exponent.parse::<i64>().unwrap_or(i64::from(u32::MAX));
    let first = exponent + whole.len() as i64 - 1 - n_zeros as i64;
    (digits.trim_matches('0').to_owned(), first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_have_all_digits_of_their_scale() {
        for (value, scale, expected) in [
            (1_999, 2, "19.99"),
            (-350, 2, "-3.50"),
            (5, 3, "0.005"),
            (0, 2, "0.00"),
            (-7, 0, "-7"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            assert_eq!(decimal_text(value, scale), expected);
        }
    }

    #[test]
    fn what_a_float_cannot_hold_is_found() {
        for good in [
            "0",
            "-0.00",
            "19.990",
            "0.1",
            "1e5",
            "1E-7",
            "0.30000000000000004",
            "9007199254740993e0",
            // As C's `%.20f` prints 0.1 + 0.2, and all digits of 0.1.
            "0.30000000000000004441",
            "0.1000000000000000055511151231257827021181583404541015625",
            "5e-324",
            "1.7976931348623157e308",
        ] {
            assert_eq!(is_double(good), good != "9007199254740993e0", "{good}");
        }
        for bad in [
            "123456789.123456789123456789",
            "12345678901234567890.12",
            "1e400",
            "1e-400",
            "0.10000000000000000001",
            "1e99999999999999999999",
        ] {
            assert!(!is_double(bad), "{bad}");
        }
        // A reader would print another number than this one.
        assert!(survives_double("0.30000000000000004") && survives_double("-3.50"));
        assert!(!survives_double("0.30000000000000004441"));
    }

    proptest! {
        #[test]
        fn what_is_printed_of_a_float_is_one(value in prop::num::f64::NORMAL, n_digits in 16usize..40) {
            prop_assert!(survives_double(&value.to_string()));
            let value = format!("{value:.n_digits$e}");
            prop_assert!(is_double(&value));
        }
    }
}
