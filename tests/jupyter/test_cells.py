"""Cells, one after another in a fresh session, and what the last of them shows: what evcxr's users
know, and where evcxr falls short of it."""

from __future__ import annotations

import re
import time

import pytest
from kernel import Kernel

pytestmark = pytest.mark.usefixtures("rust")


def fresh(kernel: Kernel) -> None:
    assert kernel.execute(":clear").status == "ok"


def ok(kernel: Kernel, *cells: str):
    """Runs the cells; the last one's answer."""
    answer = None
    for cell in cells:
        answer = kernel.execute(cell)
        assert answer.status == "ok", (cell, story(answer))
    return answer


def value(answer) -> str:
    results = answer.of("execute_result")
    assert results, (answer.kinds(), answer.text(), answer.text("stderr"))
    return results[0]["data"]["text/plain"]


def story(answer) -> str:
    lines = [line for error in answer.of("error") for line in error["traceback"]]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


VALUES = [
    ("upper-case variables", ["let X_train = vec![1.0, 2.0];\nlet (N, y) = (5, 3);", "X_train.len() as i32 + N + y"], "10"),
    ("an item over a variable", ["let N = 5;", "const N: i32 = 7;", "N + 1"], "8"),
    ("a variant is no variable", ["let None = None::<u8> else { panic!() };", "None::<u8>"], "None"),
    # Cells that name nothing of the prelude are compiled without it, the others with it.
    (
        "variables between cells with and without the prelude",
        [
            "let words = vec![3_i32, 5]; let label = String::from(\"a\");",
            'let df = DataFrame::new_infer_height(vec![Column::new("n".into(), &words)])?;',
            "let mut sum = words.iter().sum::<i32>();",
            "sum += df.height() as i32; drop(df);",
            "(words, label, sum)",
        ],
        '([3, 5], "a", 10)',
    ),
    (
        "a type between cells with and without the prelude",
        [
            "#[derive(Debug, Clone)] struct Point { x: i32 } impl Point { fn moved(self) -> Self { Self { x: self.x + 1 } } }",
            "let points = vec![Point { x: 1 }];",
            "let size = df!(\"x\" => [1, 2])?.height(); let points = points.clone();",
            "let point = points.into_iter().next().unwrap().moved();",
            "(point, size)",
        ],
        "(Point { x: 2 }, 2)",
    ),
    (
        "a static between cells with and without the prelude",
        [
            "use std::sync::atomic::{AtomicU8, Ordering};\nstatic N: AtomicU8 = AtomicU8::new(1);",
            "N.fetch_add(1, Ordering::SeqCst);",
            "df!(\"x\" => [1])?; N.fetch_add(1, Ordering::SeqCst);",
            "N.load(Ordering::SeqCst)",
        ],
        "3",
    ),
    ("a method that only the prelude has", ['["a", "b"].into_vec().len()'], "2"),
    ("types of borrowed and of inferred values", ['let a = "s"; let b = [1, 2].iter().map(|x| x + 1).collect::<Vec<i32>>(); let c = Some(1.5);', "(a, b, c)"], '("s", [2, 3], Some(1.5))'),
    ("a lint of the person's own", ["#![deny(dropping_references)]", "let a = vec![1_u8];", "a"], "[1]"),
    ("a last let without its semicolon", ["let a = 5", "a"], "5"),
    ("a last let and a remark", ["let a = 5;\nlet b = a + 1 // six", "b"], "6"),
    ("an item without its semicolon", ["const A: u8 = 3", "A"], "3"),
    (
        "a guard behind a question mark",
        ["use std::sync::Mutex; let till = Mutex::new(5);", "*till.lock()?"],
        "5",
    ),
    (
        "an item macro alone",
        [
            "thread_local! { static DEPTH: std::cell::Cell<u8> = std::cell::Cell::new(1); }",
            "DEPTH.with(|depth| depth.get())",
        ],
        "1",
    ),
    (
        "items that a macro makes",
        [
            "macro_rules! make { ($name:ident, $n:expr) => { fn $name() -> i32 { $n } } }",
            "make!(seven, 7);",
            "make!(eight, 8)",
            "make!(seven, 9);",
            "seven() + eight()",
        ],
        "17",
    ),
    ("an import over an item", ["struct Error;", "use std::io::Error;", 'Error::other("x").to_string()'], '"x"'),
    ("and an item over that", ["use std::io::Error;", "#[derive(Debug)] struct Error(u8);", "Error(1)"], "Error(1)"),
    (
        "an own type with its implementations makes way",
        [
            "struct Error; impl Error { fn f() -> u8 { 1 } } impl Clone for Error { fn clone(&self) -> Self { Error } }",
            "use std::fmt::Error;",
            "Error.to_string().is_empty()",
        ],
        "false",
    ),
    (
        "a static keeps its value",
        [
            "use std::sync::atomic::{AtomicU32, Ordering}; static N: AtomicU32 = AtomicU32::new(1);",
            "fn next() -> u32 { N.fetch_add(1, Ordering::Relaxed) }",
            "next(); next();",
            "N.load(Ordering::Relaxed)",
        ],
        "3",
    ),
    (
        "a static per thread keeps its value",
        [
            "use std::cell::Cell; thread_local! { static A: Cell<u8> = const { Cell::new(1) }; static B: Cell<u8> = Cell::new(2) }",
            "A.set(5); B.with(|b| b.set(6));",
            "(A.get(), B.get(), std::thread::spawn(|| A.get()).join().unwrap())",
        ],
        "(5, 6, 1)",
    ),
    (
        "a static inside of a function keeps its value",
        [
            "use std::sync::atomic::{AtomicU32, Ordering::SeqCst}; fn next() -> u32 { static N: AtomicU32 = AtomicU32::new(0); N.fetch_add(1, SeqCst) }",
            "next(); next();",
            "next()",
        ],
        "2",
    ),
    (
        "a static of an own type keeps its value",
        [
            "use std::sync::atomic::{AtomicU32, Ordering::SeqCst}; struct Hits { n: AtomicU32 } static HITS: Hits = Hits { n: AtomicU32::new(0) };",
            "HITS.n.fetch_add(3, SeqCst);",
            "HITS.n.load(SeqCst)",
        ],
        "3",
    ),
    (
        "a static mut keeps its value until it is defined again",
        [
            "static mut N: u32 = 1; fn bump() -> u32 { unsafe { N += 1; N } }",
            "bump(); unsafe { N += 10; }",
            "let before = bump();",
            "static mut N: u32 = 1;",
            "(before, bump())",
        ],
        "(13, 2)",
    ),
    (
        "a static that a macro makes keeps its value",
        [
            "use std::sync::atomic::{AtomicU32, Ordering::SeqCst}; macro_rules! counter { ($n:ident) => { static $n: AtomicU32 = AtomicU32::new(0); } }",
            "counter!(HITS);",
            "HITS.fetch_add(3, SeqCst);",
            "HITS.load(SeqCst)",
        ],
        "3",
    ),
    (
        "a static is what it is declared as",
        [
            "use std::sync::atomic::{AtomicU32, Ordering::SeqCst}; static N: AtomicU32 = AtomicU32::new(1); static M: &AtomicU32 = &N;",
            "fn bump<T: std::borrow::Borrow<AtomicU32>>(it: &T) -> u32 { it.borrow().fetch_add(1, SeqCst) }",
            "bump(&N); bump(&M); M.fetch_add(1, SeqCst);",
            "bump(&N)",
        ],
        "4",
    ),
    (
        "a static begins anew when its type does",
        [
            "struct S(u64); static X: std::sync::Mutex<Option<S>> = std::sync::Mutex::new(None);",
            "*X.lock()? = Some(S(5));",
            "struct S(String);",
            "X.lock()?.as_ref().map(|s| s.0.len())",
        ],
        "None",
    ),
    ("unsafe code is forbidden", ["#![forbid(unsafe_code)]\nlet a = 1;", "fn f() -> i32 { 3 }", "f() + a"], "4"),
    ("a cell may be strict", ["#![deny(warnings, missing_docs)]\nlet mut a = 1;", "a += 1;", "a"], "2"),
    ("an attribute for the whole cell", ["#![allow(unused)]\nlet a = 1; a"], "1"),
    ("a cell that awaits", ["tokio::time::sleep(std::time::Duration::from_millis(5)).await; 1"], "1"),
]


