//! Charts of a frame's columns. `words` and `chars` are lengths of its column `text`, where it has no
//! columns of these names.

use polars::prelude::{Column, DataFrame, DataType, TimeUnit};

use super::{
    Chart, Series,
    groups::{Groups, counted},
};
use crate::{
    data::n_words,
    error::{Error, Result},
    figure,
};

/// The column whose lengths can be plotted.
const TEXT: &str = "text";
/// Lengths of [`TEXT`]: name, what it is, the length.
type Length = (&'static str, &'static str, fn(&str) -> usize);
const LENGTHS: [Length; 2] =
    [("words", "words", n_words), ("chars", "characters", |text| text.chars().count())];

/// Charts of `frame`'s columns.
///
/// ```
/// # use trialbook_library as trialbook;
/// use trialbook::prelude::*;
/// # fn main() -> trialbook::Result<()> {
/// let df = df!("text" => ["a good film", "bad"], "label" => ["pos", "neg"]).expect("equal lengths");
/// let lengths = plot(&df).hist("words")?.title("How long reviews are");
/// assert!(lengths.draw().svg.contains("words in a text"));
/// let error = plot(&df).hist("label").unwrap_err();
/// assert_eq!(error.to_string(), "column \"label\" holds str, not numbers");
/// # Ok(())
/// # }
/// ```
pub fn plot(frame: &DataFrame) -> Plotter<'_> {
    Plotter { frame, by: None }
}

/// A frame about to be plotted; made by [`plot`].
#[derive(Debug, Clone, Copy)]
pub struct Plotter<'a> {
    frame: &'a DataFrame,
    by: Option<&'a str>,
}

