"""Releases under load: started, gone on with, taken back and stopped on two servers of one store, and not one request that
fails meanwhile."""

from __future__ import annotations

import json
import pathlib
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from conftest import call, new_store, serving

MODEL = "SentimentClassifier"
N_RELEASES = 20
N_CLIENTS = 4
# What the registry says is followed at the latest so long after; a busy machine gets some more.
FOLLOWED = 10.0


def get(url: str, path: str) -> dict:
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return json.load(answer)


def until(what: Callable[[], bool], wait: float = FOLLOWED) -> None:
    end = time.monotonic() + wait
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


class Load:
    """Clients that ask until they are told to stop; every answer that is none is kept."""

    def __init__(self, urls: list[str]) -> None:
        self.urls, self.is_over = urls, threading.Event()
        self.n_answers, self.failed, self.arms = 0, [], set()
        self.lock = threading.Lock()

    def ask(self, client: int) -> None:
        n = 0
        while not self.is_over.is_set():
            n += 1
            request = urllib.request.Request(
                self.urls[n % len(self.urls)] + "/predict",
                json.dumps({"text": "A wonderful film."}).encode(),
                {"content-type": "application/json", "x-request-id": f"{client}-{n}"},
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    arm = json.load(answer).get("arm")
                with self.lock:
                    self.n_answers += 1
                    self.arms.add(arm)
            except (urllib.error.URLError, OSError) as error:
                with self.lock:
                    self.failed.append(error)

    def __enter__(self) -> Load:
        self.threads = [threading.Thread(target=self.ask, args=(client,)) for client in range(N_CLIENTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A store with a version in production and one that says the opposite."""
    with new_store() as store:
        call(store, "train", "tfidf", "--data", "sample", "--ngram", "1", "--deploy")
        rows = call(store, "sql", "select text, label from sample.train")
        flipped = {"positive": "negative", "negative": "positive"}
        lines = [json.dumps({"text": row["text"], "label": flipped[row["label"]]}) for row in rows]
        file = pathlib.Path(store, "opposites.jsonl")
        file.write_text("\n".join(lines))
        call(store, "data", "add", "opposites", str(file), "--test-size", "0.2")
        call(store, "train", "tfidf", "--data", "opposites", "--ngram", "1", "--model", MODEL)
        yield store


def state(store: str) -> str:
    return call(store, "release", "status", MODEL)["release"]["state"]


def test_twenty_releases_under_load_cost_no_request(store: str) -> None:
    with serving(store) as one, serving(store) as other, Load([one, other]) as load:
        ends = []
        for number in range(1, N_RELEASES + 1):

            def lives(url: str, number: int = number) -> bool:
                told = get(url, "/release")["releases"]
                return bool(told) and told[0]["release"]["number"] == number and told[0]["is_live"]

            if number % 2:
                # It disagrees with everything Production says.
                call(store, "release", "start", f"{MODEL}/2", "--canary", "50%", "--by", "request", "--min-agreement", "0.9")
                until(lambda: state(store) == "taken_back")
                taken_back = time.monotonic()
                until(lambda number=number: not lives(one, number) and not lives(other, number), 5.0)
                assert time.monotonic() - taken_back < 3.0
            else:
                call(store, "release", "start", f"{MODEL}/2", "--canary", "10%:500ms,60%", "--by", "request", "--min-n", "3")
                until(lambda: call(store, "release", "status", MODEL)["release"]["step_idx"] == 1)
                call(store, "release", "stop", MODEL)
            ends.append(state(store))
    assert ends == ["taken_back", "stopped"] * (N_RELEASES // 2)
    assert load.failed == []
    assert load.n_answers > 500
    assert {"candidate", "production"} <= load.arms
    actions = [event["action"] for event in call(store, "audit")]
    assert actions.count("start_release") == N_RELEASES
    assert actions.count("take_back_release") == actions.count("advance_release") == N_RELEASES // 2
