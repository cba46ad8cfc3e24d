//! Texts that say no to something. The words are those of NLTK's `mark_negation`, which are Christopher
//! Potts's, with neither, nor, nobody and cannot: English alone.

/// Words of negation, as they stand between other characters than letters and apostrophes.
const WORDS: [&str; 27] = [
    "ain't", "aint", "arent", "cannot", "cant", "couldnt", "didnt", "doesnt", "dont", "hadnt",
    "hasnt", "havent", "isnt", "neither", "never", "no", "nobody", "none", "noone", "nor", "not",
    "nothing", "nowhere", "shouldnt", "wasnt", "wont", "wouldnt",
];

/// The end of the others: `isn't`, `won't`.
const ENDING: &str = "n't";

/// True if `text` has a word of negation.
pub(super) fn has_negation(text: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '\'' | '’');
    text.split(|letter| !is_part(letter)).any(|word| {
        // The longest of them has eight letters; verbs with the ending have no more than ten.
        if word.len() < 2 || word.len() > 16 || !word.contains(['n', 'N']) {
            return false;
        }
        let word = word.to_lowercase().replace('’', "'");
        let word = word.trim_matches('\'');
        word.ends_with(ENDING) || WORDS.binary_search(&word).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_contractions_are_found_in_every_spelling() {
        assert!(WORDS.is_sorted());
        for (text, expected) in [
            ("Not a good film", true),
            ("It isn't bad.", true),
            ("It isn’t bad.", true),
            ("WON'T see it", true),
            ("dont go", true),
            ("'no'", true),
            ("neither here, nor there", true),
            ("a knot in a note by Nora", false),
            ("nothing", true),
            ("cantina want don", false),
            ("", false),
            ("no", true),
            ("piano", false),
        ] {
            assert_eq!(has_negation(text), expected, "{text}");
        }
    }
}
