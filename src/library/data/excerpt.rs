//! The part of a file's content that stands in a message: enough to recognise it, never all of it.

/// Longest piece of content in a message, in characters.
const MAX_CHARS: usize = 60;
/// Most columns that a message lists.
const MAX_LISTED: usize = 12;

/// The beginning of `content`, in quotes.
pub(super) fn excerpt(content: &str) -> String {
    match content.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}", format!("{}…", &content[..end])),
        None => format!("{content:?}"),
    }
}

/// The first few of `contents`, each in quotes.
pub(super) fn excerpts(contents: &[String]) -> String {
    let mut listed: Vec<String> =
        contents.iter().take(MAX_LISTED).map(|content| excerpt(content)).collect();
    if contents.len() > MAX_LISTED {
        listed.push(format!("… {} in all", contents.len()));
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_and_what_are_many_are_counted() {
        assert_eq!(excerpt("a \"b\" "), "\"a \\\"b\\\" \"");
        assert_eq!(excerpt(&"é".repeat(60)), format!("\"{}\"", "é".repeat(60)));
        assert_eq!(excerpt(&"é".repeat(61)), format!("\"{}…\"", "é".repeat(60)));
        let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
        assert!(excerpts(&many).ends_with("\"11\", … 400 in all"), "{}", excerpts(&many));
        assert_eq!(excerpts(&many[..2]), "\"0\", \"1\"");
    }
}
