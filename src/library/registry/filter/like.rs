//! SQL's LIKE, without backtracking over more than the latest `%`.

/// SQL's LIKE: `%` stands for any characters, `_` for one.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut step) = (0, 0);
    // After a mismatch, the latest `%` takes one character more: no backtracking further than that.
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(step) {
            Some('%') => {
                retry = Some((at, step));
                step += 1;
            }
            Some(c) if *c == '_' || *c == text[at] => {
                at += 1;
                step += 1;
            }
            _ => {
                let Some((from, percent)) = retry else { return false };
                retry = Some((from + 1, percent));
                at = from + 1;
                step = percent + 1;
            }
        }
    }
    pattern[step..].iter().all(|c| *c == '%')
}
