"""A baseline in ONNX: texts in, the program's own labels and probabilities out, whatever the text."""

from __future__ import annotations

import json
import random

import numpy as np
import onnx
import pytest
from conftest import Store, session

# What tokenizers get wrong: case beyond ASCII (and Σ, whose lower case depends on its neighbours), words of one
# character, line breaks of HTML, marks inside words, scripts without case, control characters.
HARD = """good<br />bad|GOOD<BR/>BAD|good< br>bad|<br|x<br\t\r\n/>y good|ΟΔΟΣ ΣΟΦΟΣ|ΑΣ'Β ok|Σ Σ. .Σ ΑΣ|Α\u0345Σ\u0345 Σ
İstanbul DİYARBAKIR|\u212aelvin Å|STRASSE straße ẞ|e\u0301te\u0301 É\u0301TÉ|ǅungla Ǆ|ⒶⒷ ⓐⓑ|x² 1½ ๓๔ 東京物語 東 京|snake_case_2 __ _ a_
don't can’t “QUOTED” naïve|🎬🎬 GREAT🎬film|a b c d e f|not good not good not good|\u00adsoft\u00adHYPHEN|𝐁old 𐐀𐐁 𐐨|zero\u200bwidth\u200dJOINER
tab\tnew\nline\rreturn\x0bvertical\x0cfeed|nul\x00byte|\ufffdreplaced\ufeffmark|ĳ Ĳ ŉ ﬁ ﬀ|ᾳ ᾼ ῌΣ|Ꭰ ꭰ ᏸ|ა Ა""".replace("\n", "|").split("|")
WORDS = "good bad film plot not very the of it great dull οδος σοφος istanbul diyarbakir kelvin straße été x² ok".split()
ALPHABET = [*"aAbBzZéÉßİıΣσςΑα_1½'’.-<>/ \n\t", "<br />", "<BR>", "good", "BAD", "\u0301", "\u0345", "\u00ad", "ʰ", "Ⓐ", "ǅ", "東", "🎬", "𐐀"]


def rows(classes: list[str]) -> list[tuple[str, str]]:
    """Texts of all lengths with labels that depend on their words."""
    draw = random.Random(7)
    made = []
    for number in range(400):
        label = classes[number % len(classes)]
        own = WORDS[number % len(classes) :: len(classes)]
        words = draw.choices(own, k=draw.randint(2, 9)) + draw.choices(WORDS, k=draw.randint(1, 9))
        draw.shuffle(words)
        made.append((" ".join(words), label))
    # Texts that are asked, so that their words are in the vocabulary: a word that is cut or lower-cased otherwise
    # would be one among many unknown ones elsewhere.
    for number, text in enumerate(texts_to_ask()[:1000]):
        label = classes[number % len(classes)]
        made.append((f"{text} {label}", label))
    return made


def texts_to_ask() -> list[str]:
    draw = random.Random(11)
    made = ["".join(draw.choices(ALPHABET, k=draw.randint(1, 40))) for _ in range(2000)]
    made += [" ".join(draw.choices(WORDS, k=draw.randint(1, 300))) for _ in range(50)]
    # A file's row without a text has no prediction.
    return [text for text in HARD + made if text.strip()]


def check(store: Store, model: str, texts: list[str]) -> list[str]:
    labels, expected = store.answers(model, texts)
    runtime = session(store.exported(model))
    assert [value.name for value in runtime.get_inputs()] == ["texts"]
    found, probabilities = runtime.run(["label", "probabilities"], {"texts": np.array(texts, dtype=object)})
    worst = np.abs(probabilities - expected).max(axis=1)
    assert worst.max() < 1e-12, (texts[worst.argmax()], worst.max())
    assert list(found) == labels
    # Each text alone, and none.
    alone = [runtime.run(["probabilities"], {"texts": np.array([text], dtype=object)})[0][0] for text in texts[:50]]
    assert np.array_equal(np.array(alone), probabilities[:50])
    for text in ("", " ", "?"):
        _, nothing = runtime.run(None, {"texts": np.array([text], dtype=object)})
        assert abs(nothing.sum() - 1) < 1e-12
    assert runtime.run(["probabilities"], {"texts": np.array([], dtype=object)})[0].shape[0] == 0
    return labels


SETTINGS = {
    "plain": [],
    "sublinear": ["--sublinear", "--min-df", 1],
    "words alone": ["--ngram", 1, "--min-df", 1],
    "three words, without stop words": ["--ngram", 3, "--sublinear", "--stop-words", "english"],
    "pairs alone": ["--ngram-min", 2, "--sublinear", "--no-smooth-idf"],
    "with case and markup": ["--keep-case", "--keep-html", "--min-df", 1],
    "with case": ["--keep-case", "--stop-words", "english", "--max-features", 20],
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("classes", [["negative", "positive"], ["low", "middle", "top"]], ids=["two", "three"])
def test_every_text_has_the_same_probabilities(store: Store, classes: list[str], settings: list[object]) -> None:
    store.dataset("made", rows(classes))
    store.call("train", "tfidf", "--data", "made", "--model", "Made", *settings)
    labels = check(store, "Made/1", texts_to_ask())
    assert set(labels) == set(classes)


@pytest.mark.parametrize("decision", [["--calibrate", "temperature"], ["--calibrate", "isotonic", "--threshold", "precision=0.9"], ["--threshold", "0.83"]], ids=str)
def test_calibration_and_threshold_are_in_the_graph(store: Store, decision: list[str]) -> None:
    made = rows(["negative", "positive"])
    draw = random.Random(3)
    # Some labels are wrong, or nothing can be calibrated.
    mixed = [(text, draw.choice(["negative", "positive"]) if number % 5 == 0 else label) for number, (text, label) in enumerate(made)]
    store.dataset("mixed", mixed)
    store.call("train", "tfidf", "--data", "mixed", "--model", "Mixed", "--c", 1, *decision)
    check(store, "Mixed/1", texts_to_ask())
    model = onnx.load(store.folder / "exported-Mixed-1/model.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == ["negative", "positive"]
    assert 0 <= float(said["threshold"]) <= 1


def test_real_reviews_have_the_same_probabilities(store: Store) -> None:
    store.call("data", "sample")
    store.call("train", "tfidf", "--data", "sample", "--model", "Sample", "--sublinear")
    reviews = json.loads(store.run("sql", "SELECT text FROM sample.test").stdout)
    texts = [row["text"] for row in reviews]
    assert len(texts) == 1000
    check(store, "Sample/1", texts)
