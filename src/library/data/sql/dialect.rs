//! The SQL of people who know DuckDB, PostgreSQL or SQLite, in the words of polars' SQL: names of
//! functions, numbers with exponents, files as tables, and columns that are named as they were
//! written. What polars would silently ignore, or answer with its parser's own notes, is refused
//! here in words.

use std::{collections::BTreeSet, fmt::Write as _, ops::Range, path::PathBuf};

use crate::{
    error::{Error, Result},
    syntax::{Token, is_in_expression, tokens},
};

/// Functions by the names that others give them.
const FUNCTIONS: [(&str, &str); 8] = [
    ("any_value", "first"),
    ("approx_quantile", "quantile_cont"),
    ("len", "length"),
    ("mean", "avg"),
    ("percentile_cont", "quantile_cont"),
    ("quantile", "quantile_cont"),
    ("regexp_full_match", "regexp_like"),
    ("regexp_matches", "regexp_like"),
];

/// A query that polars reads, and the files that it names as tables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) query: String,
    pub(super) files: BTreeSet<PathBuf>,
}

/// Translates `query`.
///
/// # Errors
/// `where` without `from`, `having` without `group by`, and `exists`, none of which polars answers.
pub(super) fn translate(query: &str) -> Result<Translated> {
    let tokens: Vec<Token<'_>> = tokens(query).collect();
    let selects = selects(&tokens);
    selects.iter().try_for_each(|select| select.check())?;
    check_exists(&tokens)?;
    let named = selects.iter().find(|select| select.depth == 0);
    let names = named.map(|select| names(&tokens, select)).unwrap_or_default();
    let mut translated = Translated { query: String::new(), files: BTreeSet::new() };
    let sorted = named.map(|select| sorted(&tokens, select, &names)).unwrap_or_default();
    for (idx, token) in tokens.iter().enumerate() {
        let text = &mut translated.query;
        if let Some((place, name)) = sorted.iter().find(|(place, _)| place.contains(&idx)) {
            if place.start == idx {
                let _ = write!(text, "\"{}\"", name.replace('"', "\"\""));
            }
            continue;
        }
        match token {
            token if is_file(&tokens, idx) => {
                let path = token.string().unwrap_or_default();
                let _ = write!(text, "\"{}\"", path.replace('"', "\"\""));
                translated.files.insert(path.as_ref().into());
            }
            token if token.is_number() => text.push_str(&plain_number(token.text)),
            token if next(&tokens, idx).is_some_and(|next| next.text == "(") => {
                let known = FUNCTIONS.iter().find(|(name, _)| token.is(name));
                text.push_str(known.map_or(token.text, |(_, polars)| polars));
            }
            token => text.push_str(token.text),
        }
        if let Some((_, name)) = names.iter().find(|(last_idx, _)| *last_idx == idx) {
            let _ = write!(translated.query, " as \"{}\"", name.replace('"', "\"\""));
        }
    }
    Ok(translated)
}

/// The pieces of one `select`, up to the end of its query or the next `union`.
#[derive(Debug)]
struct Select {
    /// The number of parentheses that are open around it.
    depth: usize,
    /// Indices of the tokens of its list of columns.
    list: Range<usize>,
    clauses: Vec<&'static str>,
    /// Indices of the tokens from its `order` on.
    order: Option<Range<usize>>,
}

const CLAUSES: [&str; 7] = ["from", "where", "group", "having", "order", "limit", "qualify"];

impl Select {
    fn check(&self) -> Result<()> {
        let has = |clause: &str| self.clauses.contains(&clause);
        if has("where") && !has("from") {
            return Err(Error::invalid(
                "sql: where without from: there are no rows to choose among",
            )
            .with_hint("name a table: `select … from NAME where …`"));
        }
        if has("having") && !has("group") {
            return Err(Error::invalid("sql: having without group by")
                .with_hint("choose rows with `where`, or groups with `group by … having …`"));
        }
        Ok(())
    }
}

