//! Completion and documentation of Rust: from the sources of crates, without compiling any.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use trialbook_program::cell::{
    analyzer::{Analyzer, ItemIndex, Known, Package, Sources, Types},
    evcxr::CellVariable,
};

/// A crate whose prelude re-exports what other modules define.
fn shop(folder: &Path) -> Package {
    let files = [
        (
            "lib.rs",
            "mod basket;
             pub mod prelude { pub use crate::basket::*; pub use crate::names::hello as greet; }
             mod names { pub fn hello() -> crate::basket::Basket { todo!() } pub fn hidden() {} }
             #[cfg(feature = \"premium\")] mod premium;
             #[cfg(not(feature = \"premium\"))] mod absent;",
        ),
        (
            "basket.rs",
            "mod price;
             pub use price::Price;
             /// Holds what was chosen.
             ///
             /// Never more than that.
             pub struct Basket { pub owner: String, items: Vec<u32> }
             pub type Bag = Basket;
             pub enum Payment { Cash, Card }
             impl Basket {
                 /// An empty one.
                 pub fn new() -> Self { todo!() }
                 /// Adds an item.
                 ///
                 /// Twice, if need be.
                 pub fn add(self, item: u32) -> Self { todo!() }
                 pub fn total(&self) -> Result<Price, String> { todo!() }
                 pub unsafe fn adopt(&mut self) {}
                 pub fn _inner(&self) {}
                 fn private(&self) {}
                 #[cfg(test)] pub fn only_in_tests(&self) {}
                 #[doc(hidden)] pub fn undocumented(&self) {}
             }
             pub trait Wrap { fn wrap(&self) -> Bag; }
             impl Wrap for Basket { fn wrap(&self) -> Bag { todo!() } }",
        ),
        ("basket/price.rs", "pub struct Price; impl Price { pub fn cents(&self) -> u64 { 0 } }"),
        ("premium.rs", "impl crate::basket::Basket { pub fn airmail(&self) {} }"),
        ("absent.rs", "impl crate::basket::Basket { pub fn never(&self) {} }"),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Package {
        name: "shop".to_owned(),
        root: folder.join("lib.rs"),
        features: vec!["premium".to_owned()],
    }
}

fn analyzer(index: &ItemIndex, folder: &Path, variables: &[(&str, &str)]) -> Analyzer {
    let file = folder.join("index.json");
    index.save(&file).unwrap();
    assert_eq!(&ItemIndex::load(&file).unwrap(), index);
    let analyzer = Analyzer::new(ItemIndex::load(&file).unwrap(), None, folder.to_owned());
    let variable = |(name, type_name): &(&str, &str)| CellVariable {
        name: (*name).to_owned(),
        type_name: (*type_name).to_owned(),
    };
    let variables = variables.iter().map(variable).collect();
    analyzer.set_known(Known { variables, items: String::new() });
    analyzer
}

/// The completions at `|`.
fn complete(analyzer: &Analyzer, marked: &str) -> Vec<String> {
    let cursor = marked.find('|').unwrap();
    let found = analyzer.complete(&marked.replacen('|', "", 1), cursor);
    assert_eq!(found.end, cursor, "{marked}");
    found.items.into_iter().map(|item| item.text).collect()
}

#[test]
fn members_are_known_along_a_chain_of_calls() {
    let folder = tempfile::tempdir().unwrap();
    let index = ItemIndex::scan(&[shop(folder.path())], &["shop", "prelude"]);
    let analyzer = analyzer(&index, folder.path(), &[("basket", "Basket"), ("n", "i32")]);
    let all = ["add", "airmail", "owner", "total", "wrap", "adopt"];
    for cell in [
        "basket.|",
        "basket.add(1).|",
        "(&basket).add(2)\n    .add(\"a).b\".len())\n    .|",
        "Basket::new().|",
        "greet().wrap().|",
        "let other = Bag::new();\nlet again = other.add(1);\nagain.|",
        "for i in 0..3 { let inner: &Basket = &basket; inner.|",
    ] {
        assert_eq!(complete(&analyzer, cell), all, "{cell}");
    }
    assert_eq!(complete(&analyzer, "basket.to|tal()"), ["total"]);
    assert_eq!(complete(&analyzer, "basket._|"), ["_inner"]);
    assert_eq!(complete(&analyzer, "basket.total()?.|"), ["cents"]);
    assert_eq!(complete(&analyzer, "basket.total().unwrap().c|"), ["cents"]);
    assert_eq!(complete(&analyzer, "Payment::|"), ["Card", "Cash"]);
    assert_eq!(complete(&analyzer, "Bag::n|"), ["new"]);
    assert_eq!(complete(&analyzer, "let p = P|"), ["Payment", "Price"]);
    assert_eq!(complete(&analyzer, "gr|"), ["greet"]);
    for nothing in
        ["n.|", "lost.|", "hid|", "\"basket.|", "// basket.|", "|", "let basket = 1;\nbasket.|"]
    {
        assert_eq!(complete(&analyzer, nothing), [""; 0], "{nothing}");
    }
}

#[test]
fn a_name_is_explained_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let index = ItemIndex::scan(&[shop(folder.path())], &["shop", "prelude"]);
    let analyzer = analyzer(&index, folder.path(), &[("basket", "Basket")]);
    let inspect = |marked: &str, detail: u8| {
        let cursor = marked.find('|').unwrap();
        let content = analyzer.inspect(&marked.replacen('|', "", 1), cursor, detail);
        content.map(|content| content.plain().to_owned())
    };
    let short = "pub fn add(self, item: u32) -> Self\n\nAdds an item.";
    for cell in
        ["basket.a|dd(1)", "basket.add|", "basket.add(|", "basket.add(1, |)", "Basket::add|"]
    {
        assert_eq!(inspect(cell, 0).as_deref(), Some(short), "{cell}");
    }
    let long = format!("{short}\n\nTwice, if need be.");
    assert_eq!(inspect("basket.add|", 1), Some(long));
    let of_type = "pub struct Basket\n\nHolds what was chosen.";
    assert_eq!(inspect("let b: Bas|ket", 0).as_deref(), Some(of_type));
    let variable = "basket: Basket\n\nHolds what was chosen.";
    assert_eq!(inspect("bas|ket.add(1)", 0).as_deref(), Some(variable));
    assert_eq!(inspect("basket.own|er", 0).as_deref(), Some("owner: String"));
    assert_eq!(inspect("nothing|", 0), None);
}