impl<'a> Plotter<'a> {
    /// Draws one series for each value of `column`, at most the 6 most frequent ones: histograms become
    /// lines, bars stand side by side, points and lines have colours. A null is a value.
    ///
    /// ```
    /// # use trialbook_library as trialbook;
    /// use trialbook::prelude::*;
    /// # fn main() -> trialbook::Result<()> {
    /// let df = df!("words" => [3, 5, 4], "label" => ["pos", "neg", "pos"]).expect("equal lengths");
    /// let lengths = plot(&df).by("label").hist("words")?;
    /// assert_eq!(lengths.name(), "words of 3 rows by label");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn by(self, column: &'a str) -> Self {
        Self { by: Some(column), ..self }
    }

    /// A histogram of the column.
    ///
    /// # Errors
    /// No such column, or one without numbers.
    pub fn hist(&self, column: &str) -> Result<Chart> {
        let numbers = self.numbers(column)?;
        let chart = match self.groups()? {
            None => Chart::histogram(column, &numbers.values),
            Some(groups) => {
                let n_known = numbers.values.iter().flatten().filter(|x| x.is_finite()).count();
                let is_whole = |x: &f64| !x.is_finite() || x.fract() == 0.0;
                let chart = groups.histogram(&numbers.values).axes(column, "rows");
                let chart = match numbers.values.iter().flatten().all(is_whole) {
                    true => chart.with_whole_x(),
                    false => chart,
                };
                chart.title(format!("{column} of {} rows", figure::count(n_known)))
            }
        };
        let chart = if numbers.is_time { chart.with_time_x() } else { chart };
        let chart = match numbers.length_of {
            None => chart,
            Some(unit) => chart
                .axes(format!("{unit} in a text"), "texts")
                .title(format!("length of {} texts", figure::count(numbers.values.len()))),
        };
        Ok(self.titled(chart))
    }

    /// One bar a value of the column, as high as the value is frequent.
    ///
    /// # Errors
    /// No such column.
    pub fn count(&self, column: &str) -> Result<Chart> {
        let names = self.texts(column)?;
        let mut counts = counted(names.iter().map(String::as_str));
        // Numbers have an order of their own; words come by frequency.
        let number = |name: &str| name.parse::<f64>().ok();
        if counts.iter().all(|(name, _)| number(name).is_some()) {
            counts.sort_by(|a, b| number(a.0).partial_cmp(&number(b.0)).unwrap_or(a.0.cmp(b.0)));
        }
        let (labels, heights): (Vec<String>, Vec<f64>) =
            counts.into_iter().map(|(name, n)| (name.to_owned(), n as f64)).unzip();
        let chart = match self.groups()? {
            None => Chart::bars(labels, vec![("rows".to_owned(), heights)]),
            Some(groups) => groups.bars(labels, &names),
        };
        let title = format!("{column} of {}", figure::counted(names.len(), "row"));
        Ok(self.titled(chart.axes(column, "rows").title(title)))
    }

    /// One bar a row: its name from one column, its height from another.
    ///
    /// # Errors
    /// No such column, or heights that are no numbers.
    pub fn bar(&self, names: &str, heights: &str) -> Result<Chart> {
        self.bars(names, &[heights])
    }

    /// Several bars a row, side by side.
    ///
    /// # Errors
    /// No such column, heights that are no numbers, or no heights at all.
    pub fn bars(&self, names: &str, heights: &[&str]) -> Result<Chart> {
        if let Some(by) = self.by {
            return Err(Error::invalid(format!("bars of {} by {by:?}", heights.join(", ")))
                .with_hint("only one column can be counted by groups: name one column"));
        }
        let mut series = Vec::with_capacity(heights.len());
        for height in heights {
            let values = self.numbers(height)?.values;
            let values = values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
            series.push(((*height).to_owned(), values));
        }
        Ok(Chart::bars(self.texts(names)?, series)
            .axes(names, self.common_name(heights)?)
            .title(format!("{} by {names}", heights.join(", "))))
    }

    /// The points of two columns, joined in the order of x.
    ///
    /// # Errors
    /// No such column, or one without numbers.
    pub fn line(&self, x: &str, y: &str) -> Result<Chart> {
        self.lines(x, &[y])
    }

    /// Several lines over the same x.
    ///
    /// # Errors
    /// No such column, one without numbers, or no line at all.
    pub fn lines(&self, x: &str, ys: &[&str]) -> Result<Chart> {
        self.series(x, ys, |mut series| {
            for series in &mut series {
                series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
            Chart::lines(series)
        })
    }

    /// The points of two columns.
    ///
    /// # Errors
    /// No such column, or one without numbers.
    pub fn scatter(&self, x: &str, y: &str) -> Result<Chart> {
        self.series(x, &[y], Chart::scatter)
    }

    fn series(&self, x: &str, ys: &[&str], chart: fn(Vec<Series>) -> Chart) -> Result<Chart> {
        let at = self.numbers(x)?;
        let groups = self.groups()?;
        if let (Some(by), [_, _, ..]) = (self.by, ys) {
            return Err(Error::invalid(format!("{} by {by:?}", ys.join(", ")))
                .with_hint("name one column for y: each group is a series of its own"));
        }
        let mut series = Vec::with_capacity(ys.len());
        for y in ys {
            let values = self.numbers(y)?.values;
            if let Some(groups) = &groups {
                let points = at.values.iter().zip(values);
                let points: Vec<Option<(f64, f64)>> =
                    points.map(|(x, y)| Some(((*x)?, y.unwrap_or(f64::NAN)))).collect();
                series = groups.series(&points);
                break;
            }
            let points = at.values.iter().zip(values);
            let points = points.filter_map(|(x, y)| Some(((*x)?, y.unwrap_or(f64::NAN))));
            let name = if ys.len() == 1 { self.axis_name(y) } else { (*y).to_owned() };
            series.push(Series::new(name, points.collect()));
        }
        let y_name = self.common_name(ys)?;
        let mut chart = chart(series);
        let is_whole = |value: &Option<f64>| value.is_none_or(|value| value.fract() == 0.0);
        if at.is_time {
            chart = chart.with_time_x();
        } else if at.values.iter().all(is_whole) {
            chart = chart.with_whole_x();
        }
        if let Some(groups) = &groups {
            chart = groups.noted(chart, None);
        }
        let title = match self.by {
            Some(_) => format!("{} over {x}", ys.join(", ")),
            None => format!("{} by {x}", ys.join(", ")),
        };
        Ok(self.titled(chart.axes(self.axis_name(x), y_name).title(title)))
    }

    /// The groups to draw, where there are any.
    fn groups(&self) -> Result<Option<Groups>> {
        self.by.map(|by| self.texts(by).map(|values| Groups::of(&values))).transpose()
    }

    /// `chart` with the groups in its title.
    fn titled(&self, chart: Chart) -> Chart {
        match self.by {
            None => chart,
            Some(by) => {
                let title = format!("{} by {by}", chart.name());
                chart.title(title)
            }
        }
    }

    /// True if the column holds numbers, so that a histogram of it says something.
    ///
    /// # Errors
    /// No such column.
    pub fn is_numeric(&self, column: &str) -> Result<bool> {
        if self.length(column).is_some() {
            return Ok(true);
        }
        Ok(self.column(column)?.dtype().is_primitive_numeric())
    }

    /// The common name of the columns drawn in one direction.
    fn common_name(&self, columns: &[&str]) -> Result<String> {
        match columns {
            [] => Err(Error::invalid("a line needs two columns: only one is given")
                .with_hint(self.columns())),
            [only] => Ok(self.axis_name(only)),
            _ => Ok("value".to_owned()),
        }
    }

    /// A length of a text is called by its unit.
    fn axis_name(&self, name: &str) -> String {
        match self.length(name) {
            Some((unit, _)) => format!("{unit} in a text"),
            None => name.to_owned(),
        }
    }

    /// The lengths that `name` stands for, unless it is a column itself.
    fn length(&self, name: &str) -> Option<(&'static str, Vec<Option<f64>>)> {
        let (_, unit, length) = LENGTHS.iter().find(|(length, _, _)| *length == name)?;
        if self.frame.column(name).is_ok() {
            return None;
        }
        let texts = self.frame.column(TEXT).ok()?.str().ok()?;
        Some((unit, texts.iter().map(|text| text.map(|text| length(text) as f64)).collect()))
    }

    fn column(&self, name: &str) -> Result<&Column> {
        self.frame.column(name).map_err(|_| {
            Error::invalid(format!("column {name:?} does not exist")).with_hint(self.columns())
        })
    }

    /// The columns that can be plotted.
    fn columns(&self) -> String {
        let names: Vec<&str> =
            self.frame.columns().iter().map(|column| column.name().as_str()).collect();
        let lengths = match names.contains(&TEXT) {
            true => "; words and chars are lengths of text",
            false => "",
        };
        match names.is_empty() {
            true => "the frame has no columns".to_owned(),
            false => format!("there are {}{lengths}", names.join(", ")),
        }
    }

    fn numbers(&self, name: &str) -> Result<Numbers> {
        if let Some((unit, values)) = self.length(name) {
            return Ok(Numbers { values, is_time: false, length_of: Some(unit) });
        }
        let column = self.column(name)?;
        let dtype = column.dtype();
        let is_time = matches!(dtype, DataType::Date | DataType::Datetime(..));
        if !(dtype.is_primitive_numeric() || dtype.is_temporal() || dtype.is_bool()) {
            return Err(Error::invalid(format!("column {name:?} holds {dtype}, not numbers"))
                .with_hint("bars count the values of such a column"));
        }
        let cast = |column: &Column, dtype: &DataType| {
            column.cast(dtype).map_err(|source| {
                Error::invalid(format!("column {name:?} holds {dtype}, which cannot be drawn"))
                    .with_source(source)
            })
        };
        let mut numbers = column.clone();
        if is_time {
            numbers = cast(&numbers, &DataType::Datetime(TimeUnit::Milliseconds, None))?;
        }
        if dtype.is_temporal() {
            numbers = cast(&numbers, &DataType::Int64)?;
        }
        let numbers = cast(&numbers, &DataType::Float64)?;
        let values = numbers
            .f64()
            .map_err(|source| Error::invalid(format!("column {name:?}")).with_source(source))?
            .iter()
            .collect();
        Ok(Numbers { values, is_time, length_of: None })
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        if let Some((_, lengths)) = self.length(name) {
            return Ok(lengths
                .iter()
                .map(|n| n.map_or("null".into(), |n| n.to_string()))
                .collect());
        }
        let column = self.column(name)?;
        let texts = column.cast(&DataType::String).map_err(|source| {
            Error::invalid(format!("column {name:?} cannot be written as text")).with_source(source)
        })?;
        let texts = texts
            .str()
            .map_err(|source| Error::invalid(format!("column {name:?}")).with_source(source))?;
        Ok(texts.iter().map(|text| text.unwrap_or("null").to_owned()).collect())
    }
}

