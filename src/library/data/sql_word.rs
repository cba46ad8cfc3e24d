//! The names that SQL cannot take for a table's because it has a use of its own for the word. The
//! parser is asked, not a list of ours: what it makes of a name is what a question comes to.

use polars::sql::extract_table_identifiers;

/// Questions as people ask them of a dataset.
const QUESTIONS: [&str; 6] = [
    "select * from NAME",
    "select count(*) from NAME where label = 'x' group by label",
    "select NAME.text, max(NAME.label) from NAME where NAME.text is not null order by NAME.text",
    "select a.text from NAME a join \"NAME.test\" b on a.text = b.text",
    "select other.text from other join NAME on other.text = NAME.text",
    "select text from other where text in (select text from NAME)",
];

/// Words that are values where the name of a column may stand.
const VALUES: [&str; 3] = ["null", "true", "false"];

/// True if a dataset called `name` could not be asked by its bare name. What is written in double
/// quotes anyway, a name with a dash, is no word.
pub(super) fn is_sql_word(name: &str) -> bool {
    if name.contains('-') {
        return false;
    }
    let is_misread = |question: &&str| -> bool {
        let tables = extract_table_identifiers(&question.replace("NAME", name), true, true);
        !tables.is_ok_and(|tables| tables.iter().any(|table| table == name))
    };
    VALUES.iter().any(|value| name.eq_ignore_ascii_case(value)) || QUESTIONS.iter().any(is_misread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_sql_are_told_from_names() {
        for name in ["imdb", "sample", "a", "Reviews_2024", "my-data", "my-select", "spam", "stars"]
        {
            assert!(!is_sql_word(name), "{name}");
        }
        let words = [
            "from", "FROM", "table", "distinct", "exists", "interval", "lateral", "struct",
            "unnest", "null", "True", "false",
        ];
        let found: Vec<&str> = words.into_iter().filter(|word| is_sql_word(word)).collect();
        assert_eq!(found, words);
        // The parser has use for these words as well, and takes them for names where names stand.
        for name in ["select", "where", "order", "group", "join", "case", "limit", "values", "date"]
        {
            assert!(!is_sql_word(name), "{name}");
        }
    }
}
