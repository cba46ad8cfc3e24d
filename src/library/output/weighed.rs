//! A text with what each part of it weighs in an answer: plain, or coloured where the front end can. It
//! knows nothing of models.

/// Below this share of the heaviest piece's weight a piece is not coloured: every word would be.
const MIN_STRENGTH: f64 = 0.1;
/// From this share on it is printed bold.
const BOLD_STRENGTH: f64 = 0.5;

/// A text in pieces that speak for or against something.
#[derive(Debug, Clone, PartialEq)]
pub struct WeighedText {
    towards: String,
    pieces: Vec<(String, f64)>,
}

impl WeighedText {
    /// The `pieces` of a text, in order, each with its weight: above 0 it speaks for `towards`. Control
    /// characters but line feeds and tabs are replaced: a terminal would obey them.
    pub fn new(towards: impl Into<String>, pieces: Vec<(String, f64)>) -> Self {
        let shown = |piece: String| {
            let is_kept = |letter: char| matches!(letter, '\n' | '\t') || !letter.is_control();
            piece.chars().map(|letter| if is_kept(letter) { letter } else { '\u{fffd}' }).collect()
        };
        let pieces = pieces.into_iter().map(|(piece, weight)| (shown(piece), weight));
        Self { towards: towards.into(), pieces: pieces.collect() }
    }

    /// The class that pieces above 0 speak for.
    pub fn towards(&self) -> &str {
        &self.towards
    }

    /// The pieces in order, each with its strength from -1 to 1: its weight as a share of the heaviest
    /// piece's, and 0 for one that is too light to colour.
    pub fn pieces(&self) -> impl Iterator<Item = (&str, f64)> {
        let heaviest = self.pieces.iter().map(|(_, weight)| weight.abs()).fold(0.0, f64::max);
        self.pieces.iter().map(move |(piece, weight)| {
            let strength = if heaviest > 0.0 { weight / heaviest } else { 0.0 };
            (piece.as_str(), if strength.abs() < MIN_STRENGTH { 0.0 } else { strength })
        })
    }

    /// The text alone.
    pub fn to_plain(&self) -> String {
        self.pieces.iter().map(|(piece, _)| piece.as_str()).collect()
    }

    /// The text for a terminal with colours, and below it what they mean. What speaks against is also
    /// underlined, for those who see no difference between green and red.
    pub fn to_coloured(&self) -> String {
        let mut text = String::new();
        for (piece, strength) in self.pieces() {
            match code(strength) {
                Some(code) => text.push_str(&format!("\u{1b}[{code}m{piece}\u{1b}[0m")),
                None => text.push_str(piece),
            }
        }
        let coloured = |meaning: &str, strength| {
            format!("\u{1b}[{}m{meaning}\u{1b}[0m", code(strength).unwrap_or_default())
        };
        let (towards, against) = (format!("for {}", self.towards), "against it");
        format!("{text}\n({}, {})", coloured(&towards, 0.4), coloured(against, -0.4))
    }
}

/// The parameters of the ANSI sequence for a piece; none for one that is not coloured.
fn code(strength: f64) -> Option<&'static str> {
    let is_bold = strength.abs() >= BOLD_STRENGTH;
    match (strength > 0.0, is_bold) {
        _ if strength == 0.0 => None,
        (true, true) => Some("1;32"),
        (true, false) => Some("32"),
        (false, true) => Some("1;4;31"),
        (false, false) => Some("4;31"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(pieces: &[(&str, f64)]) -> WeighedText {
        let pieces = pieces.iter().map(|(piece, weight)| ((*piece).to_owned(), *weight));
        WeighedText::new("pos", pieces.collect())
    }

    #[test]
    fn pieces_are_coloured_by_their_share_of_the_heaviest() {
        let text = weighed(&[("good", 2.0), (" ", 0.0), ("dull", -0.8), (" the", 0.1)]);
        assert_eq!(text.to_plain(), "good dull the");
        let expected = "\u{1b}[1;32mgood\u{1b}[0m \u{1b}[4;31mdull\u{1b}[0m the\n\
                        (\u{1b}[32mfor pos\u{1b}[0m, \u{1b}[4;31magainst it\u{1b}[0m)";
        assert_eq!(text.to_coloured(), expected);
        let strengths: Vec<f64> = text.pieces().map(|(_, strength)| strength).collect();
        assert_eq!(strengths, [1.0, 0.0, -0.4, 0.0]);
    }

    #[test]
    fn a_text_cannot_speak_to_the_terminal() {
        let text = weighed(&[("a\u{1b}[2Jb\u{7}\n\tc", 0.0)]);
        assert_eq!(text.to_plain(), "a\u{fffd}[2Jb\u{fffd}\n\tc");
        assert_eq!(weighed(&[]).to_plain(), "");
        assert!(weighed(&[("x", 0.0)]).pieces().all(|(_, strength)| strength == 0.0));
    }
}