@pytest.mark.parametrize(("cells", "expected"), [pytest.param(c, e, id=i) for i, c, e in VALUES])
def test_the_last_cell_has_its_value(shared, cells, expected) -> None:
    fresh(shared)
    assert value(ok(shared, *cells)) == expected


def test_what_is_forbidden_is_refused_in_later_cells_too(shared) -> None:
    fresh(shared)
    ok(shared, "#![forbid(unsafe_code)]", "1")
    for cell, lint in [
        ("unsafe { 1 }", "unsafe_code"),
        ("unsafe fn g() {}", "unsafe_code"),
        ("#[allow(unsafe_code)] fn h() {}", "E0453"),
    ]:
        shown = story(shared.execute(cell))
        assert lint in shown and shown.count("error") == 1 and f"   1 | {cell}" in shown, shown


def test_a_static_that_begins_anew_says_so(shared) -> None:
    fresh(shared)
    answer = ok(shared, "struct S(u8); static X: std::sync::Mutex<S> = std::sync::Mutex::new(S(1));", "struct S(i8);")
    assert answer.text("stderr") == "note: statics that begin anew with their types: X\n"


def test_a_static_that_is_not_kept_says_so(shared) -> None:
    fresh(shared)
    answer = ok(shared, "fn f() -> u8 { static mut N: u8 = 0; unsafe { N += 1; N } }")
    assert "note: `N` begins anew in every cell" in answer.text("stderr")
    assert "note" not in ok(shared, "f()").text("stderr")


