"""Draws the README's pictures from the program itself: a shell session and the server's page.

The shell is typed into through a pseudo terminal; what is on its screen then becomes an SVG. The page is
looked at in Chromium. Nothing is retouched.
"""

from __future__ import annotations

import fcntl
import html
import os
import pathlib
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.error
import urllib.request

import pyte
from playwright.sync_api import sync_playwright

HERE = pathlib.Path(__file__).parent
PROGRAM = os.path.abspath(os.environ.get("PROGRAM", "target/release/trialbook"))
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

COLUMNS, LINES = 104, 60
SESSION = [
    ":sql select label, count(*) as n from sample.train group by label",
    ":train tfidf --data sample --ngram 2 --sublinear --deploy",
    ':predict "Not a good film, but the cast is wonderful."',
    "let frame = Book::open_default()?.frame(\"sample.test\")?;",
    'frame.lazy().group_by(["label"]).agg([len()]).sort(["label"], SortMultipleOptions::default()).collect()?',
]
PROMPT = re.compile(r"\[\d+\] ?")

FONT_PX, ADVANCE_PX, LINE_PX, MARGIN_PX = 14, 8.43, 19, 16
GROUND, TEXT = "#1b1f27", "#d7dce5"
COLOURS = {
    "black": "#5c6572", "red": "#f47067", "green": "#8ddb8c", "brown": "#e0c285", "blue": "#6cb6ff",
    "magenta": "#dcbdfb", "cyan": "#76d9e6", "white": "#d7dce5", "brightblack": "#7d8795",
    "brightred": "#ff938a", "brightgreen": "#b4f1b4", "brightbrown": "#f9e2af", "brightyellow": "#f9e2af",
    "brightblue": "#96d0ff", "brightmagenta": "#eedcff", "brightcyan": "#b3f0ff", "brightwhite": "#ffffff",
}


class Shell:
    """The program's shell in a terminal of its own."""

    def __init__(self, store: str) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(LINES))
            os.execv(PROGRAM, [PROGRAM, "--store", store])
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    def read_until_quiet(self, quiet_s: float, limit_s: float = 120.0) -> None:
        """Reads until nothing has come for `quiet_s`."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if not select.select([self.terminal], [], [], quiet_s)[0]:
                return
            try:
                self.stream.feed(os.read(self.terminal, 65536))
            except OSError:
                return

    def is_at_prompt(self) -> bool:
        """Whether the cursor stands behind a prompt on an otherwise empty line."""
        line = self.screen.display[self.screen.cursor.y].rstrip()
        return PROMPT.fullmatch(line) is not None

    def enter(self, line: str) -> None:
        os.write(self.terminal, line.encode())
        self.read_until_quiet(0.5)
        os.write(self.terminal, b"\r")
        end = time.monotonic() + 300
        while time.monotonic() < end:
            self.read_until_quiet(0.7)
            if self.is_at_prompt():
                return
        sys.exit(f"the shell has not answered {line!r}:\n" + "\n".join(self.screen.display))


def colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return COLOURS.get(name, f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else default)


def svg(screen: pyte.Screen) -> str:
    """What is on the screen, down to its last line with text."""
    rows = [screen.buffer[row] for row in range(screen.lines)]
    n_rows = max(idx for idx, text in enumerate(screen.display) if text.strip()) + 1
    width = round(COLUMNS * ADVANCE_PX + 2 * MARGIN_PX)
    height = n_rows * LINE_PX + 2 * MARGIN_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
        f'font-size="{FONT_PX}" fill="{TEXT}">',
        "<title>A session of the trialbook shell</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{GROUND}"/>',
    ]
    for row_idx, row in enumerate(rows[:n_rows]):
        y = MARGIN_PX + row_idx * LINE_PX + FONT_PX
        for start, end in runs(row):
            text = "".join(row[column].data for column in range(start, end))
            if not text.strip():
                continue
            style = row[start]
            fill = colour(style.fg, TEXT)
            attributes = f' fill="{fill}"' if fill != TEXT else ""
            attributes += ' font-weight="bold"' if style.bold else ""
            attributes += ' font-style="italic"' if style.italics else ""
            x = MARGIN_PX + start * ADVANCE_PX
            length = (end - start) * ADVANCE_PX
            parts.append(
                f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}" xml:space="preserve"{attributes}>'
                f"{html.escape(text)}</text>"
            )
    return "\n".join(parts) + "\n</svg>\n"


def runs(row: dict) -> list[tuple[int, int]]:
    """The pieces of a line that look alike, without the spaces at its end."""
    end = max((column for column in range(COLUMNS) if row[column].data.strip()), default=-1) + 1
    pieces, start = [], 0
    look = lambda column: (row[column].fg, row[column].bold, row[column].italics)  # noqa: E731
    for column in range(1, end + 1):
        if column == end or look(column) != look(start):
            pieces.append((start, column))
            start = column
    return pieces if end else []


def draw_shell(store: str) -> None:
    shell = Shell(store)
    shell.read_until_quiet(2.0)
    for line in SESSION:
        shell.enter(line)
    os.write(shell.terminal, b"\x04")
    (HERE / "shell.svg").write_text(svg(shell.screen), encoding="utf-8")


def draw_page(store: str) -> None:
    port = "18913"
    server = subprocess.Popen([PROGRAM, "--store", store, "serve", "--port", port], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 900, "height": 560}, device_scale_factor=1.5)
            page.goto(address)
            page.get_by_role("textbox").first.fill("Not a good film, but the cast is wonderful.")
            page.get_by_role("textbox").first.press("Control+Enter")
            page.wait_for_timeout(800)
            page.screenshot(path=HERE / "page.png", full_page=True)
            browser.close()
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = str(pathlib.Path(folder, "store"))
        subprocess.run([PROGRAM, "--store", store, "data", "sample"], check=True, stdout=subprocess.DEVNULL)
        draw_shell(store)
        draw_page(store)


if __name__ == "__main__":
    main()
