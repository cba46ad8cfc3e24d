//! From tokens to filters and orders, by recursive descent. Every error names the place, what was
//! expected and what was found.

use super::{
    Attribute, Condition, DatasetField, Entity, Filter, NumberOp, Order, Test, TextOp,
    lexer::{Kind, Token, tokens},
};
use crate::error::{Error, Result};

impl Filter {
    /// Reads a filter; a blank text is the filter that lets everything through.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with the place and what was expected there.
    pub(crate) fn parse(text: &str, attributes: &'static [Attribute]) -> Result<Self> {
        let mut parser = Parser::new("filter", text, attributes);
        let mut conditions = Vec::new();
        while parser.peek().is_some() {
            conditions.push(parser.condition()?);
            if parser.peek().is_some() {
                parser.and()?;
                if parser.peek().is_none() {
                    return Err(parser.expected("a condition"));
                }
            }
        }
        Ok(Self { conditions })
    }
}

impl Order {
    /// Reads one order, such as `metrics.f1 desc`; ascending unless it says otherwise.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub(crate) fn parse(text: &str, attributes: &'static [Attribute]) -> Result<Self> {
        let mut parser = Parser::new("order", text, attributes);
        let entity = parser.entity()?;
        let descending = match parser.peek() {
            None => false,
            Some(token) if token.is_keyword("asc") => false,
            Some(token) if token.is_keyword("desc") => true,
            Some(_) => return Err(parser.expected("asc or desc")),
        };
        parser.next_idx += 1;
        match parser.peek() {
            None => Ok(Self { entity, descending }),
            Some(_) => Err(parser.expected("the end")),
        }
    }
}

struct Parser<'a> {
    what: &'static str,
    input: &'a str,
    /// Those of what is searched.
    attributes: &'static [Attribute],
    tokens: Vec<Token>,
    next_idx: usize,
}

