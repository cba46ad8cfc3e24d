//! Real shifts of reviews: what happens to the texts that a model in production is asked about, and the
//! draws that make windows of them.

use std::fmt::Write as _;

/// Random numbers that a seed decides (SplitMix64).
pub struct Draws(u64);

impl Draws {
    /// Those of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `percent` of a hundred draws.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// A change to what a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// Reviews as they are.
    None,
    /// Of each text, so many words in a hundred are one that the model knows well: the test of
    /// alibi-detect's example of IMDB.
    KnownWord(usize),
    /// Of each text, so many words in a hundred are mistyped: two letters change places.
    Typos(usize),
    /// So many texts in a hundred are positive, where it was half of them.
    Positive(usize),
    /// So many texts in a hundred are letters to a hotel.
    OtherDomain(usize),
    /// Texts end after so many words.
    Short(usize),
}

impl Shift {
    /// The rows of the table.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::KnownWord(1),
        Self::KnownWord(5),
        Self::Typos(1),
        Self::Typos(5),
        Self::Positive(60),
        Self::Positive(80),
        Self::OtherDomain(10),
        Self::OtherDomain(100),
        Self::Short(20),
    ];

    /// What the table calls it.
    pub fn name(self) -> String {
        match self {
            Self::None => "the same distribution".to_owned(),
            Self::KnownWord(percent) => format!("{percent} % of words are \"fantastic\""),
            Self::Typos(percent) => format!("{percent} % of words mistyped"),
            Self::Positive(percent) => format!("{percent} % positive, not 50 %"),
            Self::OtherDomain(100) => "letters to a hotel".to_owned(),
            Self::OtherDomain(percent) => format!("{percent} % letters to a hotel"),
            Self::Short(n_words) => format!("the first {n_words} words"),
        }
    }

    /// `text` as the shift has it.
    pub fn changed(self, text: &str, draws: &mut Draws) -> String {
        match self {
            Self::None | Self::Positive(_) => text.to_owned(),
            Self::KnownWord(percent) => by_word(text, |word| {
                if draws.chance(percent) { "fantastic".to_owned() } else { word.to_owned() }
            }),
            Self::Typos(percent) => by_word(text, |word| {
                if draws.chance(percent) { mistyped(word, draws) } else { word.to_owned() }
            }),
            Self::OtherDomain(percent) => {
                if draws.chance(percent) {
                    letter(draws)
                } else {
                    text.to_owned()
                }
            }
            Self::Short(n_words) => {
                text.split_whitespace().take(n_words).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn by_word(text: &str, mut change: impl FnMut(&str) -> String) -> String {
    text.split_whitespace().map(&mut change).collect::<Vec<_>>().join(" ")
}

/// `word` with two letters in each other's place; a word of one letter doubled.
fn mistyped(word: &str, draws: &mut Draws) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    match letters.len() {
        0 => {}
        1 => letters.push(letters[0]),
        n => {
            let at = draws.below(n - 1);
            letters.swap(at, at + 1);
        }
    }
    letters.into_iter().collect()
}

/// A letter to a hotel, of 20 to 150 words.
fn letter(draws: &mut Draws) -> String {
    const THINGS: [&str; 12] = [
        "room",
        "bathroom",
        "breakfast",
        "reception",
        "parking garage",
        "shuttle",
        "balcony",
        "elevator",
        "heating",
        "invoice",
        "booking",
        "towels",
    ];
    const STATES: [&str; 12] = [
        "clean",
        "dirty",
        "noisy",
        "spacious",
        "closed",
        "broken",
        "comfortable",
        "cold",
        "overpriced",
        "excellent",
        "unavailable",
        "wonderful",
    ];
    const DAYS: [&str; 7] =
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let mut text = String::from("Dear front desk, ");
    for _ in 0..2 + draws.below(12) {
        let (thing, state, day) = (draws.pick(&THINGS), draws.pick(&STATES), draws.pick(&DAYS));
        let n = 2 + draws.below(8);
        let sentence = match draws.below(4) {
            0 => format!("the {thing} was {state} when we arrived on {day}. "),
            1 => format!("could you confirm the {thing} for {n} guests until {day}? "),
            2 => format!("we stayed {n} nights and found the {thing} {state}. "),
            _ => format!("please refund the {thing}, which was {state} since {day}. "),
        };
        let _ = write!(text, "{sentence}");
    }
    text + "Kind regards"
}
