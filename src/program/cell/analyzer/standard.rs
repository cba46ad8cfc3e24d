//! The names of the standard library. Its sources are not on every machine, its metadata is: the
//! compiler's documentation tool makes pages of it, and this reads signatures, documentation and
//! methods from them. It knows just so much of HTML as these pages have.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rayon::prelude::*;

use super::{
    index::{Function, Index, Type},
    scan::shortened,
};

/// A crate that holds what people use of the standard library: all of it would take thrice as long,
/// for the instructions of processors. Of two types of one name the first counts.
const MODULES: [&str; 51] = [
    "option",
    "result",
    "vec",
    "string",
    "boxed",
    "collections",
    "iter",
    "rc",
    "sync",
    "cell",
    "fs",
    "io",
    "path",
    "fmt",
    "time",
    "thread",
    "process",
    "env",
    "num",
    "ops",
    "cmp",
    "convert",
    "default",
    "borrow",
    "slice",
    "str",
    "char",
    "ascii",
    "any",
    "array",
    "clone",
    "error",
    "ffi",
    "future",
    "hash",
    "hint",
    "marker",
    "mem",
    "net",
    "panic",
    "pin",
    "ptr",
    "task",
    "f32",
    "f64",
    "i32",
    "i64",
    "u8",
    "u32",
    "u64",
    "usize",
];

/// Macros that are not modules as well: those come with their modules.
const MACROS: &str = "assert, assert_eq, assert_ne, dbg, debug_assert, eprint, eprintln, format, \
                      matches, print, println, thread_local, todo, unimplemented, unreachable, \
                      write, writeln";

/// The names that every program has in scope.
const PRELUDE: [&str; 26] = [
    "AsMut",
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Into",
    "IntoIterator",
    "Iterator",
    "Option",
    "Ord",
    "Result",
    "String",
    "ToOwned",
    "ToString",
    "Vec",
];

/// Variants that every program has in scope.
const VARIANTS: [(&str, &str, &str); 4] = [
    ("Option", "None", "None"),
    ("Option", "Some", "Some(T)"),
    ("Result", "Ok", "Ok(T)"),
    ("Result", "Err", "Err(E)"),
];

/// The index of the standard library, made in seconds; none where `rustdoc` is missing or refuses.
pub(super) fn read(rustdoc: &Path) -> Option<Index> {
    let folder = tempfile::tempdir().ok()?;
    let source = folder.path().join("names.rs");
    let modules = MODULES.join(", ");
    fs::write(
        &source,
        format!(
            "#[doc(inline)] pub use std::{{{modules}}};\n#[doc(inline)] pub use std::{{{MACROS}}};"
        ),
    )
    .ok()?;
    let made = Command::new(rustdoc)
        .args(["--edition=2021", "--crate-name=names", "--cap-lints=allow", "-o"])
        .arg(folder.path())
        .arg(&source)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !made.ok()?.success() {
        return None;
    }
    let mut pages = Vec::new();
    list(&folder.path().join("names"), "std", &mut pages);
    let found: Vec<(Page, Item)> = pages
        .into_par_iter()
        .filter_map(|page| {
            let html = fs::read_to_string(&page.file).ok()?;
            let item = item(&page, &html)?;
            Some((page, item))
        })
        .collect();
    let index = collected(found);
    (!index.types.is_empty()).then_some(index)
}

/// One page: what `names/collections/struct.HashMap.html` says in its name.
struct Page {
    file: PathBuf,
    /// `std::collections`.
    module: String,
    /// `struct`.
    kind: String,
    name: String,
}

enum Item {
    Type(Type),
    Other(Function),
}

fn list(folder: &Path, module: &str, pages: &mut Vec<Page>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            list(&entry.path(), &format!("{module}::{file_name}"), pages);
        } else if let Some((kind, name)) =
            file_name.strip_suffix(".html").and_then(|name| name.split_once('.'))
            // A macro has a second page under its name with a bang.
            && !name.ends_with('!')
        {
            let (kind, name) = (kind.to_owned(), name.to_owned());
            pages.push(Page { file: entry.path(), module: module.to_owned(), kind, name });
        }
    }
}