impl<'a> Parser<'a> {
    fn new(what: &'static str, input: &'a str, attributes: &'static [Attribute]) -> Self {
        Self { what, input, attributes, tokens: tokens(input), next_idx: 0 }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next_idx)
    }

    /// Takes the next token if it is one that `wanted` wants.
    fn take(&mut self, wanted: impl Fn(&Token) -> bool) -> Option<Token> {
        let token = self.peek().filter(|token| wanted(token))?.clone();
        self.next_idx += 1;
        Some(token)
    }

    /// The error that something else stands at the present place.
    fn expected(&self, expected: &str) -> Error {
        let (at, found) = match self.peek() {
            Some(token) if token.kind == Kind::Unclosed => {
                (token.at, format!("a quote that is not closed: {}", token.text))
            }
            Some(token) => (token.at, format!("{:?}", token.text)),
            None => (self.input.chars().count(), "the end".to_owned()),
        };
        Error::invalid(format!(
            "{} {:?}: expected {expected} at position {}, found {found}",
            self.what,
            self.input,
            at + 1
        ))
        .with_hint("write it like `metrics.f1 > 0.85 and params.model = 'tfidf'`, ordered by `metrics.f1 desc`")
    }

    fn and(&mut self) -> Result<()> {
        if self.take(|token| token.is_keyword("and")).is_some() {
            return Ok(());
        }
        let error = self.expected("AND");
        if self.peek().is_some_and(|token| token.is_keyword("or")) {
            return Err(error.with_hint(
                "conditions are joined by AND only, as in MLflow: use IN ('a', 'b') for several \
                 values of one text, or search twice",
            ));
        }
        Err(error)
    }

    fn condition(&mut self) -> Result<Condition> {
        let entity = self.entity()?;
        let test = if entity.is_number() { self.number_test()? } else { self.text_test()? };
        let test = match entity {
            // Statuses are compared as they are written, in upper case.
            Entity::Attribute(Attribute { name: "status", .. }) => test.upper_case(),
            _ => test,
        };
        Ok(Condition { entity, test })
    }

    fn entity(&mut self) -> Result<Entity> {
        const EXPECTED: &str = "metrics.KEY, params.KEY, tags.KEY or an attribute";
        let Some(word) = self.take(|token| token.kind == Kind::Word) else {
            return Err(self.expected(EXPECTED));
        };
        let Some((kind, key)) = word.text.split_once('.') else {
            return self.attribute(&word.text);
        };
        let make: fn(String) -> Entity = match kind.to_ascii_lowercase().as_str() {
            "metrics" | "metric" => Entity::Metric,
            "params" | "param" | "parameters" | "parameter" => Entity::Param,
            "tags" | "tag" => Entity::Tag,
            "attributes" | "attribute" | "attr" | "run" => return self.attribute(key),
            "dataset" | "datasets" => return self.dataset(key),
            _ => {
                self.next_idx -= 1;
                return Err(self.expected(EXPECTED));
            }
        };
        if !key.is_empty() {
            return Ok(make(key.to_owned()));
        }
        let is_key = |token: &Token| {
            token.adjoins && matches!(token.kind, Kind::DoubleQuoted | Kind::Backticked)
        };
        match self.take(is_key).map(|token| token.unquoted()) {
            Some(key) if !key.is_empty() => Ok(make(key)),
            Some(_) => {
                self.next_idx -= 1;
                Err(self.expected("a key that is not empty"))
            }
            None => Err(self.expected("a key right after the point")),
        }
    }

    /// The attribute called `name`, the token before the present one.
    fn attribute(&mut self, name: &str) -> Result<Entity> {
        let name = name.to_ascii_lowercase();
        let found = self
            .attributes
            .iter()
            .find(|attribute| attribute.name == name || attribute.also.contains(&name.as_str()));
        found.map(Entity::Attribute).ok_or_else(|| {
            self.next_idx -= 1;
            let names: Vec<&str> = self.attributes.iter().map(|known| known.name).collect();
            self.expected(&format!("an attribute ({})", names.join(", "))).with_hint(format!(
                "for anything that was logged write metrics.{name}, params.{name} or tags.{name}"
            ))
        })
    }

    /// The field `name` of datasets, the token before the present one.
    fn dataset(&mut self, name: &str) -> Result<Entity> {
        let found = DatasetField::ALL.into_iter().find(|field| field.as_str() == name);
        found.map(Entity::Dataset).ok_or_else(|| {
            self.next_idx -= 1;
            self.expected("dataset.name, dataset.digest or dataset.context")
        })
    }

    fn number_test(&mut self) -> Result<Test> {
        let found = self.operator(NumberOp::ALL, NumberOp::as_str);
        let Some(op) = found else {
            return Err(self.expected("=, !=, <, <=, > or >="));
        };
        let value = self.peek().and_then(|token| match token.kind {
            Kind::Number => token.text.parse::<f64>().ok(),
            // Clients quote numbers now and then.
            Kind::SingleQuoted => token.unquoted().parse().ok(),
            _ => None,
        });
        match value {
            Some(value) if value.is_finite() => {
                self.next_idx += 1;
                Ok(Test::Number(op, value))
            }
            _ => Err(self.expected("a number")),
        }
    }

    fn text_test(&mut self) -> Result<Test> {
        if let Some(op) = self.operator(TextOp::ALL, TextOp::as_str) {
            return Ok(Test::Text(op, self.text()?));
        }
        if self.take(|token| token.is_keyword("is")).is_some() {
            let negated = self.take(|token| token.is_keyword("not")).is_some();
            return match self.take(|token| token.is_keyword("null")) {
                Some(_) => Ok(Test::Missing { negated }),
                None => Err(self.expected(if negated { "NULL" } else { "NULL or NOT NULL" })),
            };
        }
        let negated = self.take(|token| token.is_keyword("not")).is_some();
        if self.take(|token| token.is_keyword("in")).is_none() {
            return Err(self.expected(if negated {
                "IN"
            } else {
                "=, !=, LIKE, ILIKE, IN, NOT IN, IS NULL or IS NOT NULL"
            }));
        }
        self.punctuation("(")?;
        let mut values = vec![self.text()?];
        while self.take(|token| token.text == ",").is_some() {
            values.push(self.text()?);
        }
        self.punctuation(")")?;
        Ok(Test::Member { negated, values })
    }

    /// The operator among `all` that stands here.
    fn operator<T: Copy, const N: usize>(
        &mut self,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let token = self.peek().filter(|t| matches!(t.kind, Kind::Operator | Kind::Word))?;
        let found = all.into_iter().find(|op| name(*op).eq_ignore_ascii_case(&token.text))?;
        self.next_idx += 1;
        Some(found)
    }

    fn text(&mut self) -> Result<String> {
        let quoted = |token: &Token| matches!(token.kind, Kind::SingleQuoted | Kind::DoubleQuoted);
        match self.take(quoted) {
            Some(token) => Ok(token.unquoted()),
            None => Err(self.expected("a text in quotes")),
        }
    }

    fn punctuation(&mut self, mark: &str) -> Result<()> {
        match self.take(|token| token.kind == Kind::Other && token.text == mark) {
            Some(_) => Ok(()),
            None => Err(self.expected(&format!("{mark:?}"))),
        }
    }
}

impl Test {
    pub(super) fn upper_case(self) -> Self {
        match self {
            Self::Text(op, value) => Self::Text(op, value.to_ascii_uppercase()),
            Self::Member { negated, values } => {
                let values = values.iter().map(|value| value.to_ascii_uppercase()).collect();
                Self::Member { negated, values }
            }
            other @ (Self::Number(..) | Self::Missing { .. }) => other,
        }
    }
}