/// A column as numbers.
struct Numbers {
    values: Vec<Option<f64>>,
    is_time: bool,
    /// The unit, where the numbers are lengths of texts.
    length_of: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use polars::prelude::{NamedFrom as _, Series as Values, df};

    use super::*;

    fn frame() -> DataFrame {
        df!(
            "text" => [Some("one two"), Some("one"), None],
            "label" => ["b", "a", "b"],
            "n" => [Some(3), None, Some(1)],
            "share" => [0.5, f64::NAN, 0.25],
        )
        .unwrap()
    }

    #[test]
    fn values_are_counted_the_most_frequent_first_and_numbers_in_order() {
        let table = plot(&frame()).count("label").unwrap().table();
        assert_eq!(table.rows(), [["b", "2"], ["a", "1"]]);
        let frame = df!("n" => [10, 9, 9]).unwrap();
        let table = plot(&frame).count("n").unwrap().table();
        assert_eq!(table.rows(), [["9", "2"], ["10", "1"]]);
    }

    #[test]
    fn each_group_is_a_series_and_no_more_than_the_largest_six() {
        let labels: Vec<String> = (0..40).map(|n| format!("c{}", n % 8)).collect();
        let frame = df!(
            "n" => (0..40).map(|n| n % 4).collect::<Vec<i32>>(),
            "word" => (0..40).map(|n| if n % 2 == 0 { "even" } else { "odd" }).collect::<Vec<_>>(),
            "label" => labels,
            "half" => (0..40).map(|n| (n < 30).then_some("a")).collect::<Vec<_>>(),
        );
        let frame = frame.unwrap();
        let by_half = plot(&frame).by("half");
        let table = by_half.count("word").unwrap().table();
        assert_eq!(table.rows(), [["even", "15", "5"], ["odd", "15", "5"]]);
        // Null is a group; together the lines have every row.
        let chart = by_half.hist("n").unwrap();
        assert_eq!(chart.name(), "n of 40 rows by half");
        let rows = chart.table().rows().to_vec();
        let total: u32 = rows.iter().map(|row| row[2].parse::<u32>().unwrap()).sum();
        assert_eq!((rows.len(), total), (8, 40), "{rows:?}");
        assert!(rows.iter().any(|row| row[0] == "null" && row[1] == "3"), "{rows:?}");
        let note = "the 6 largest of 8 groups; 10 rows of the others are left out";
        for chart in [
            plot(&frame).by("label").hist("n").unwrap(),
            plot(&frame).by("label").count("word").unwrap(),
            plot(&frame).by("label").scatter("n", "n").unwrap(),
        ] {
            assert_eq!(chart.note.as_deref(), Some(note), "{}", chart.name());
        }
        let error = plot(&frame).by("nothing").hist("n").unwrap_err();
        assert_eq!(error.to_string(), "column \"nothing\" does not exist");
        assert!(plot(&frame).by("half").bars("word", &["n"]).is_err());
    }