fn item(page: &Page, html: &str) -> Option<Item> {
    let main = &html[html.find("<section id=\"main-content\"")?..];
    // The documentation has headings of its own; those of the page are of this class.
    let head = &main[..main.find("section-header\"").unwrap_or(main.len())];
    let doc_at = head.find("<div class=\"docblock\">").unwrap_or(head.len());
    if is_unusable(&head[..doc_at]) {
        return None;
    }
    let declaration = between(head, "<pre class=\"rust item-decl\"><code>", "</code></pre>");
    let declaration = plain(declaration.unwrap_or_default());
    let doc = doc(&head[doc_at..]);
    match page.kind.as_str() {
        "struct" | "enum" | "union" | "trait" | "type" => {
            // The fields and the methods are listed below.
            let signature = declaration.split(" {").next().unwrap_or_default().to_owned();
            // What everything implements is in nobody's interest.
            let ends = [
                "id=\"synthetic-implementations\"",
                "id=\"blanket-implementations\"",
                "id=\"implementors\"",
            ];
            let end = ends.iter().filter_map(|end| main.find(end)).min().unwrap_or(main.len());
            let variants =
                names_of(main, "<section id=\"variant.").map(|(name, _)| name.to_owned());
            Some(Item::Type(Type {
                signature,
                doc,
                functions: functions(&main[..end]),
                variants: variants.collect(),
                ..Type::default()
            }))
        }
        "fn" | "macro" | "constant" | "static" => {
            let signature = match page.kind.as_str() {
                "macro" => format!("macro_rules! {}", page.name),
                _ => declaration,
            };
            Some(Item::Other(Function { signature, doc, ..Function::default() }))
        }
        _ => None,
    }
}

/// True for an item that only a nightly compiler takes, or that nobody should use any more.
fn is_unusable(html: &str) -> bool {
    html.contains("class=\"stab unstable\"") || html.contains("class=\"stab deprecated\"")
}

/// The methods of a type, from its own implementations, those of traits and what it dereferences to.
fn functions(html: &str) -> BTreeMap<String, Function> {
    let own = names_of(html, "<section id=\"method.");
    let required = names_of(html, "<section id=\"tymethod.");
    let mut functions = BTreeMap::new();
    for (name, rest) in own.chain(required) {
        let next = rest.find("<section id=").unwrap_or(rest.len());
        let rest = &rest[..next];
        let end = rest.find("<div class=\"docblock\"").unwrap_or(rest.len());
        if is_unusable(&rest[..end]) {
            continue;
        }
        let Some(signature) = between(rest, "<h4 class=\"code-header\">", "</h4>").map(plain)
        else {
            continue;
        };
        let (is_method, returns) = shape(&signature);
        let doc = doc(&rest[end..]);
        // A second one is that of another trait; the first is the type's own.
        functions.entry(name.to_owned()).or_insert(Function { signature, doc, returns, is_method });
    }
    functions
}

/// The names behind `mark` up to the next quote, each with the text behind it. Of several of one
/// name the later ones have a number.
fn names_of<'a>(html: &'a str, mark: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    html.split(mark).skip(1).filter_map(move |piece| {
        let (name, _) = piece.split_once('"')?;
        let name = name.split(['-', '.']).next().unwrap_or(name);
        let at = piece.as_ptr() as usize - html.as_ptr() as usize;
        Some((name, &html[at..]))
    })
}

