"""Predictions labelled by keyboard, and without a script by their buttons: each answer is kept at once, and undone at once."""

from __future__ import annotations

import json
import pathlib
import time
import urllib.request
from collections.abc import Iterator

import pytest
from conftest import call, new_store, serving
from playwright.sync_api import Browser
from test_pages import browser  # noqa: F401


@pytest.fixture
def predicted() -> Iterator[tuple[str, pathlib.Path]]:
    """The address of a server that predicted thirty texts, and the file of their labels."""
    with new_store() as store:
        call(store, "train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy")
        rows = call(store, "sql", "select text from sample.test limit 30")
        with serving(store, "--log-text", "full") as url:
            body = json.dumps({"texts": [row["text"] for row in rows]}).encode()
            request = urllib.request.Request(f"{url}/predict/batch", body, {"content-type": "application/json"})
            urllib.request.urlopen(request).read()
            # Predictions gather for a moment before they are written.
            time.sleep(0.6)
            yield url, pathlib.Path(store, "logs", "labels.jsonl")


def said(file: pathlib.Path) -> list[str | None]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["label"] for line in lines]


def test_texts_are_labelled_skipped_and_undone_by_keyboard(browser: Browser, predicted: tuple[str, pathlib.Path]) -> None:  # noqa: F811
    url, file = predicted
    page = browser.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{url}/ui/label?by=random")

    def press(key: str) -> str:
        with page.expect_navigation():
            page.keyboard.press(key)
        return page.locator("#text").inner_text()

    first = page.locator("#text").inner_text()
    second = press("1")
    assert said(file) == ["negative"] and second != first
    third = press(" ")
    assert said(file) == ["negative"] and third not in (first, second), "skipping says nothing"
    fourth = press("2")
    assert said(file) == ["negative", "positive"] and fourth not in (first, second, third)
    assert "2 of 50" in page.locator(".label-progress").inner_text()
    assert press("u") == third, "what was taken back is asked again"
    assert said(file) == ["negative", "positive", None]
    assert "1 of 50" in page.locator(".label-progress").inner_text()
    assert faults == []
    page.close()


def test_without_a_script_the_buttons_do_the_same(browser: Browser, predicted: tuple[str, pathlib.Path]) -> None:  # noqa: F811
    url, file = predicted
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{url}/ui/label")
    first = page.locator("#text").inner_text()
    page.get_by_role("button", name="positive").click()
    assert page.locator("#text").inner_text() != first
    page.get_by_role("button", name="Undo").click()
    assert page.locator("#text").inner_text() == first
    assert said(file) == ["positive", None]
    context.close()
