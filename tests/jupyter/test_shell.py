"""Rust in the shell, at a real terminal: what the other front end makes of the same cells."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pexpect
import pytest
from conftest import PROGRAM

pytestmark = pytest.mark.usefixtures("rust")


class Shell:
    """The shell at an 80 by 24 terminal without colours."""

    def __init__(self) -> None:
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        self.child = pexpect.spawn(
            str(PROGRAM), env=environment, encoding="utf-8", timeout=60, dimensions=(24, 80)
        )
        self.n_cells = 0
        self.comes_back()

    def types(self, cell: str) -> str:
        """Submits a cell; what it shows until the prompt comes back."""
        self.child.send(cell + "\r")
        return self.answer()

    def answer(self) -> str:
        # The echo of the cell is redrawn key by key; the answer begins with a line of its own.
        self.child.expect_exact("\r\n")
        return self.comes_back()

    def comes_back(self) -> str:
        """What is shown until the shell asks for the next cell."""
        self.n_cells += 1
        self.child.expect_exact(f"[{self.n_cells}] ")
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.child.before)


@pytest.fixture
def shell() -> Iterator[Shell]:
    shell = Shell()
    yield shell
    shell.child.close(force=True)


def test_variables_live_on_between_cells(shell) -> None:
    shell.types("let reviews = vec![3, 4, 5];")
    assert "12" in shell.types("reviews.iter().sum::<i32>()")
    assert "reviews" in shell.types(":who")


def test_an_error_points_into_the_cell_and_the_shell_goes_on(shell) -> None:
    shown = shell.types("let n: i32 = \"text\";")
    assert "E0308" in shown and "line 1" in shown
    assert "42" in shell.types("6 * 7")


def test_ctrl_c_stops_a_cell_and_keeps_the_variables(shell) -> None:
    shell.types("let kept = 7;")
    shell.child.send(
        "loop { trialbook::checkpoint()?; "
        "std::thread::sleep(std::time::Duration::from_millis(5)); }\r"
    )
    time.sleep(2)
    shell.child.sendintr()
    shell.child.expect("interrupted")
    shell.comes_back()
    assert "8" in shell.types("kept + 1")


def test_pasted_lines_are_one_cell(shell) -> None:
    shell.child.send("\x1b[200~fn double(n: i32) -> i32 {\n    n * 2\n}\ndouble(21)\x1b[201~\r")
    assert "42" in shell.answer()


def test_a_method_on_a_frame_is_completed(shell) -> None:
    shell.types('let frame = df!("a" => [1, 2, 3])?;')
    shell.child.send("frame.heig\t")
    shell.child.expect_exact("frame.height")