def test_a_moved_variable_is_explained(shared) -> None:
    fresh(shared)
    shown = story(shared.execute("let v = vec![1];\ndrop(v);\nv.len()"))
    assert "value moved here" in shown and "move occurs because `v` has type" in shown, shown
    ok(shared, "let v = vec![1];")
    shown = story(shared.execute("drop(v);\nv.len()"))
    assert "value moved here" in shown and "move occurs because `v` has type" in shown, shown
    assert value(ok(shared, "v.len()")) == "1"
    # Moved by a later cell, and by the very cell that declared it.
    for cells in (["drop(v);"], ["let v = vec![1]; drop(v);"]):
        ok(shared, *cells)
        shown = story(shared.execute("v.len()"))
        assert re.search(r"note: `v` was moved by cell \d+$", shown), shown
    ok(shared, "struct T; let t = T;", "struct T(u8);")
    shown = story(shared.execute("let t = &t;"))
    assert re.search(r"note: `t` went with its type, which cell \d+ redefined$", shown), shown
    ok(shared, "let text = String::from(\"a\"); let part = text.as_str();")
    shown = story(shared.execute("part.len()"))
    assert re.search(r"note: `part` lived only in cell \d+$", shown), shown


def crate(folder, name: str, library: str, manifest: str = "") -> str:
    """A crate in `folder`; the command that adds it."""
    (folder / name / "src").mkdir(parents=True)
    (folder / name / "Cargo.toml").write_text(
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{manifest}'
    )
    (folder / name / "src/lib.rs").write_text(library)
    return f':dep {name} = {{ path = "{folder / name}" }}'


MAKER = """
#[macro_export] macro_rules! make { ($n:ident, $v:expr) => { pub fn $n() -> i32 { $v } } }
#[macro_export] macro_rules! counter {
    ($n:ident) => { pub static $n: ::std::sync::atomic::AtomicU32 = ::std::sync::atomic::AtomicU32::new(0); }
}
#[macro_export] macro_rules! twice { ($e:expr) => { $e * 2 } }
#[macro_export] macro_rules! say { ($($a:tt)*) => { println!($($a)*) } }
"""

DERIVER = """
use proc_macro::TokenStream;
#[proc_macro_derive(Named)]
pub fn named(item: TokenStream) -> TokenStream {
    let name = item.into_iter().map(|token| token.to_string()).skip_while(|token| token != "struct").nth(1).unwrap();
    format!("impl {name} {{ pub fn name() -> &'static str {{ {name:?} }} }}").parse().unwrap()
}
#[proc_macro]
pub fn define(item: TokenStream) -> TokenStream {
    format!("pub fn {item}() -> u8 {{ 9 }}").parse().unwrap()
}
"""