/// The shape of a signature: true if it takes `self`, and the type it returns.
fn shape(signature: &str) -> (bool, String) {
    let Some(open) = signature.find('(') else { return (false, String::new()) };
    let mut depth = 0_usize;
    let close = signature[open..].char_indices().find(|(_, char)| {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let close = close.map_or(signature.len(), |(at, _)| open + at);
    let first = signature[open + 1..close].split([',', ':']).next().unwrap_or_default();
    let returns = signature[close..].split_once("-> ").map_or("", |(_, returns)| returns);
    let returns = returns.split(" where ").next().unwrap_or_default();
    (first.trim_end().ends_with("self"), returns.trim().to_owned())
}

fn collected(mut found: Vec<(Page, Item)>) -> Index {
    let rank = |module: &str| {
        let first = module.split("::").nth(1).unwrap_or_default();
        MODULES.iter().position(|known| *known == first).unwrap_or(MODULES.len())
    };
    found.sort_by_cached_key(|(page, _)| {
        // An alias, such as `io::Result`, comes behind what it may be an alias of.
        (page.kind == "type", rank(&page.module), page.module.clone(), page.name.clone())
    });
    let mut index = Index::default();
    for (page, item) in found {
        let mut module = String::new();
        for part in page.module.split("::") {
            // A module is a name in the one above it.
            if !module.is_empty() {
                let names = index.modules.entry(module.clone()).or_default();
                let signature = format!("pub mod {part}");
                names
                    .entry(part.to_owned())
                    .or_insert(Function { signature, ..Function::default() });
                module.push_str("::");
            }
            module.push_str(part);
        }
        let names = index.modules.entry(module).or_default();
        match item {
            Item::Type(known) => {
                let signature = known.signature.clone();
                names.insert(page.name.clone(), Function { signature, ..Function::default() });
                index.types.entry(page.name).or_insert(known);
            }
            Item::Other(function) if page.kind == "macro" => {
                names.insert(format!("{}!", page.name), function.clone());
                index.in_scope.insert(page.name.clone(), page.name.clone());
                index.macros.insert(page.name, function);
            }
            // Whatever a cell calls by a bare name is rather its own.
            Item::Other(function) => drop(names.insert(page.name, function)),
        }
    }
    // A text is what a `String` dereferences to; it has no page that could be asked for.
    if let Some(string) = index.types.get("String") {
        let signature = "pub struct str".to_owned();
        index.types.insert("str".to_owned(), Type { signature, ..string.clone() });
    }
    for name in PRELUDE.iter().filter(|name| index.types.contains_key(**name)) {
        index.in_scope.insert((*name).to_owned(), (*name).to_owned());
    }
    for (of, name, signature) in VARIANTS {
        let signature = format!("{of}::{signature}");
        let doc = index.types.get(of).map(|known| known.doc.clone()).unwrap_or_default();
        index.functions.insert(name.to_owned(), Function { signature, doc, ..Function::default() });
        index.in_scope.insert(name.to_owned(), name.to_owned());
    }
    index
}

fn between<'a>(html: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = html.find(open)? + open.len();
    Some(&html[start..start + html[start..].find(close)?])
}

/// A piece of HTML as text on one line.
fn plain(html: &str) -> String {
    let text = text(&html.replace("<div class=\"where\">", " "), false);
    // The sign of a note that only a page can show.
    text.replace('ⓘ', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The documentation at the beginning of `html`, as Markdown.
fn doc(html: &str) -> String {
    let mut depth = 0_usize;
    let mut at = 0;
    // Examples are blocks within the block.
    while let Some(next) = html[at..].find(['<']).map(|next| at + next) {
        if html[next..].starts_with("<div") {
            depth += 1;
        } else if html[next..].starts_with("</div") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return shortened(text(&html[..next], true)).trim().to_owned();
            }
        }
        at = next + 1;
    }
    String::new()
}

/// HTML without its tags and entities; with those of Markdown where that is wanted.
fn text(html: &str, is_markdown: bool) -> String {
    let mut text = String::new();
    let mut rest = html;
    let mut in_code = false;
    while let Some(next) = rest.find(['<', '&']) {
        text.push_str(&rest[..next]);
        rest = &rest[next..];
        let end = rest.find(if rest.starts_with('<') { '>' } else { ';' });
        let Some(end) = end else { break };
        let token = &rest[1..end];
        if rest.starts_with('&') {
            text.push_str(match token {
                "lt" => "<",
                "gt" => ">",
                "amp" => "&",
                "quot" => "\"",
                "#39" | "#x27" => "'",
                _ => " ",
            });
        } else if is_markdown {
            let name = token.split(' ').next().unwrap_or_default();
            match name {
                "pre" => {
                    in_code = true;
                    text.push_str("\n```rust\n");
                }
                "/pre" => {
                    in_code = false;
                    text.push_str("\n```\n");
                }
                "code" | "/code" if !in_code => text.push('`'),
                "/p" => text.push('\n'),
                "li" => text.push_str("- "),
                "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => text.push_str("\n# "),
                "/h1" | "/h2" | "/h3" | "/h4" | "/h5" | "/h6" => text.push_str("\n\n"),
                _ => {}
            }
        }
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    // The sign of a link to a heading.
    text.replace('§', "").replace("\n\n\n", "\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As rustdoc 1.95 writes it.
    const PAGE: &str = "<section id=\"main-content\" class=\"content\"><pre class=\"rust item-decl\"><code>pub enum Option&lt;T&gt; {\n    None,\n    Some(T),\n}</code></pre><details><div class=\"docblock\"><p>The <code>Option</code> type. See <a href=\"x\">more</a>.</p>\n<h2 id=\"examples\">Examples</h2></div></details><h2 id=\"variants\" class=\"variants section-header\">Variants</h2><section id=\"variant.None\" class=\"variant\"></section><section id=\"variant.Some\" class=\"variant\"></section><section id=\"method.map\" class=\"method\"><h4 class=\"code-header\">pub fn <a class=\"fn\">map</a>&lt;U, F&gt;(self, f: F) -&gt; <a>Option</a>&lt;U&gt;<div class=\"where\">where\n    F: FnOnce(T) -&gt; U,</div></h4></section></summary><div class=\"docblock\"><p>Maps it.</p>\n<h5 id=\"examples\">Examples</h5>\n<div class=\"example-wrap\"><pre class=\"rust\"><code>Some(<span>1</span>)</code></pre></div>\n</div><section id=\"method.new_in\" class=\"method\"><h4 class=\"code-header\">pub fn new_in() -&gt; Self</h4></section><span class=\"item-info\"><div class=\"stab unstable\">nightly</div></span><section id=\"method.map-1\" class=\"method\"><h4 class=\"code-header\">fn map()</h4></section><h2 id=\"blanket-implementations\"></h2><section id=\"method.borrow\"><h4 class=\"code-header\">fn borrow(&amp;self) -&gt; &amp;T</h4></section>";

    #[test]
    fn a_page_tells_a_type_with_its_methods() {
        let page = Page {
            file: PathBuf::new(),
            module: "std::option".to_owned(),
            kind: "enum".to_owned(),
            name: "Option".to_owned(),
        };
        let Some(Item::Type(known)) = item(&page, PAGE) else { panic!("no type") };
        assert_eq!(known.signature, "pub enum Option<T>");
        assert_eq!(known.doc, "The `Option` type. See more.\n\n# Examples");
        assert_eq!(known.variants.iter().collect::<Vec<_>>(), ["None", "Some"]);
        let names: Vec<&String> = known.functions.keys().collect();
        assert_eq!(names, ["map"], "nothing that stable compilers refuse, nothing of everything");
        let map = &known.functions["map"];
        assert_eq!(
            map.signature,
            "pub fn map<U, F>(self, f: F) -> Option<U> where F: FnOnce(T) -> U,"
        );
        assert_eq!((map.is_method, map.returns.as_str()), (true, "Option<U>"));
        assert!(
            map.doc.starts_with("Maps it.\n") && map.doc.contains("```rust\nSome(1)\n```"),
            "{}",
            map.doc
        );
    }

    #[test]
    fn signatures_tell_methods_and_what_they_return() {
        for (signature, expected) in [
            ("pub fn len(&self) -> usize", (true, "usize")),
            ("fn next(&'a mut self) -> Option<Self::Item>", (true, "Option<Self::Item>")),
            ("pub fn new() -> Vec<T>", (false, "Vec<T>")),
            ("fn f(g: fn(u8) -> u8, myself: u8)", (false, "")),
            ("fn pin(self: Pin<&mut Self>)", (true, "")),
        ] {
            let (is_method, returns) = shape(signature);
            assert_eq!((is_method, returns.as_str()), expected, "{signature}");
        }
    }
}
