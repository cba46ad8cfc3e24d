//! The content of a split as one SHA-256 that the order of rows and stray white space do not
//! change. The definition is written on [`Fingerprint`]; this file computes it in parallel.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Fingerprint;
use crate::figure::hex;

/// The SHA-256 of one normalised text, cut to 16 bytes: enough to tell any number of texts apart
/// and half the memory.
pub(super) type TextDigest = [u8; 16];

impl Fingerprint {
    /// The fingerprint of `texts` whose classes are `classes[label]`.
    pub(super) fn of(texts: &[String], labels: &[u32], classes: &[String]) -> Self {
        let mut rows: Vec<[u8; 32]> = texts
            .par_iter()
            .zip(labels)
            .map_init(String::new, |buffer, (text, &label)| {
                normalise(text, buffer);
                buffer.push('\n');
                buffer.push_str(&classes[label as usize]);
                Sha256::digest(buffer.as_bytes()).into()
            })
            .collect();
        rows.par_sort_unstable();
        let mut class_counts = vec![0; classes.len()];
        for &label in labels {
            class_counts[label as usize] += 1;
        }
        Self {
            sha256: hex(&Sha256::digest(rows.as_flattened())),
            n_rows: texts.len(),
            class_counts,
        }
    }
}

/// One digest a text, in the texts' order; equal exactly when the normalised texts are.
pub(super) fn text_digests(texts: &[String]) -> Vec<TextDigest> {
    texts
        .par_iter()
        .map_init(String::new, |buffer, text| {
            normalise(text, buffer);
            let digest: [u8; 32] = Sha256::digest(buffer.as_bytes()).into();
            std::array::from_fn(|byte_idx| digest[byte_idx])
        })
        .collect()
}

/// Puts `text` into `buffer`: trimmed, every run of Unicode white space one space.
fn normalise(text: &str, buffer: &mut String) {
    buffer.clear();
    for word in text.split_whitespace() {
        if !buffer.is_empty() {
            buffer.push(' ');
        }
        buffer.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fingerprint(rows: &[(&str, u32)]) -> Fingerprint {
        let texts: Vec<String> = rows.iter().map(|(text, _)| (*text).to_owned()).collect();
        let labels: Vec<u32> = rows.iter().map(|(_, label)| *label).collect();
        Fingerprint::of(&texts, &labels, &["negative".to_owned(), "positive".to_owned()])
    }

    /// Golden value by Python 3.11:
    /// `rows = [("A fine film.", "positive"), ("A dull one.", "negative")]`
    /// `digests = sorted(sha256((" ".join(t.split()) + "\n" + l).encode()).digest() for t, l in rows)`
    /// `sha256(b"".join(digests)).hexdigest()`
    #[test]
    fn the_definition_is_the_documented_one() {
        let found = fingerprint(&[("A fine film.", 1), ("A dull one.", 0)]);
        assert_eq!(found.sha256, GOLDEN);
        assert_eq!((found.n_rows, found.class_counts), (2, vec![1, 1]));
    }

    const GOLDEN: &str = "fe8a63db87fb6ffc59771355605fc30cecbef52f70e053cd014bdecffc3a36ff";

    #[test]
    fn white_space_does_not_count_and_everything_else_does() {
        let base = fingerprint(&[("A fine film.", 1), ("A dull one.", 0)]).sha256;
        let same = [("  A \t fine\u{a0}\r\nfilm. ", 1), ("A dull one.", 0)];
        assert_eq!(fingerprint(&same).sha256, base);
        for other in [
            [("A fine film", 1), ("A dull one.", 0)],
            [("a fine film.", 1), ("A dull one.", 0)],
            [("A fine film.", 0), ("A dull one.", 0)],
            [("Afine film.", 1), ("A dull one.", 0)],
        ] {
            assert_ne!(fingerprint(&other).sha256, base, "{other:?}");
        }
        let twice = [("A fine film.", 1), ("A dull one.", 0), ("A dull one.", 0)];
        assert_ne!(fingerprint(&twice).sha256, base);
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_count(
            (rows, shuffled) in prop::collection::vec((".{0,20}", 0u32..2), 1..20)
                .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))
        ) {
            let of = |rows: &[(String, u32)]| {
                let rows: Vec<(&str, u32)> = rows.iter().map(|(t, l)| (t.as_str(), *l)).collect();
                fingerprint(&rows)
            };
            prop_assert_eq!(of(&rows), of(&shuffled));
        }
    }
}