def test_macros_of_added_crates_make_items_that_live_on(shared, tmp_path) -> None:
    fresh(shared)
    ok(shared, crate(tmp_path, "maker", MAKER), crate(tmp_path, "deriver", DERIVER, "[lib]\nproc-macro = true\n"))
    ok(shared, "use maker::make;", "make!(five, 5);", "maker::make!(six, 6);\nmaker::make!(seven, 7)")
    assert value(ok(shared, "five() + six() + seven()")) == "18"
    assert value(ok(shared, "make!(five, 50);", "five()")) == "50"
    assert value(ok(shared, "let n = 3;\nlet doubled = maker::twice!(n);", "doubled + maker::twice!(n)")) == "12"
    assert ok(shared, 'let word = "hi";\nmaker::say!("{word} {n}");').text() == "hi 3\n"
    ok(shared, "use std::sync::atomic::Ordering::SeqCst;", "maker::counter!(HITS);", "HITS.fetch_add(2, SeqCst);")
    assert value(ok(shared, "HITS.load(SeqCst)")) == "2"
    assert value(ok(shared, "use deriver::Named; #[derive(Named)] struct A;", "#[derive(Named)] struct B;", "(A::name(), B::name())")) == '("A", "B")'
    assert value(ok(shared, "deriver::define!(nine);", "nine()")) == "9"
    fresh(shared)
    ok(shared, f':dep maker = {{ path = "{tmp_path / "maker"}" }}', "#[macro_use] extern crate maker;", "make!(one, 1);")
    assert value(ok(shared, "one()")) == "1"


def test_a_static_ref_keeps_its_value(shared, tmp_path) -> None:
    """As the crate lazy_static makes it, without a network to fetch it from."""
    lazy_static = """
pub trait LazyStatic { fn initialize(lazy: &Self); }
pub fn initialize<T: LazyStatic>(lazy: &T) { LazyStatic::initialize(lazy) }
#[macro_export] macro_rules! lazy_static { ($($t:tt)*) => { compile_error!("the cell has it") } }
"""
    fresh(shared)
    ok(shared, crate(tmp_path, "lazy_static", lazy_static), "use lazy_static::lazy_static; use std::sync::Mutex;")
    ok(shared, "lazy_static! { static ref SEEN: Mutex<Vec<u8>> = Mutex::new(vec![1]); pub static ref N: usize = SEEN.lock().unwrap().len(); }")
    ok(shared, "lazy_static::initialize(&N); SEEN.lock()?.push(2);")
    assert value(ok(shared, "(SEEN.lock()?.len(), *N)")) == "(2, 1)"


def test_an_unfinished_block_costs_nothing(shared) -> None:
    answer = shared.execute('println!("EVCXR_BEGIN_CONTENT text/html\\n<p>cut"); 5')
    assert value(answer) == "5"
    assert "<p>cut" in answer.text()
    answer = shared.execute('println!("EVCXR_BEGIN_CONTENT text/html\\n<p>cut");')
    assert "<p>cut" in answer.text()
    assert "trialbook-mark" not in str(answer.published)


def test_an_error_shows_the_lines_of_its_own_cell(shared) -> None:
    fresh(shared)
    ok(shared, "const C: i32 = 2;")
    shown = story(shared.execute("v()"))
    assert re.search(r"^ +1 \| v\(\)$", shown, re.M), shown
    first, _, others = shown.partition(":::")
    assert "const C" not in first, shown
    assert not others or re.match(r" cell \d+, line 1\n +1 \| const C", others), shown


