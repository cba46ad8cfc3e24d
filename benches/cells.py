"""Times cells in a terminal session of trialbook and of stock evcxr, typed as a person would."""

import os
import pty
import re
import select
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

N_CELLS = 7

# What stock evcxr needs for the same work; trialbook has it in scope from the start.
STOCK_POLARS = ':dep polars = { version = "0.55", default-features = false, features = ["csv", "fmt", "lazy"] }'


# How both say that a cell failed; a crate that is being compiled may well be called polars-error.
FAILURE = re.compile(r"(?m)^error\b|\berror[:\[]")

# How a terminal is told where to write and in which colour.
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[=>]")

# What is typed before Tab, and what both must offer then.
COMPLETIONS = [("let v: Vec<i32> = Vec::with_cap", "acity"), ("words.is_em", "pty"), ("words.capaci", "ty"), ("words.first_m", "ut")]
N_COMPLETIONS = 6

# The time between two keys of a quick typist.
KEY_S = 0.03


class Failed(Exception):
    """A cell did not do what it should; the message is what the session said."""


class Session:
    """A program at a pseudo-terminal that is asked one cell after the other."""

    def __init__(self, command, prompt, env, term="dumb"):
        self.prompt = re.compile(prompt)
        self.is_dumb = term == "dumb"
        self.started = time.perf_counter()
        master, slave = pty.openpty()
        # A dumb terminal is written to as it is read: no cursor movement between us and the answer.
        env = {**os.environ, **env, "TERM": term, "NO_COLOR": "1", "COLUMNS": "120"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True, close_fds=True
        )
        os.close(slave)
        self.master = master

    def answer(self, limit_s, expected=None):
        """Everything up to the next prompt, or up to what is `expected` instead."""
        said = ""
        end = time.perf_counter() + limit_s
        while not (expected or self.prompt).search(ESCAPE.sub("", said)):
            left = end - time.perf_counter()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                what = expected.pattern if expected else "prompt"
                raise Failed(f"no {what} within {limit_s} s; it said:\n{said}")
            try:
                chunk = os.read(self.master, 65536)
            except OSError:
                chunk = b""
            if not chunk:
                raise Failed(f"the session ended; it said:\n{said}")
            said += chunk.decode(errors="replace").replace("\r", "")
        return said

    def first_prompt(self):
        """Seconds from the start of the process to the prompt."""
        self.answer(120)
        return time.perf_counter() - self.started

    def type(self, text):
        """Types `text` and sees it: key by key where the program draws the line, for of keys that come
        at once evcxr's editor takes in the first and waits."""
        if self.is_dumb:
            os.write(self.master, text.encode())
            return
        for key in text:
            os.write(self.master, key.encode())
            time.sleep(KEY_S)
        self.answer(300, re.compile(re.escape(text[-4:])))

    def pass_over(self, after_s):
        """Reads what is written within `after_s`."""
        time.sleep(after_s)
        while select.select([self.master], [], [], 0)[0]:
            os.read(self.master, 65536)

    def cell(self, text, expected="", limit_s=300):
        """Seconds from the Enter key to the next prompt."""
        self.type(text)
        start = time.perf_counter()
        os.write(self.master, b"\n")
        said = self.answer(limit_s)
        taken = time.perf_counter() - start
        said = said.replace(text, "", 1)
        if FAILURE.search(said) or expected not in said:
            raise Failed(f"the cell\n  {text}\nshould say {expected!r}; it said:\n{said}")
        return taken

    def interrupted(self, text, after_s):
        """Seconds from Ctrl-C, pressed `after_s` after the Enter key, to the next prompt."""
        os.write(self.master, text.encode() + b"\n")
        time.sleep(after_s)
        start = time.perf_counter()
        os.kill(self.process.pid, signal.SIGINT)
        self.answer(60)
        return time.perf_counter() - start

    def completed(self, text, expected):
        """Seconds from the Tab key behind `text` to what is expected on the screen; the line is cleared again."""
        self.type(text)
        # The grey rest of an earlier line, and whatever else is still written.
        self.pass_over(0.2)
        start = time.perf_counter()
        os.write(self.master, b"\t")
        self.answer(60, re.compile(re.escape(expected)))
        taken = time.perf_counter() - start
        os.write(self.master, b"\x15")
        self.pass_over(0.1)
        return taken

    def close(self):
        os.close(self.master)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def write_reviews(path):
    """The same 20,000 rows for both."""
    with open(path, "w") as file:
        file.write("label,words\n")
        for i in range(20_000):
            file.write(f"{('negative', 'positive')[i % 2]},{i * 7919 % 400}\n")


def analysis(data, limit):
    """Reads, filters, groups and shows; a different figure makes it a different cell.

    It reads the file itself because stock evcxr cannot go on with a frame of an earlier cell: it links polars into
    every cell anew, each copy hashes with a seed of its own, and the frame's columns are no longer found."""
    return (
        f'LazyCsvReader::new("{data}".into()).finish()?.filter(col("words").gt(lit({limit}))).group_by([col("label")])'
        f'.agg([len().alias("n"), col("words").mean().alias("mean")]).collect()?'
    )


