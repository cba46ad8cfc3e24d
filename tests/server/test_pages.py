"""The pages as people meet them: by keyboard, in the light and in the dark, on a desk and on a phone."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# Where pictures of the pages go, for those who want to look at them.
PICTURES = os.environ.get("PICTURES")

# What is on the console and no complaint; Chromium's advice to those who write forms is "verbose".
TALK = {"log", "verbose"}

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.fail("no Chromium: install one, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        # In containers Chromium has no user namespaces for its sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(browser: Browser, server: str, scheme: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose every complaint fails the test, those about its security policy included."""
    context = browser.new_context(viewport=request.param, color_scheme=scheme, base_url=server)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type not in TALK else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda sent: complaints.append(f"{sent.url}: {sent.failure}"))
    page.on("request", lambda sent: complaints.append(sent.url) if is_outside(sent.url, server) else None)
    yield page
    if PICTURES:
        name = request.node.name.translate(str.maketrans("[]", "--"))
        page.screenshot(path=pathlib.Path(PICTURES, f"{name}.png"), full_page=True)
    context.close()
    assert complaints == []


def is_outside(url: str, server: str) -> bool:
    return not url.startswith((server, "data:", "blob:"))


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_text_is_predicted_by_keyboard(page: Page) -> None:
    page.goto("/")
    # The text field has the focus from the start.
    page.keyboard.type("An utterly wonderful film, a joy from beginning to end.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#label")).to_have_text("positive")
    expect(page.locator("#confidence")).to_contain_text("% confidence")
    bars = page.locator("#scores .bar span")
    expect(bars).to_have_count(2)
    widths = bars.evaluate_all("bars => bars.map(bar => parseFloat(bar.style.width))")
    assert widths[1] > 50 and abs(sum(widths) - 100) < 0.1
    expect(page.locator("#about")).to_contain_text("SentimentClassifier version 1 (Production)")
    expect(page.locator("#about")).to_contain_text(" ms ")
    expect(page.locator("#model")).to_contain_text("SentimentClassifier version 1")
    expect(page.locator("#n-predictions")).not_to_have_text("–")
    expect(page.locator("#mean-confidence")).to_contain_text("%")
    assert fits(page)


def test_several_texts_are_predicted_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.locator("#tab-one").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-many")).to_be_focused()
    expect(page.locator("#form")).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.locator("#texts")).to_be_focused()
    page.keyboard.type("A wonderful, touching film.\n\nA dull waste of time, awful from start to end.")
    expect(page.locator("#count")).to_have_text("2 texts")
    # Out of the field and onto the button.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    rows = page.locator("#rows tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("positive")
    expect(rows.nth(1)).to_contain_text("negative")
    expect(page.locator("#batch-summary")).to_have_text("1 positive, 1 negative")
    expect(page.locator("#batch-about")).to_contain_text("2 texts in ")
    assert fits(page)


def test_a_text_that_the_model_knows_nothing_of_has_a_warning(page: Page) -> None:
    page.goto("/")
    page.keyboard.type("zzz qqq")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#warning")).to_contain_text("knows no word of this text")
    assert fits(page)
    page.locator("#text").fill("A wonderful film.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#label")).to_have_text("positive")
    expect(page.locator("#warning")).to_be_hidden()
    page.locator("#tab-many").click()
    page.locator("#texts").fill("zzz qqq\nA wonderful film.")
    page.locator("#predict-batch").click()
    expect(page.locator("#batch-warning")).to_contain_text("1 text has no word that the model knows")
    expect(page.locator("#rows tr").nth(0)).to_contain_text("no word of it is known")
    assert fits(page)


def test_another_model_is_asked_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.keyboard.type("A dull waste of time.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#label")).to_have_text("negative")
    chosen = page.get_by_label("Model", exact=True)
    expect(chosen).to_have_value("SentimentClassifier")
    expect(chosen.locator("option")).to_have_count(2)
    chosen.focus()
    page.keyboard.press("ArrowDown")
    expect(chosen).to_have_value("Second opinion")
    expect(page.locator("#model")).to_have_text("Second opinion version 1 · Production")
    # What the other model said has gone with it.
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#statistics-title")).to_have_text("Second opinion since the server started")
    before = int(page.locator("#n-predictions").inner_text().replace(",", ""))
    page.locator("#text").fill("An utterly wonderful film, a joy from beginning to end.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#about")).to_contain_text("Second opinion version 1 (Production)")
    # The figures are this model's own.
    expect(page.locator("#n-predictions")).to_have_text(f"{before + 1:,}")
    assert fits(page)