def test_a_tokio_that_lends_itself_for_writing_works(shared, tmp_path) -> None:
    """The `block_on(&mut self)` of tokio 0.2, without a network to fetch it from."""
    crate = tmp_path / "tokio"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text('[package]\nname = "tokio"\nversion = "0.2.0"\nedition = "2021"\n')
    (crate / "src/lib.rs").write_text(
        "pub mod runtime {\n"
        "    pub struct Runtime(u8);\n"
        "    impl Runtime {\n"
        "        pub fn new() -> std::io::Result<Self> { Ok(Self(0)) }\n"
        "        pub fn block_on<F: std::future::Future>(&mut self, future: F) -> F::Output {\n"
        "            self.0 += 1;\n"
        "            let mut future = std::pin::pin!(future);\n"
        "            let waker = std::task::Waker::noop();\n"
        "            loop {\n"
        "                let mut context = std::task::Context::from_waker(waker);\n"
        "                if let std::task::Poll::Ready(it) = future.as_mut().poll(&mut context) { return it; }\n"
        "            }\n"
        "        }\n"
        "    }\n"
        "}\n"
    )
    fresh(shared)
    answer = ok(shared, f':dep tokio = {{ path = "{crate}" }}', "std::future::ready(()).await; 1")
    assert value(answer) == "1"
    fresh(shared)


def test_standard_input_is_asked_for(own) -> None:
    read = "let mut line = String::new();\nstd::io::stdin().read_line(&mut line)?;\nline"
    msg_id = own.client.execute(read, allow_stdin=True)
    assert own.client.get_stdin_msg(timeout=60)["content"]["prompt"] == ""
    own.client.input("Ada")
    assert value(own.answer(msg_id)) == '"Ada\\n"'
    # Nobody answers: it ends, and says so.
    answer = own.execute(read, allow_stdin=False)
    assert value(answer) == '""'
    assert "input(" in answer.text("stderr")
    msg_id = own.client.execute(read, allow_stdin=True)
    own.client.get_stdin_msg(timeout=60)
    own.manager.interrupt_kernel()
    own.answer(msg_id, timeout=20)
    assert value(own.execute("1 + 1")) == "2"


def test_an_interrupted_question_is_an_error(own) -> None:
    assert own.execute("let kept = 7;").status == "ok"
    msg_id = own.client.execute('let name = trialbook::runtime::input("name?")?; name', allow_stdin=True)
    own.client.get_stdin_msg(timeout=60)
    own.manager.interrupt_kernel()
    answer = own.answer(msg_id, timeout=20)
    assert answer.status == "error"
    assert answer.of("error")[0]["ename"] == "Interrupted"
    assert not answer.of("execute_result")
    assert value(own.execute("kept")) == "7"


def test_an_interrupt_drops_what_is_awaited_and_keeps_the_variables(own) -> None:
    assert own.execute("let mut kept = vec![7];").status == "ok"
    wait = 'kept.push(8);\nprintln!("waits");\ntokio::time::sleep(std::time::Duration::from_secs(60)).await;'
    msg_id = own.client.execute(wait)
    while own.next_published(msg_id)["msg_type"] != "stream":
        pass
    began = time.monotonic()
    own.manager.interrupt_kernel()
    answer = own.answer(msg_id, timeout=20)
    assert time.monotonic() - began < 2
    assert answer.of("error")[0]["ename"] == "Interrupted"
    assert value(own.execute("kept")) == "[7, 8]"


def test_an_aborted_cell_has_no_count(own) -> None:
    msg_id = own.client.execute("!sleep 60")
    behind = own.client.execute("!echo never")
    own.wait_until_busy(msg_id)
    time.sleep(0.2)
    own.manager.interrupt_kernel()
    own.answer(msg_id)
    assert own.answer(behind).reply["content"] == {"status": "aborted"}


def test_what_a_thread_writes_later_arrives_at_once(own) -> None:
    spawn = (
        "std::thread::spawn(|| { std::thread::sleep(std::time::Duration::from_millis(700)); "
        'println!("late"); });\nprintln!("early");'
    )
    msg_id = own.client.execute(spawn)
    answer = own.answer(msg_id)
    assert answer.text() == "early\n"
    message = own.next_published(msg_id, timeout=10)
    assert message["content"] == {"name": "stdout", "text": "late\n"}


LATER = (
    "std::thread::spawn(|| for n in 0..8 {{ std::thread::sleep(std::time::Duration::from_millis(150)); "
    '{prints}!("{name} {{n}}"); }});'
)