    #[test]
    fn lengths_of_texts_are_columns_unless_there_is_one() {
        let chart = plot(&frame()).hist("words").unwrap();
        assert_eq!((chart.x.name.as_str(), chart.y.name.as_str()), ("words in a text", "texts"));
        let mut frame = frame();
        frame.with_column(Values::new("words".into(), [7, 7, 8]).into()).unwrap();
        assert_eq!(plot(&frame).hist("words").unwrap().x.name, "words");
    }

    #[test]
    fn a_missing_x_drops_the_point_and_a_missing_y_makes_a_gap() {
        let chart = plot(&frame()).line("n", "share").unwrap();
        assert_eq!(chart.table().rows(), [["share", "1", "0.2500"], ["share", "3", "0.5000"]]);
        let chart = plot(&frame()).scatter("share", "n").unwrap();
        assert_eq!(chart.table().rows().len(), 2);
    }

    #[test]
    fn what_cannot_be_plotted_is_named_with_what_can() {
        let check = |chart: Result<Chart>, message: &str, hint: &str| {
            let error = chart.unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.hint().map(ToString::to_string).as_deref(), Some(hint));
        };
        check(
            plot(&frame()).hist("length"),
            "column \"length\" does not exist",
            "there are text, label, n, share; words and chars are lengths of text",
        );
        check(
            plot(&frame()).scatter("n", "label"),
            "column \"label\" holds str, not numbers",
            "bars count the values of such a column",
        );
        check(
            plot(&df!("x" => [1]).unwrap()).lines("x", &[]),
            "a line needs two columns: only one is given",
            "there are x",
        );
    }
}