#[test]
fn what_the_session_defined_is_known_with_its_private_parts() {
    let folder = tempfile::tempdir().unwrap();
    let index = ItemIndex::scan(&[shop(folder.path())], &["shop", "prelude"]);
    let analyzer = analyzer(&index, folder.path(), &[]);
    let items = "use std::fmt;
         /// Where something is.
         struct Point { x: f64, y: f64 }
         impl Point { fn length(&self) -> f64 { 0.0 } fn origin() -> Point { todo!() } }
         enum Shape { Circle(Point), Square }
         trait Area { fn area(&self) -> f64; }
         impl Area for Point { fn area(&self) -> f64 { 0.0 } }
         struct Price { euros: u32 }
         fn midpoint(a: &Point, b: &Point) -> Point { todo!() }";
    let point = CellVariable { name: "p".to_owned(), type_name: "Point".to_owned() };
    let price = CellVariable { name: "price".to_owned(), type_name: "Price".to_owned() };
    analyzer.set_known(Known { variables: vec![point, price], items: items.to_owned() });
    for (cell, expected) in [
        ("p.|", &["area", "length", "x", "y"][..]),
        ("midpoint(&p, &p).le|", &["length"]),
        ("Point::or|", &["origin"]),
        ("Shape::|", &["Circle", "Square"]),
        ("mid|", &["midpoint"]),
        ("let s: Sha|", &["Shape"]),
        ("price.|", &["euros"]),
        ("let b = Bas|", &["Basket"]),
    ] {
        assert_eq!(complete(&analyzer, cell), expected, "{cell}");
    }
    let inspected = analyzer.inspect("Point", 2, 0).unwrap();
    assert!(inspected.plain().ends_with("Where something is."), "{}", inspected.plain());
    analyzer.set_known(Known::default());
    assert_eq!(complete(&analyzer, "price.|"), [""; 0], "forgotten with the session's items");
}

/// The compiler's part, played by a table.
struct Compiler(Mutex<Vec<String>>);