def test_what_threads_write_arrives_at_the_cell_that_started_them(own) -> None:
    ok(own, "1")
    sent = {}
    for name, prints in [("first", "println"), ("second", "eprintln")]:
        sent[own.client.execute(LATER.format(prints=prints, name=name))] = name
    sent[own.client.execute('let say: fn() = || println!("task"); tokio::spawn(async move { say() }).await?;')] = "task"
    busy = "for _ in 0..4 { std::thread::sleep(std::time::Duration::from_millis(150)); println!(\"own\"); }"
    sent[own.client.execute(busy)] = "own"
    seen = {name: [] for name in sent.values()}
    end = time.monotonic() + 30
    while time.monotonic() < end and [len(lines) for lines in seen.values()] != [8, 8, 1, 4]:
        message = own.client.get_iopub_msg(timeout=10)
        if message["msg_type"] == "stream":
            seen[sent[message["parent_header"]["msg_id"]]] += message["content"]["text"].splitlines()
    numbered = [[f"{name} {n}" for n in range(8)] for name in ("first", "second")]
    assert list(seen.values()) == [*numbered, ["task"], ["own"] * 4]


def test_the_panic_of_a_thread_is_told_in_its_cell(own) -> None:
    ok(own, "use std::sync::atomic::{AtomicBool, Ordering::SeqCst}; static GO: AtomicBool = AtomicBool::new(false);")
    wait = "while !GO.load(SeqCst) { std::thread::yield_now(); }"
    msg_id = own.client.execute(f'std::thread::spawn(|| {{ {wait} panic!("late"); }});')
    own.client.execute("GO.store(true, SeqCst); std::thread::sleep(std::time::Duration::from_millis(300));")
    message = {"msg_type": ""}
    while message["msg_type"] != "stream":
        message = own.client.get_iopub_msg(timeout=60)
    assert message["content"]["name"] == "stderr" and "panicked" in message["content"]["text"]
    assert message["parent_header"]["msg_id"] == msg_id


def test_both_streams_keep_their_order(shared) -> None:
    code = 'for n in 0..20 { println!("out {n}"); eprintln!("err {n}"); }'
    answer = shared.execute(code)
    assert answer.status == "ok", story(answer)
    lines = [line for part in answer.of("stream") for line in part["text"].splitlines()]
    assert lines == [f"{name} {n}" for n in range(20) for name in ("out", "err")]


def test_plain_values_are_shown_live(shared) -> None:
    code = 'let live = Live::new(&5);\nlive.update(&String::from("six"));\nlive.update("seven");'
    answer = shared.execute(code)
    assert answer.status == "ok", story(answer)
    shown = [part["data"]["text/plain"] for kind in ("display_data", "update_display_data") for part in answer.of(kind)]
    assert shown == ["5", "six", "seven"]


def test_progress_is_gone_when_its_command_is_over(own) -> None:
    answer = own.execute(":train tfidf --data sample --cv 40")
    assert answer.status == "ok"
    kinds = [kind for kind in answer.kinds() if kind in ("display_data", "clear_output")]
    # Quick machines show none; what was shown is cleared before the answer comes.
    assert kinds in (["display_data"], ["display_data", "clear_output", "display_data"]), kinds


def test_the_first_question_is_answered() -> None:
    """On a kernel that has just started, with the indexes that earlier ones have made."""
    for _ in range(2):
        kernel = Kernel()
        try:
            content = kernel.reply(kernel.client.complete("std::collections::HashM", 23))["content"]
            reply = kernel.reply(kernel.client.inspect("Option", 6))["content"]
            members = kernel.reply(kernel.client.complete("let b = Book::open_default()?;\nb.fra", 36))["content"]
            # The very first session makes the indexes, which takes seconds.
            end = time.monotonic() + 60
            while "HashMap" not in content["matches"] and time.monotonic() < end:
                time.sleep(0.5)
                content = kernel.reply(kernel.client.complete("std::collections::HashM", 23))["content"]
        finally:
            kernel.close()
    assert content["matches"] == ["HashMap"]
    assert reply["found"] and "enum Option<T>" in reply["data"]["text/plain"], reply
    assert members["matches"] == ["frame"]
