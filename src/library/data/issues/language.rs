//! The script and the language that a text is probably in: scripts by the ranges of their letters,
//! languages of the Latin script by the words that every text of theirs is full of. It tells
//! languages from each other only as far as is needed to find rows that do not belong among the
//! others; whatlang, the crate for it, answers wrongly where a text is short or full of names.

use std::{collections::HashMap, fmt, sync::LazyLock};

use super::super::words::for_each_word;

/// A script with letters of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Indic,
    Thai,
    Hangul,
    /// Chinese and Japanese, which share most characters.
    EastAsian,
    Other,
}

/// A language of [`LANGUAGES`], by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Language(usize);

/// Languages with words of two letters or more that are frequent in each and rare elsewhere.
const LANGUAGES: [(&str, &[&str]); 11] = [
    (
        "English",
        &[
            "the", "and", "of", "to", "is", "it", "that", "this", "with", "for", "was", "you",
            "not", "have", "are", "but", "they", "from", "be", "my", "your", "what", "there",
        ],
    ),
    (
        "German",
        &[
            "der", "die", "das", "und", "ist", "nicht", "ein", "eine", "ich", "mit", "auf", "den",
            "von", "sich", "auch", "dem", "wie", "sind", "aber", "noch", "sehr", "zu",
        ],
    ),
    (
        "French",
        &[
            "le", "les", "des", "est", "et", "qui", "dans", "une", "pour", "pas", "sur", "avec",
            "ce", "il", "elle", "nous", "vous", "mais", "sont", "cette", "du", "au",
        ],
    ),
    (
        "Spanish",
        &[
            "el", "los", "las", "que", "es", "una", "por", "con", "para", "del", "lo", "como",
            "pero", "más", "muy", "está", "su", "esta", "todo", "la", "en", "se",
        ],
    ),
    (
        "Portuguese",
        &[
            "os", "que", "não", "uma", "um", "com", "para", "do", "da", "em", "mais", "mas",
            "muito", "está", "seu", "sua", "são", "foi", "isso", "pelo", "nos", "ao",
        ],
    ),
    (
        "Italian",
        &[
            "il", "che", "di", "non", "una", "per", "con", "del", "della", "sono", "gli", "anche",
            "ma", "più", "questo", "nel", "come", "molto", "ho", "dei", "un",
        ],
    ),
    (
        "Dutch",
        &[
            "het", "een", "van", "en", "dat", "niet", "ik", "op", "te", "zijn", "met", "voor",
            "maar", "ook", "wat", "naar", "heb", "deze", "aan", "er", "bij", "de",
        ],
    ),
    (
        "Swedish",
        &[
            "och", "att", "det", "är", "som", "på", "jag", "inte", "för", "av", "har", "den",
            "ett", "med", "om", "så", "till", "var", "men", "från",
        ],
    ),
    (
        "Polish",
        &[
            "nie", "jest", "się", "na", "że", "jak", "ale", "czy", "był", "tego", "od", "dla",
            "bardzo", "tak", "ma", "co", "po", "jego",
        ],
    ),
    (
        "Turkish",
        &[
            "bir", "ve", "bu", "çok", "için", "ama", "gibi", "daha", "ile", "ne", "da", "de",
            "olarak", "kadar", "sonra", "var", "değil",
        ],
    ),
    (
        "Indonesian",
        &[
            "yang", "dan", "di", "ini", "untuk", "dengan", "tidak", "itu", "dari", "ada", "saya",
            "akan", "pada", "juga", "bisa", "sudah",
        ],
    ),
];

/// Words that are looked at; a language shows in its first ones.
const MAX_WORDS: usize = 300;

/// The words of each language that a text has.
pub(super) struct FrequentWords {
    counts: [u32; LANGUAGES.len()],
    pub(super) n_words: u32,
}

impl FrequentWords {
    /// Counts those among the first words of `text`.
    pub(super) fn of(text: &str) -> Self {
        static LANGUAGES_OF: LazyLock<HashMap<&str, u16>> = LazyLock::new(|| {
            let mut languages_of = HashMap::new();
            for (language, (_, words)) in LANGUAGES.iter().enumerate() {
                for word in *words {
                    *languages_of.entry(*word).or_insert(0) |= 1 << language;
                }
            }
            languages_of
        });
        let mut found = Self { counts: [0; LANGUAGES.len()], n_words: 0 };
        // Cut between characters: a word lost at the end decides nothing.
        let end = text.char_indices().nth(MAX_WORDS * 8).map_or(text.len(), |(end, _)| end);
        for_each_word(&text[..end], |word| {
            found.n_words += 1;
            let mut languages = LANGUAGES_OF.get(word).copied().unwrap_or(0);
            while languages != 0 {
                found.counts[languages.trailing_zeros() as usize] += 1;
                languages &= languages - 1;
            }
        });
        found
    }