def drive(session, before, command_cell, setup, data):
    """One session from start to end; seconds by what was measured. Without a `setup` it has no DataFrames."""
    times = {"start to the first prompt": [session.first_prompt()]}
    for cell in before:
        session.cell(cell)
    times["a command"] = [session.cell(command_cell) for _ in range(N_CELLS)]
    times["the first Rust cell"] = [session.cell("let first = 40 + 2;")]
    times["`1 + 1`"] = [session.cell(f"{i} + 1", str(i + 1)) for i in range(1, N_CELLS + 1)]
    times["`let x = ...`"] = [session.cell(f"let x{i} = {i} + first;") for i in range(N_CELLS)]
    again = "first + 1000"
    session.cell(again, "1042")
    times["an identical cell again"] = [session.cell(again, "1042") for _ in range(N_CELLS)]
    if setup is None:
        return times
    start = time.perf_counter()
    for cell in setup:
        session.cell(cell, limit_s=3000)
    session.cell(analysis(data, 0), "positive")
    times["the first DataFrame, its library included"] = [time.perf_counter() - start]
    times["read, filter, group and show a DataFrame"] = [session.cell(analysis(data, 10 + i), "positive") for i in range(N_CELLS)]
    return times


def drive_first(session):
    """A session whose person has the first cell ready."""
    session.first_prompt()
    return {"the first cell, typed at the first prompt": [session.cell("let first = 40 + 2;")]}


def drive_interrupts(session, setup, endless, compiled):
    """A session whose cells are stopped: one that runs, one that is compiled."""
    session.first_prompt()
    session.cell("let first = 40 + 2;")
    for cell in setup:
        session.cell(cell, limit_s=3000)
    times = {"Ctrl-C in a cell that runs, to the prompt": [session.interrupted(endless.format(i), 2.0) for i in range(3)]}
    if compiled:
        times["Ctrl-C while a cell is compiled, to the prompt"] = [session.interrupted(compiled.format(i), 0.05) for i in range(3)]
    return times


def drive_completions(session):
    """A session in which names are completed; the slow ones count."""
    session.first_prompt()
    session.cell('let words = vec!["a", "b"];')
    times = []
    for _ in range(N_COMPLETIONS):
        times += [session.completed(text, expected) for text, expected in COMPLETIONS]
    return {"Tab, 95th percentile": [statistics.quantiles(times[len(COMPLETIONS):], n=20)[-1]]}


def one(start, drive_it, **script):
    """Medians of what one more session does."""
    with tempfile.TemporaryDirectory() as place:
        session = start(place)
        try:
            times = drive_it(session, **script)
        finally:
            session.close()
    return {what: statistics.median(seconds) for what, seconds in times.items()}


def sessions(n_sessions, name, start, **script):
    """Times of several fresh sessions, pooled."""
    pooled = {}
    for idx in range(n_sessions):
        with tempfile.TemporaryDirectory() as place:
            data = Path(place) / "reviews.csv"
            write_reviews(data)
            session = start(place)
            try:
                times = drive(session, data=data, **script)
            finally:
                session.close()
        for what, seconds in times.items():
            pooled.setdefault(what, []).extend(seconds)
        print(f"{name}: session {idx + 1} of {n_sessions} done", flush=True)
    return {what: statistics.median(seconds) for what, seconds in pooled.items()}


def ours(program, n_sessions):
    def start(place, term="dumb"):
        env = {"TRIALBOOK_STORE": str(Path(place) / "store")}
        return Session([str(program)], r"(?:^|\n)\[\d+\] $", env, term)

    times = sessions(n_sessions, "trialbook", start, before=[":data sample"], command_cell=":data list", setup=[])
    times |= one(start, drive_first)
    # What rustc has read a moment ago it would not read again: this one needs the prelude.
    compiled = 'LazyCsvReader::new("none-{}".into())'
    times |= one(start, drive_interrupts, setup=[], endless="loop {{ trialbook::checkpoint()?; std::hint::black_box({}); }}", compiled=compiled)
    return times | one(lambda place: start(place, "xterm"), drive_completions)


def stock(program, n_sessions, has_frames):
    def start(place, term="dumb"):
        # Neither settings nor a cache of the person's: evcxr as it comes.
        return Session([str(program)], r"(?:^|\n)>> $", {"XDG_CONFIG_HOME": place}, term)

    setup = [STOCK_POLARS, "use polars::prelude::*;"] if has_frames else None
    times = sessions(n_sessions, "evcxr", start, before=[], command_cell=":vars", setup=setup)
    times |= one(start, drive_first)
    times |= one(start, drive_interrupts, setup=[], endless="loop {{ std::hint::black_box({}); }}", compiled=None)
    return times | one(lambda place: start(place, "xterm"), drive_completions)