def test_an_empty_question_is_told_what_is_missing(page: Page) -> None:
    page.goto("/")
    page.locator("#predict").press("Enter")
    expect(page.locator("#error")).to_contain_text("no text yet")
    expect(page.locator("#text")).to_be_focused()


def test_a_text_too_long_is_told_in_the_words_of_the_page(page: Page) -> None:
    page.goto("/")
    for n, said in [(120_000, "120,000"), (1_200_000, "1,200,000")]:
        page.locator("#text").fill("x" * n)
        page.locator("#predict").press("Enter")
        expected = f"The text has {said} characters; this server reads at most 100,000."
        expect(page.locator("#error")).to_have_text(expected)
    page.locator("#tab-many").click()
    page.locator("#texts").fill("short\n\n\n" + "x" * 120_000)
    page.locator("#predict-batch").press("Enter")
    expect(page.locator("#error")).to_contain_text("Line 4 has 120,000 characters")
    assert fits(page)


def test_long_texts_of_several_are_cut_and_open_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.locator("#tab-many").click()
    page.locator("#texts").fill("A wonderful film.\n" + "x" * 300 + "\n" + "Dull. " * 100)
    page.locator("#predict-batch").press("Enter")
    excerpts = page.locator("#rows .excerpt")
    expect(excerpts).to_have_count(3)
    line = excerpts.nth(0).bounding_box()["height"]
    assert all(excerpts.nth(row).bounding_box()["height"] < 4 * line for row in (1, 2))
    expect(page.locator("#rows").get_by_role("button")).to_have_count(2)
    excerpts.nth(2).press("Enter")
    assert excerpts.nth(2).bounding_box()["height"] > 5 * line
    excerpts.nth(2).press(" ")
    assert excerpts.nth(2).bounding_box()["height"] < 4 * line
    assert fits(page)


def test_a_key_is_asked_for_and_the_question_asked_again(
    browser: Browser, guarded: tuple[str, str], scheme: str
) -> None:
    url, secret = guarded
    context = browser.new_context(viewport=PHONE, color_scheme=scheme, base_url=url)
    page = context.new_page()
    page.goto("/")
    expect(page.locator("#model")).to_have_text("enter the key to see the model")
    page.locator("#text").fill("An utterly wonderful film.")
    page.locator("#text").press("Control+Enter")
    problem, key = page.locator("#error"), page.get_by_label("API key")
    expect(problem).to_have_text("This server asks for an API key: enter it above.")
    expect(key).to_be_focused()
    page.keyboard.type("nonsense")
    page.keyboard.press("Enter")
    expect(problem).to_have_text("This key is unknown, revoked or expired.")
    key.fill(secret)
    page.keyboard.press("Enter")
    expect(page.locator("#label")).to_have_text("positive")
    expect(problem).to_be_hidden()
    expect(page.locator("#model")).to_have_text("Reviews version 1 · Production")
    # Praise and complaint are offered to the model that tells them apart, and to no other.
    expect(page.locator("#examples")).to_be_visible()
    page.get_by_label("Model", exact=True).select_option("Tickets")
    expect(page.locator("#model")).to_have_text("Tickets version 1 · Production")
    expect(page.locator("#examples")).to_be_hidden()
    assert fits(page)
    context.close()


def test_the_api_is_explained_and_can_be_tried(page: Page) -> None:
    page.goto("/docs")
    expect(page.locator(".opblock")).to_have_count(20)
    page.locator("#operations-default-post_predict .opblock-summary-control").press("Enter")
    page.get_by_role("button", name="Try it out").press("Enter")
    page.locator("#operations-default-post_predict").get_by_role("button", name="Execute").press("Enter")
    answer = page.locator("#operations-default-post_predict .live-responses-table")
    expect(answer).to_contain_text('"sentiment": "positive"')
    # It is where the document says that it is.
    expect(page.locator(".request-url").first).to_contain_text("/predict")
    assert fits(page)