impl Types for Compiler {
    fn type_of(&self, expression: &str) -> Option<String> {
        self.0.lock().unwrap().push(expression.to_owned());
        (expression == "baskets[0]").then(|| "&shop::basket::Basket".to_owned())
    }
}

#[test]
fn the_compiler_is_asked_where_signatures_do_not_tell() {
    let folder = tempfile::tempdir().unwrap();
    let index = ItemIndex::scan(&[shop(folder.path())], &["shop", "prelude"]);
    let analyzer = analyzer(&index, folder.path(), &[("basket", "Basket")]);
    let compiler = Arc::new(Compiler(Mutex::default()));
    analyzer.set_types(Arc::clone(&compiler) as Arc<dyn Types>);
    assert_eq!(complete(&analyzer, "baskets[0].to|"), ["total"]);
    assert_eq!(complete(&analyzer, "basket.to|"), ["total"]);
    assert_eq!(*compiler.0.lock().unwrap(), ["baskets[0]"]);
}

/// The toolchain's own documentation tool, which is there wherever these tests were compiled.
#[test]
fn the_standard_library_is_known_without_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    let rustc = Path::new(option_env!("RUSTC").unwrap_or("rustc")).to_owned();
    let sysroot =
        std::process::Command::new(rustc).args(["--print", "sysroot"]).output().unwrap().stdout;
    let rustdoc = Path::new(String::from_utf8(sysroot).unwrap().trim()).join("bin/rustdoc");
    let file = folder.path().join("index.json");
    let sources = Sources { file, packages: Vec::new(), rustdoc };
    let index = sources.std_index().unwrap();
    assert!(folder.path().join("std.json").is_file(), "kept for the next session");
    let variables =
        [("v", "Vec<u8>"), ("text", "&str"), ("map", "std::collections::HashMap<u8, u8>")];
    let analyzer = analyzer(&index, folder.path(), &variables);
    for (cell, expected) in [
        ("std::collections::HashM|", &["HashMap"][..]),
        ("use std::collections::BTreeS|", &["BTreeSet"]),
        ("std::collections::hash_m|", &["hash_map"]),
        ("let a: Opt|", &["Option"]),
        ("v.is_e|", &["is_empty"]),
        ("text.trim_st|", &["trim_start", "trim_start_matches"]),
        ("map.contains_|", &["contains_key"]),
        ("String::from_utf8_l|", &["from_utf8_lossy", "from_utf8_lossy_owned"][..1]),
        ("core::mem::swa|", &["swap"]),
        ("std::f64::consts::TA|", &["TAU"]),
        ("Option::So|", &["Some"]),
        ("printl|", &["println!"]),
        ("std::tim|", &["time"]),
    ] {
        assert_eq!(complete(&analyzer, cell), expected, "{cell}");
    }
    for (marked, expected) in [
        ("Opti|on", "pub enum Option<T>\n\nThe `Option` type."),
        ("std::collections::Hash|Map", "pub struct HashMap<K, V, S = RandomState"),
        ("v.pus|h(1)", "pub fn push(&mut self, value: T)"),
        ("std::mem::swa|p", "pub const fn swap<T>(x: &mut T, y: &mut T)"),
        ("printl|n!()", "macro_rules! println"),
        ("So|me(1)", "Option::Some(T)"),
    ] {
        let cursor = marked.find('|').unwrap();
        let content = analyzer.inspect(&marked.replacen('|', "", 1), cursor, 0);
        let found = content.map(|content| content.plain().to_owned()).unwrap_or_default();
        assert!(found.starts_with(expected), "{marked}: {found}");
    }
}

#[test]
fn the_prelude_of_this_crate_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/library/lib.rs");
    let package =
        Package { name: "trialbook".to_owned(), root, features: vec!["notebook".to_owned()] };
    let index = ItemIndex::scan(&[package], &["trialbook", "prelude"]);
    let analyzer = analyzer(&index, folder.path(), &[]);
    assert_eq!(complete(&analyzer, "let b = Book::open_default()?;\nb.fra|"), ["frame"]);
    assert!(complete(&analyzer, "Bo|").contains(&"Book".to_owned()));
    assert!(complete(&analyzer, "Stage::|").contains(&"Production".to_owned()));
}
