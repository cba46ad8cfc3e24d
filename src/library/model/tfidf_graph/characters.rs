//! Sets of characters as RE2, the regular expressions of ONNX Runtime, writes them: range by range, so that
//! no other version of Unicode than this program's decides what belongs to them.

use std::fmt::Write as _;

/// The characters for which `is_in` holds, as they stand inside brackets.
pub(super) fn character_set(is_in: impl Fn(char) -> bool) -> String {
    let mut set = String::new();
    let mut first = None;
    let mut last = '\0';
    for character in '\0'..=char::MAX {
        match (is_in(character), first) {
            (true, None) => first = Some(character),
            (false, Some(start)) => {
                push_range(&mut set, start, last);
                first = None;
            }
            _ => {}
        }
        last = character;
    }
    if let Some(start) = first {
        push_range(&mut set, start, last);
    }
    set
}

fn push_range(set: &mut String, first: char, last: char) {
    let (first, last) = (u32::from(first), u32::from(last));
    let written = match first == last {
        true => write!(set, "\\x{{{first:x}}}"),
        false => write!(set, "\\x{{{first:x}}}-\\x{{{last:x}}}"),
    };
    written.expect("a string takes all");
}

/// True if `character` changes when it is lower-cased.
pub(super) fn is_upper(character: char) -> bool {
    !character.to_lowercase().eq([character])
}

/// The properties of Unicode that decide whether a Σ ends a word, which the standard library keeps to itself:
/// they are seen in what it makes of a Σ.
pub(super) fn is_cased(character: char) -> bool {
    ends_word(&[character])
}

/// True for a character that stands between letters without parting them, such as an accent.
pub(super) fn is_ignorable(character: char) -> bool {
    !is_cased(character) && ends_word(&['α', character])
}

/// True if a Σ behind `before` is lower-cased as the last of a word.
fn ends_word(before: &[char]) -> bool {
    let text: String = before.iter().chain(['Σ'].iter()).collect();
    text.to_lowercase().ends_with('ς')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_range_by_range() {
        assert_eq!(character_set(|it| it.is_ascii_digit()), r"\x{30}-\x{39}");
        assert_eq!(character_set(|it| it == 'a' || it == char::MAX), r"\x{61}\x{10ffff}");
        assert_eq!(character_set(|_| true), r"\x{0}-\x{10ffff}");
        assert_eq!(character_set(|_| false), "");
    }

    // A Σ is lower-cased by what stands before and behind it: every capital letter has to count as one
    // there, or a graph that splits texts at capital letters lower-cases another text.
    #[test]
    fn whatever_changes_in_lower_case_is_cased() {
        for character in ('\0'..=char::MAX).filter(|it| is_upper(*it)) {
            assert!(is_cased(character) && !is_ignorable(character), "{character:?}");
        }
    }

    #[test]
    fn what_ends_a_word_is_what_unicode_says() {
        for (character, cased, ignorable) in [
            ('a', true, false),
            ('ª', true, false),
            ('1', false, false),
            ('\'', false, true),
            ('\u{301}', false, true),
            (' ', false, false),
            ('東', false, false),
        ] {
            let found = (is_cased(character), is_ignorable(character));
            assert_eq!(found, (cased, ignorable), "{character:?}");
        }
    }
}
