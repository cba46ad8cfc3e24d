//! The words of SQL, in one list: what is worth a completion, what has a colour, and what is no name of
//! a column. Which names polars itself misreads is asked of polars, in `data`.

/// A word, or several that belong together, and a function with its parenthesis.
struct SqlWord {
    /// In SQL's own capitals.
    text: &'static str,
    role: Role,
    is_offered: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It begins or parts clauses.
    Clause,
    /// It stands in an expression or ends one, so that it is no name of a column.
    Expression,
    /// A function's name is a name: others may have it.
    Function,
}

const fn clause(text: &'static str) -> SqlWord {
    SqlWord { text, role: Role::Clause, is_offered: true }
}

const fn expression(text: &'static str) -> SqlWord {
    SqlWord { text, role: Role::Expression, is_offered: true }
}

const fn function(text: &'static str) -> SqlWord {
    SqlWord { text, role: Role::Function, is_offered: true }
}

/// One that is known, and too rare to be offered.
const fn rare(text: &'static str) -> SqlWord {
    SqlWord { text, role: Role::Clause, is_offered: false }
}

/// In the order in which they are offered.
const WORDS: [SqlWord; 68] = [
    clause("COPY"),
    clause("TO"),
    clause("SELECT"),
    clause("FROM"),
    clause("WHERE"),
    clause("GROUP BY"),
    clause("ORDER BY"),
    clause("HAVING"),
    clause("LIMIT"),
    clause("OFFSET"),
    clause("AS"),
    expression("AND"),
    expression("OR"),
    expression("NOT"),
    expression("IN"),
    expression("IS"),
    expression("NULL"),
    expression("LIKE"),
    expression("ILIKE"),
    expression("BETWEEN"),
    expression("CASE"),
    expression("WHEN"),
    expression("THEN"),
    expression("ELSE"),
    expression("END"),
    expression("DISTINCT"),
    clause("JOIN"),
    clause("LEFT JOIN"),
    clause("INNER JOIN"),
    clause("FULL JOIN"),
    clause("CROSS JOIN"),
    clause("ON"),
    clause("USING"),
    clause("UNION ALL"),
    clause("WITH"),
    expression("ASC"),
    expression("DESC"),
    function("COUNT("),
    function("SUM("),
    function("AVG("),
    function("MIN("),
    function("MAX("),
    function("MEDIAN("),
    function("STDDEV("),
    function("VARIANCE("),
    function("ROUND("),
    function("ABS("),
    function("LENGTH("),
    function("LOWER("),
    function("UPPER("),
    function("SUBSTR("),
    function("REPLACE("),
    function("STARTS_WITH("),
    function("ENDS_WITH("),
    function("REGEXP_LIKE("),
    function("CONCAT("),
    function("COALESCE("),
    // Its argument is written `x as type`.
    clause("CAST("),
    expression("TRUE"),
    expression("FALSE"),
    rare("EXISTS"),
    rare("EXPLAIN"),
    rare("OUTER"),
    rare("OVER"),
    rare("PARTITION"),
    rare("RIGHT"),
    rare("SHOW"),
    rare("TABLES"),
];

/// What is worth a completion, in SQL's own capitals: `GROUP BY`, `COUNT(`.
pub fn offered() -> impl Iterator<Item = &'static str> {
    WORDS.iter().filter(|word| word.is_offered).map(|word| word.text)
}

/// Whether `word` is one of SQL's own in any case of its letters; the name of a function is not.
pub fn is_keyword(word: &str) -> bool {
    let is_one = |known: &str| known.trim_end_matches('(').eq_ignore_ascii_case(word);
    let mut own = WORDS.iter().filter(|known| known.role != Role::Function);
    own.any(|known| known.text.split(' ').any(is_one))
}

/// Whether `word` stands in an expression or ends one, and so is no name of a column.
pub fn is_in_expression(word: &str) -> bool {
    let mut inner = WORDS.iter().filter(|known| known.role == Role::Expression);
    inner.any(|known| known.text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case_and_by_their_part() {
        for (word, keyword, inner) in [
            ("select", true, false),
            ("Group", true, false),
            ("BY", true, false),
            ("outer", true, false),
            ("cast", true, false),
            ("null", true, true),
            ("End", true, true),
            ("count", false, false),
            ("label", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_keyword(word), is_in_expression(word)), (keyword, inner), "{word}");
        }
        assert!(offered().any(|word| word == "GROUP BY") && !offered().any(|word| word == "OVER"));
    }
}