/// Every `select` of the query, in the order of where they begin.
fn selects(tokens: &[Token<'_>]) -> Vec<Select> {
    let mut found: Vec<Select> = Vec::new();
    // Those that are not closed yet, by their index in `found`.
    let mut open: Vec<usize> = Vec::new();
    let mut depth = 0;
    for (idx, token) in tokens.iter().enumerate() {
        let end = |open: &mut Vec<usize>, found: &mut Vec<Select>, depth: usize| {
            while let Some(&last) = open.last().filter(|last| found[**last].depth >= depth) {
                let list = &mut found[last].list;
                list.end = list.end.min(idx);
                if let Some(order) = &mut found[last].order {
                    order.end = order.end.min(idx);
                }
                open.pop();
            }
        };
        match token.text {
            "(" => depth += 1,
            ")" => {
                end(&mut open, &mut found, depth);
                depth = depth.saturating_sub(1);
            }
            ";" => end(&mut open, &mut found, 0),
            _ if ["union", "intersect", "except"].iter().any(|word| token.is(word)) => {
                // `select * except (…)` leaves columns out and begins no other query.
                if next(tokens, idx).is_none_or(|next| next.text != "(") || !token.is("except") {
                    end(&mut open, &mut found, depth);
                }
            }
            _ if token.is("select") => {
                open.push(found.len());
                let list = idx + 1..tokens.len();
                found.push(Select { depth, list, clauses: Vec::new(), order: None });
            }
            _ => {
                let clause = CLAUSES.into_iter().find(|clause| token.is(clause));
                let select = open.last().map(|last| &mut found[*last]);
                if let (Some(clause), Some(select)) = (clause, select)
                    && select.depth == depth
                {
                    select.list.end = select.list.end.min(idx);
                    select.clauses.push(clause);
                    match (clause, &mut select.order) {
                        ("order", order) => *order = Some(idx + 1..tokens.len()),
                        ("limit", Some(order)) => order.end = order.end.min(idx),
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

/// polars knows `exists` in few places and answers with its parser's notes in the others.
fn check_exists(tokens: &[Token<'_>]) -> Result<()> {
    let is_exists = |idx: usize| {
        tokens[idx].is("exists") && next(tokens, idx).is_some_and(|next| next.text == "(")
    };
    if (0..tokens.len()).any(is_exists) {
        return Err(Error::invalid("sql: `exists (…)` is not supported")
            .with_hint("use `in (select …)`, or a join"));
    }
    Ok(())
}

/// The columns of `select` that have no name of their own: the last token of each, and the name that
/// it gets, which is how it was written.
fn names(tokens: &[Token<'_>], select: &Select) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for item in items(tokens, select.list.clone()) {
        let parts: Vec<(usize, Token<'_>)> = item.filter(|(_, token)| !token.is_blank()).collect();
        let Some((last_idx, _)) = parts.last() else { continue };
        let parts_of_it: Vec<Token<'_>> = parts.iter().map(|(_, token)| *token).collect();
        if !has_name(&parts_of_it) {
            let first_idx = parts[0].0;
            named.push((*last_idx, written(&tokens[first_idx..=*last_idx])));
        }
    }
    named
}

/// The columns of `names` that `select` sorts by, and their names: polars would compute `order by
/// count(*)` anew, over the groups.
fn sorted(
    tokens: &[Token<'_>],
    select: &Select,
    names: &[(usize, String)],
) -> Vec<(Range<usize>, String)> {
    let Some(order) = select.order.clone() else { return Vec::new() };
    let mut sorted = Vec::new();
    for item in items(tokens, order) {
        let mut parts: Vec<(usize, Token<'_>)> =
            item.filter(|(_, token)| !token.is_blank()).collect();
        if parts.first().is_some_and(|(_, first)| first.is("by")) {
            parts.remove(0);
        }
        let is_direction = |token: Token<'_>| {
            ["asc", "desc", "nulls", "first", "last"].iter().any(|word| token.is(word))
        };
        while parts.last().is_some_and(|(_, last)| is_direction(*last)) {
            parts.pop();
        }
        let (Some((first, _)), Some((last, _))) = (parts.first(), parts.last()) else { continue };
        let text = written(&tokens[*first..=*last]);
        if let Some((_, name)) = names.iter().find(|(_, name)| name.eq_ignore_ascii_case(&text)) {
            sorted.push((*first..last + 1, name.clone()));
        }
    }
    sorted
}

/// An expression as it was written, on one line and without comments.
fn written(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token.is_blank() {
            true if !text.ends_with(' ') => text.push(' '),
            true => {}
            false => text.push_str(token.text),
        }
    }
    text
}

type Item<'a> = std::vec::IntoIter<(usize, Token<'a>)>;

/// The columns of a list, each with the indices of its tokens.
fn items<'a>(tokens: &[Token<'a>], list: Range<usize>) -> Vec<Item<'a>> {
    let mut items = vec![Vec::new()];
    let (mut depth, mut is_first) = (0_usize, true);
    for (idx, token) in tokens.iter().enumerate().take(list.end).skip(list.start) {
        // `select distinct` and `select all` are not the first column.
        if is_first && !token.is_blank() {
            is_first = false;
            if token.is("all") || token.is("distinct") {
                if next(tokens, idx).is_some_and(|next| next.is("on")) {
                    return Vec::new();
                }
                continue;
            }
        }
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                items.push(Vec::new());
                continue;
            }
            _ => {}
        }
        items.last_mut().expect("there is an item from the start").push((idx, *token));
    }
    items.into_iter().map(Vec::into_iter).collect()
}

/// True if polars names this column as it was written: a bare column, a wildcard, or one with an
/// alias.
fn has_name(parts: &[Token<'_>]) -> bool {
    let is_name = |token: Token<'_>| token.identifier().is_some() && !is_in_expression(token.text);
    let is_wildcard = parts.iter().any(|token| token.text == "*")
        && matches!(parts, [first, ..] if first.text == "*" || parts.get(1).is_some_and(|dot| dot.text == "."));
    let is_column = parts.iter().enumerate().all(|(idx, token)| match idx % 2 {
        0 => is_name(*token),
        _ => token.text == ".",
    });
    if is_wildcard || is_column || parts.first().is_some_and(|first| first.is("columns")) {
        return true;
    }
    let mut depth = 0_usize;
    for token in parts {
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ if depth == 0 && token.is("as") => return true,
            _ => {}
        }
    }
    // `count(*) n`: a name after something that is whole.
    matches!(parts, [.., before, last] if is_name(*last)
        && (matches!(before.text, ")" | "]")
            || before.is_number()
            || before.string().is_some()
            || ["end", "null", "true", "false"].iter().any(|word| before.is(word))
            || is_name(*before)))
}

/// True if the token is a string where a table belongs: `from 'reviews.csv'`.
fn is_file(tokens: &[Token<'_>], idx: usize) -> bool {
    let before = tokens[..idx].iter().rev().find(|token| !token.is_blank());
    tokens[idx].string().is_some_and(|path| !path.is_empty())
        && before.is_some_and(|before| before.is("from") || before.is("join"))
        // `trim(both 'x' from 'text')`, `extract(year from '…')`: a table's query has a select.
        && is_in_from(tokens, idx)
}

/// True if the `from` or `join` before the token is that of a `select`, not of a function.
fn is_in_from(tokens: &[Token<'_>], idx: usize) -> bool {
    let mut depth = 0_usize;
    for (at, token) in tokens[..idx].iter().enumerate().rev() {
        match token.text {
            ")" => depth += 1,
            // Out of the parentheses that the token stands in.
            "(" if depth == 0 => {
                let before = tokens[..at].iter().rev().find(|token| !token.is_blank());
                return !before.is_some_and(|before| {
                    ["extract", "trim", "substring", "overlay"].iter().any(|word| before.is(word))
                });
            }
            "(" => depth -= 1,
            _ => {}
        }
    }
    true
}

fn next<'a>(tokens: &[Token<'a>], idx: usize) -> Option<Token<'a>> {
    tokens[idx + 1..].iter().find(|token| !token.is_blank()).copied()
}

/// A number without an exponent, which polars reads as a column's name: `1e-3` is `0.001`.
fn plain_number(text: &str) -> String {
    let has_exponent = text.contains(['e', 'E']);
    match text.parse::<f64>() {
        Ok(value) if has_exponent && value.is_finite() => {
            let plain = format!("{value}");
            if plain.contains('.') { plain } else { format!("{plain}.0") }
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &str) {
        assert_eq!(translate(query).unwrap().query, expected, "{query}");
    }

    #[test]
    fn columns_without_a_name_are_named_as_they_were_written() {
        check("select count(*) from t", "select count(*) as \"count(*)\" from t");
        check(
            "select label, avg(x), avg( y ) from t group by label order by avg(x)",
            "select label, avg(x) as \"avg(x)\", avg( y ) as \"avg( y )\" from t group by label order by \"avg(x)\"",
        );
        check("select 1, 'a', a + b", "select 1 as \"1\", 'a' as \"'a'\", a + b as \"a + b\"");
        check(
            "select case when a then 1 end, not b from t",
            "select case when a then 1 end as \"case when a then 1 end\", not b as \"not b\" from t",
        );
        check(
            "select count(*) from t order by COUNT(*) desc nulls last, a limit 1",
            "select count(*) as \"count(*)\" from t order by \"count(*)\" desc nulls last, a limit 1",
        );
        check("select distinct upper(a) from t", "select distinct upper(a) as \"upper(a)\" from t");
        for unchanged in [
            "select a, t.b, \"c d\", *, t.* from t",
            "select count(*) as n, sum(x) s, 1 one, case when a then 1 end \"which\" from t",
            "select * exclude (a) from t",
            "select cast(a as int) b from t",
            "select n from (select count(*) as n from t) as inside",
            "select distinct on (a) a, b from t",
            "select columns('x.*') from t",
        ] {
            check(unchanged, unchanged);
        }
        // Only what is shown is named: the rest may be referred to by polars' own names.
        check(
            "with x as (select max(a) from t) select min(a) from x union all select 2",
            "with x as (select max(a) from t) select min(a) as \"min(a)\" from x union all select 2",
        );
    }

    #[test]
    fn words_of_others_are_translated_and_strings_left_alone() {
        check(
            "select quantile(x, 0.5) q, mean(y) m from t where regexp_matches(a, 'mean(') and b > 1e-3",
            "select quantile_cont(x, 0.5) q, avg(y) m from t where regexp_like(a, 'mean(') and b > 0.001",
        );
        check("select mean from t where x < 2.5E2", "select mean from t where x < 250.0");
    }

    #[test]
    fn a_string_where_a_table_belongs_is_a_file() {
        let translated =
            translate("select * from 'a b.parquet' x join 'c.csv' y on x.i = y.i").unwrap();
        assert_eq!(
            translated.query,
            "select * from \"a b.parquet\" x join \"c.csv\" y on x.i = y.i"
        );
        assert_eq!(translated.files, ["a b.parquet", "c.csv"].map(PathBuf::from).into());
        let query = "select trim(both 'x' from 'xax') t from a";
        assert_eq!(translate(query).unwrap().query, query);
    }

    #[test]
    fn what_polars_ignores_or_only_half_knows_is_refused() {
        for (query, expected) in [
            ("select 1 where false", "where without from"),
            ("select a from (select 1 where 2 > 1) t", "where without from"),
            ("select count(*) from t having count(*) > 1", "having without group by"),
            ("select a from t where exists (select 1 from u)", "`exists (…)` is not supported"),
        ] {
            let error = translate(query).unwrap_err();
            assert!(error.to_string().contains(expected), "{query}: {error}");
            assert!(error.hint().is_some(), "{query}");
        }
        for fine in [
            "select a from t where b in (select b from u where c)",
            "select a, sum(b) as n from t group by a having sum(b) > 1",
            "select a from t union select b from u where b > 1",
            "select * except (a) from t where b",
        ] {
            assert!(translate(fine).is_ok(), "{fine}");
        }
    }
}
