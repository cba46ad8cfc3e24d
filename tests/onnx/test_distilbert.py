"""A DistilBERT in ONNX: PyTorch's logits out of ONNX Runtime, and what Optimum wrote in."""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import onnx
import pytest
from conftest import FIXTURES, Store, session
from tokenizers import Tokenizer

TINY = FIXTURES / "tiny-distilbert"
OPTIMUM = FIXTURES / "optimum-distilbert"
TEXTS = [
    "superb",
    "The film was wonderful, really moving!",
    "un-watched acting: boring plot",
    "It wasn't good. " * 3,
    "the dullest story I ever loved and hated " * 12,
    "é ÀÉ 東京 🎬 [MASK]",
]


def batch(sequences: list[list[int]]) -> dict[str, np.ndarray]:
    """What the model is asked, filled up with a token that has to have no weight."""
    longest = max(map(len, sequences))
    ids = np.array([row + [1] * (longest - len(row)) for row in sequences], dtype=np.int64)
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in sequences], dtype=np.int64)
    return {"input_ids": ids, "attention_mask": mask}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def check(store: Store, model: str) -> pathlib.Path:
    """That ONNX Runtime answers as the program does, by the tokenizer that lies beside the model."""
    folder = store.exported(model)
    assert {"config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"} <= {path.name for path in folder.iterdir()}
    runtime = session(folder)
    assert [value.name for value in runtime.get_inputs()] == ["input_ids", "attention_mask"]
    assert [value.name for value in runtime.get_outputs()] == ["logits"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer.enable_truncation(config["model_max_length"], direction=config["truncation_side"])
    tokenizer.no_padding()
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(TEXTS)]
    _, expected = store.answers(model, TEXTS)
    found = softmax(runtime.run(["logits"], batch(encoded))[0].astype(np.float64))
    assert np.abs(found - expected).max() < 1e-5
    return folder


def test_logits_are_pytorchs(store: Store) -> None:
    store.call("models", "import", TINY, "--name", "Tiny")
    runtime = session(check(store, "Tiny/1"))
    reference = json.loads((TINY / "reference.json").read_text())["sequences"]
    expected = np.array([row["logits"] for row in reference])
    together = runtime.run(["logits"], batch([row["input_ids"] for row in reference]))[0]
    alone = np.concatenate([runtime.run(["logits"], batch([row["input_ids"]]))[0] for row in reference])
    for logits in (together, alone):
        assert np.abs(logits - expected).max() < 1e-4


@pytest.mark.parametrize("activation", ["relu", "gelu_new"])
def test_every_activation_is_written(store: Store, activation: str) -> None:
    folder = store.folder / "checkpoint"
    shutil.copytree(TINY, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "activation": activation}))
    store.call("models", "import", folder, "--name", "Other")
    check(store, "Other/1")


def test_a_calibrated_models_softmax_is_calibrated(store: Store) -> None:
    words = ["superb film", "awful plot", "really moving", "dull story", "great acting", "bad script"]
    for name in ("words", "others"):
        texts = [f"{word} {name} {number}" for number, word in enumerate(words * 30)]
        store.dataset(name, [(text, ["negative", "positive"][number % 2]) for number, text in enumerate(texts)])
    store.call("models", "import", TINY, "--name", "Tiny", "--data", "words")
    store.call("models", "calibrate", "Tiny/1", "temperature", "--data", "others", "--split", "train")
    check(store, "Tiny/2")
    store.call("models", "calibrate", "Tiny/1", "isotonic", "--data", "others", "--split", "train")
    refused = store.run("models", "export", "Tiny/3", store.folder / "isotonic", "--format", "onnx")
    assert refused.returncode != 0 and b"isotonic calibration" in refused.stdout + refused.stderr
    assert not (store.folder / "isotonic").exists()


def test_what_optimum_wrote_is_imported(store: Store) -> None:
    store.call("models", "import", TINY, "--name", "Tiny")
    store.call("models", "import", OPTIMUM, "--name", "Optimum")
    _, expected = store.answers("Tiny/1", TEXTS)
    _, found = store.answers("Optimum/1", TEXTS)
    assert np.array_equal(found, expected)
    reference = json.loads((TINY / "reference.json").read_text())["sequences"]
    asked = batch([row["input_ids"] for row in reference])
    theirs = session(OPTIMUM).run(["logits"], asked)[0]
    ours = session(check(store, "Optimum/1")).run(["logits"], asked)[0]
    assert np.abs(theirs - ours).max() < 1e-5


def test_what_we_wrote_comes_back_whole(store: Store) -> None:
    store.call("models", "import", TINY, "--name", "Tiny")
    folder = store.exported("Tiny/1")
    store.call("models", "import", folder, "--name", "Back")
    _, expected = store.answers("Tiny/1", TEXTS)
    _, found = store.answers("Back/1", TEXTS)
    assert np.array_equal(found, expected)


def test_weights_in_a_file_of_their_own_are_found(store: Store) -> None:
    folder = store.folder / "apart"
    shutil.copytree(OPTIMUM, folder)
    model = onnx.load(folder / "model.onnx")
    onnx.save_model(model, folder / "model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    store.call("models", "import", folder, "--name", "Apart")
    store.call("models", "import", OPTIMUM, "--name", "Optimum")
    assert np.array_equal(store.answers("Apart/1", TEXTS)[1], store.answers("Optimum/1", TEXTS)[1])
    (folder / "model.onnx_data").unlink()
    refused = store.run("models", "import", folder, "--name", "Apart")
    assert refused.returncode != 0 and b"model.onnx_data" in refused.stdout + refused.stderr


def test_what_onnx_runtime_quantised_is_refused(store: Store) -> None:
    from onnxruntime.quantization import quantize_dynamic

    folder = store.folder / "quantised"
    shutil.copytree(OPTIMUM, folder)
    quantize_dynamic(OPTIMUM / "model.onnx", folder / "model.onnx")
    refused = store.run("models", "import", folder, "--name", "Quantised")
    assert refused.returncode != 0 and b"as it is exported" in refused.stdout + refused.stderr