    /// The language with the most words, the first of equals; none if it has none.
    pub(super) fn most(&self) -> Option<Language> {
        let most = self.counts.iter().max().filter(|count| **count > 0)?;
        self.counts.iter().position(|count| count == most).map(Language)
    }

    /// Words of `language`.
    pub(super) fn count(&self, language: Language) -> u32 {
        self.counts[language.0]
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LANGUAGES[self.0].0)
    }
}

impl Script {
    /// The script that most letters of `text` are of, with their number and that of all letters.
    pub(super) fn of(text: &str) -> Option<(Self, usize, usize)> {
        if text.is_ascii() {
            let n_letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
            return (n_letters > 0).then_some((Self::Latin, n_letters, n_letters));
        }
        let mut counts = [(Self::Latin, 0usize); 10];
        let mut n_letters = 0;
        for letter in text.chars().filter(|char| char.is_alphabetic()) {
            let script = Self::of_letter(letter);
            counts[script as usize] = (script, counts[script as usize].1 + 1);
            n_letters += 1;
        }
        let (script, n_most) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
        (n_most > 0).then_some((script, n_most, n_letters))
    }

    fn of_letter(letter: char) -> Self {
        match u32::from(letter) {
            0..0x250 | 0x1e00..0x1f00 | 0xff21..0xff5b => Self::Latin,
            0x370..0x400 | 0x1f00..0x2000 => Self::Greek,
            0x400..0x530 => Self::Cyrillic,
            0x590..0x600 => Self::Hebrew,
            0x600..0x780 | 0x8a0..0x900 | 0xfb50..0xfe00 | 0xfe70..0xff00 => Self::Arabic,
            0x900..0xe00 => Self::Indic,
            0xe00..0xe80 => Self::Thai,
            0x1100..0x1200 | 0x3130..0x3190 | 0xac00..0xd7b0 => Self::Hangul,
            0x3040..0x3100
            | 0x31f0..0x3200
            | 0x3400..0xa000
            | 0xf900..0xfb00
            | 0x2_0000..0x3_2000 => Self::EastAsian,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latin => "Latin",
            Self::Greek => "Greek",
            Self::Cyrillic => "Cyrillic",
            Self::Hebrew => "Hebrew",
            Self::Arabic => "Arabic",
            Self::Indic => "Indic",
            Self::Thai => "Thai",
            Self::Hangul => "Korean",
            Self::EastAsian => "Chinese or Japanese",
            Self::Other => "other",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_their_frequent_words() {
        for (text, expected) in [
            ("The film is a mess and it was not worth the price of the ticket.", "English"),
            ("Der Film ist leider sehr langweilig und die Musik ist auch nicht gut.", "German"),
            ("Le film est trop long et les acteurs ne sont pas dans leur rôle.", "French"),
            ("La película es muy larga pero los actores están bien y el final gusta.", "Spanish"),
            (
                "O filme não é mau, mas é muito longo para uma história com um só ator.",
                "Portuguese",
            ),
            (
                "Il film non è male, ma la storia è molto lunga e gli attori sono stanchi.",
                "Italian",
            ),
            ("De film is niet slecht, maar het verhaal van een man met een hond is lang.", "Dutch"),
            ("Filmen är inte dålig men det är en lång historia som jag inte gillar.", "Swedish"),
            ("Film nie jest zły, ale bardzo długi i nie ma tego, co dla mnie ważne.", "Polish"),
            ("Bu film çok uzun ama bir daha izlemek için güzel ve gibi.", "Turkish"),
            ("Film ini tidak buruk dan ceritanya bisa untuk orang yang sudah tua.", "Indonesian"),
        ] {
            let found = FrequentWords::of(text).most().unwrap();
            assert_eq!(found.to_string(), expected, "{text}");
        }
        assert!(FrequentWords::of("xyzzy 123").most().is_none());
    }

    #[test]
    fn scripts_are_told_by_most_letters() {
        for (text, expected) in [
            ("plain", Script::Latin),
            ("naïveté", Script::Latin),
            ("Хороший фильм", Script::Cyrillic),
            ("Καλή ταινία", Script::Greek),
            ("とても良い映画", Script::EastAsian),
            ("好电影", Script::EastAsian),
            ("좋은 영화", Script::Hangul),
            ("فيلم جيد", Script::Arabic),
            ("סרט טוב", Script::Hebrew),
            ("अच्छी फिल्म", Script::Indic),
            ("หนังดี", Script::Thai),
        ] {
            assert_eq!(Script::of(text).unwrap().0, expected, "{text}");
        }
        assert_eq!(Script::of("123 !"), None);
        assert_eq!(Script::of("👍👍"), None);
    }
}
