//! What the scanner makes of whole, half-written and arbitrary Rust.

use proptest::prelude::*;

use super::*;

/// Kinds as letters, to be read.
fn letter(kind: TokenKind) -> char {
    match kind {
        TokenKind::Blank => '_',
        TokenKind::LineComment => '/',
        TokenKind::BlockComment => '*',
        TokenKind::Text => 't',
        TokenKind::Character => 'c',
        TokenKind::Lifetime => 'l',
        TokenKind::Number => 'n',
        TokenKind::Word => 'w',
        TokenKind::Open(_) => '(',
        TokenKind::Close(_) => ')',
        TokenKind::Sign => '.',
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let found: Vec<String> =
        tokens(text).map(|token| format!("{}{}", letter(token.kind), token.text)).collect();
    assert_eq!(found.join("|"), expected, "{text:?}");
}

#[test]
fn texts_and_comments_end_where_rust_ends_them() {
    for (text, expected) in [
        ("/* a /* b */ c */ d", "*/* a /* b */ c */|_ |wd"),
        ("/* /* */", "*/* /* */"),
        ("/*/ a */b", "*/*/ a */|wb"),
        ("// /* a\nb", "/// /* a|_\n|wb"),
        ("\"// a\" b", "t\"// a\"|_ |wb"),
        ("\"a\\\"b\\\\\"c", "t\"a\\\"b\\\\\"|wc"),
        ("\"a\\", "t\"a\\"),
        ("r\"a\\\"b", "tr\"a\\\"|wb"),
        ("r#\"a\"b\"#c", "tr#\"a\"b\"#|wc"),
        ("r##\"a\"#b\"##", "tr##\"a\"#b\"##"),
        ("r#\"a\"", "tr#\"a\""),
        ("b\"a\" br#\"b\"# c\"c\" cr\"d\"", "tb\"a\"|_ |tbr#\"b\"#|_ |tc\"c\"|_ |tcr\"d\""),
        ("bar\"a\"", "wbar|t\"a\""),
        ("rb\"a\"", "wrb|t\"a\""),
        ("r#type r#", "wr#type|_ |wr|.#"),
        ("r## a", "wr|.#|.#|_ |wa"),
    ] {
        check(text, expected);
    }
}

#[test]
fn lifetimes_are_told_from_characters() {
    for (text, expected) in [
        ("'a'", "c'a'"),
        ("'a", "l'a"),
        ("<'a>(x: &'static str)", ".<|l'a|.>|((|wx|.:|_ |.&|l'static|_ |wstr|))"),
        ("'\\'' '\\\\' '\\n'", "c'\\''|_ |c'\\\\'|_ |c'\\n'"),
        ("'\\u{1f600}'x", "c'\\u{1f600}'|wx"),
        ("'\"' '{' '/'", "c'\"'|_ |c'{'|_ |c'/'"),
        ("'é' '🦀'", "c'é'|_ |c'🦀'"),
        ("b'a' b'\\''", "cb'a'|_ |cb'\\''"),
        ("b'a", "wb|l'a"),
        ("'_ 'r#a", "l'_|_ |l'r#a"),
        ("'(", ".'|(("),
        ("'\\\n}", "c'\\|_\n|)}"),
        ("'\n'", ".'|_\n|.'"),
        ("'", ".'"),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_point_belongs_to_a_number_where_a_digit_follows() {
    for (text, expected) in [
        ("0..9", "n0|..|..|n9"),
        ("1.5e-3+2", "n1.5e-3|.+|n2"),
        ("1.max(2)", "n1|..|wmax|((|n2|))"),
        ("0xe-3", "n0xe|.-|n3"),
        ("1_000_u64", "n1_000_u64"),
        ("x.0.1", "wx|..|n0.1"),
        ("1e+", "n1e|.+"),
        ("naïve_1", "wnaïve_1"),
    ] {
        check(text, expected);
    }
}

#[test]
fn words_end_at_the_cursor() {
    for (text, start) in [("a.bc", 2), ("bc", 0), ("a.", 2), ("é_1", 0), ("", 0)] {
        assert_eq!(word_start(text, text.len()), start, "{text}");
    }
}

/// A token that ends by itself, with its kind.
fn token() -> impl Strategy<Value = (TokenKind, String)> {
    let no_quote = "[a-z(){} /*'#é🦀\\n]{0,6}";
    prop_oneof![
        "[ \\n\\t]{1,3}".prop_map(|text| (TokenKind::Blank, text)),
        "[a-z(\"'/*]{0,6}".prop_map(|text| (TokenKind::LineComment, format!("//{text}"))),
        "[a-z(\"'# é]{0,6}".prop_map(|text| (TokenKind::BlockComment, format!("/*{text}*/"))),
        ("[a-z\"' ]{0,4}", "[a-z\"' ]{0,4}").prop_map(|(before, inside)| {
            (TokenKind::BlockComment, format!("/*{before}/*{inside}*/ {before}*/"))
        }),
        ("[bc]?", no_quote)
            .prop_map(|(prefix, text)| (TokenKind::Text, format!("{prefix}\"{text}\\\"\""))),
        ("[bc]?r", "#{1,3}", no_quote).prop_map(|(prefix, hashes, text)| {
            (TokenKind::Text, format!("{prefix}{hashes}\"{text}\" {text}\"{hashes}"))
        }),
        ("b?", "[a-z({\"/]|\\\\['\\\\n]|\\\\u\\{1f600\\}|é|🦀")
            .prop_map(|(prefix, text)| (TokenKind::Character, format!("{prefix}'{text}'"))),
        "'[a-z_][a-z0-9_]{0,4}".prop_map(|text| (TokenKind::Lifetime, text)),
        "[0-9][0-9_]{0,3}(\\.[0-9]{1,2})?(e-?[0-9])?(_?[fiu]64)?"
            .prop_map(|text| (TokenKind::Number, text)),
        "[a-zé_][a-z0-9_]{0,5}|r#[a-z]{1,4}".prop_map(|text| (TokenKind::Word, text)),
        prop_oneof![Just('('), Just('['), Just('{')]
            .prop_map(|open| (TokenKind::Open(open), open.to_string())),
        prop_oneof![Just(')'), Just(']'), Just('}')]
            .prop_map(|close| (TokenKind::Close(close), close.to_string())),
        "[.,;:+*=&|!?#<>@$-]".prop_map(|text| (TokenKind::Sign, text)),
    ]
}

proptest! {
    #[test]
    fn tokens_come_back_from_any_mix_of_them(mix in proptest::collection::vec(token(), 0..20)) {
        // A new line parts any two of them.
        let text: String = mix.iter().map(|(_, text)| format!("{text}\n")).collect();
        let expected: Vec<(TokenKind, &str)> = mix
            .iter()
            .filter(|(kind, _)| *kind != TokenKind::Blank)
            .map(|(kind, text)| (*kind, text.as_str()))
            .collect();
        let found: Vec<(TokenKind, &str)> = tokens(&text)
            .filter(|token| token.kind != TokenKind::Blank)
            .map(|token| (token.kind, token.text))
            .collect();
        prop_assert_eq!(found, expected, "{:?}", text);
    }

    #[test]
    fn tokens_are_the_text(text in "[a-cr0-2.e'\"/*#\\\\(){}!\n é🦀-]{0,60}") {
        let mut end = 0;
        for token in tokens(&text) {
            prop_assert_eq!(token.start, end);
            prop_assert!(!token.text.is_empty());
            end = token.end();
        }
        prop_assert_eq!(end, text.len());
    }

    #[test]
    fn what_comes_behind_changes_no_token(
        text in "[a-cr0-2.e'\"/*#\\\\(){}!\n é🦀-]{0,40}",
        cut in 0_usize..40,
    ) {
        let cut = text.floor_char_boundary(cut.min(text.len()));
        let whole: Vec<Token<'_>> = tokens(&text).filter(|token| token.end() <= cut).collect();
        let half: Vec<Token<'_>> = tokens(&text[..cut]).take(whole.len()).collect();
        prop_assert_eq!(half, whole, "{:?} cut at {}", text, cut);
    }
}
