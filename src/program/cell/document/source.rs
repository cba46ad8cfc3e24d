//! A cell as a notebook or a script holds it.

/// A code cell of a notebook or a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Its place among all cells of a notebook.
    pub idx: usize,
    /// Its text.
    pub text: String,
    /// True if it is meant to fail: Jupyter's tag `raises-exception`.
    pub may_fail: bool,
    /// True if its variables can be set from outside: papermill's tag `parameters`.
    pub is_parameters: bool,
}

impl Source {
    pub(super) fn of(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    pub(super) fn tagged(self, tags: &[String]) -> Self {
        let has = |tag: &str| tags.iter().any(|it| it == tag);
        Self { may_fail: has("raises-exception"), is_parameters: has("parameters"), ..self }
    }
}
