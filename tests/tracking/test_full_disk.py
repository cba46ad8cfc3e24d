"""A store on a file system of a few megabytes that runs full: what is refused is refused with 507, what was
acknowledged stays, and once there is room everything goes on."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from conftest import PROGRAM

MEGABYTES = 24
FULL = (507, "RESOURCE_EXHAUSTED")


class SmallDisk:
    """A file system that only processes started with `inside` see: no rights are needed to mount it there."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.mkdir()
        mount = f"mount -t tmpfs -o size={MEGABYTES}m tmpfs '{folder}' && echo mounted && exec sleep infinity"
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount]
        self.holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "mounted\n"

    def inside(self, *command: object) -> list[str]:
        return ["nsenter", f"--target={self.holder.pid}", "--user", "--mount", "--preserve-credentials", *map(str, command)]

    def run(self, *command: object) -> str:
        return subprocess.run(self.inside(*command), check=True, capture_output=True, text=True).stdout

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        command = self.inside(PROGRAM, "--store", self.folder, "--json", "ui", "--no-browser", "--port", "0")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait(timeout=20)

    def fill(self) -> None:
        """Takes every byte that is left."""
        filling = self.inside("dd", "if=/dev/zero", f"of={self.folder}/filler", "bs=4k", "oflag=append", "conv=notrunc")
        done = subprocess.run(filling, check=False, capture_output=True, text=True)
        assert "No space left" in done.stderr

    def empty(self) -> None:
        self.run("rm", f"{self.folder}/filler")


@pytest.fixture
def disk(tmp_path: pathlib.Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "store")
    yield disk
    disk.holder.kill()
    disk.holder.wait()


def ask(url: str, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
    request = urllib.request.Request(f"{url}/api/2.0/{path}", body, method=method)
    request.add_header("content-type", "application/json" if path.startswith("mlflow/") else "application/octet-stream")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def post(url: str, endpoint: str, **body: object) -> tuple[int, dict]:
    return ask(url, "POST", f"mlflow/{endpoint}", json.dumps(body).encode())


def new_run(url: str) -> dict:
    status, answer = post(url, "runs/create", experiment_id="0", start_time=int(time.time() * 1000))
    assert status == 200, answer
    return answer["run"]["info"]


def test_a_full_disk_is_507_and_nothing_is_lost(disk: SmallDisk) -> None:
    with disk.serving() as url:
        run = new_run(url)
        folder = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        kept = f"mlflow-artifacts/artifacts/{folder}/kept.bin"
        assert ask(url, "PUT", kept, b"k" * 100_000)[0] == 200

        def log_next(n_points: int) -> tuple[int, dict]:
            steps = range(n_points, n_points + 1000)
            points = [{"key": "loss", "value": step / 7, "timestamp": 1_760_000_000_000 + step, "step": step} for step in steps]
            return post(url, "runs/log-batch", run_id=run["run_id"], metrics=points)

        assert log_next(0)[0] == 200
        n_points, refusals = 1000, set()
        disk.fill()
        # What fits into the database's own free pages is still taken.
        for _ in range(400):
            status, answer = log_next(n_points)
            if status != 200:
                refusals.add((status, answer["error_code"]))
                break
            n_points += 1000
        assert refusals == {FULL}
        status, answer = ask(url, "PUT", f"mlflow-artifacts/artifacts/{folder}/lost.bin", b"l" * 4_000_000)
        assert (status, answer["error_code"]) == FULL
        # Reading goes on, and nothing of what was refused is there.
        status, answer = ask(url, "GET", f"mlflow/artifacts/list?run_id={run['run_id']}")
        assert [file["path"] for file in answer["files"]] == ["kept.bin"]
        disk.empty()
        # The same server goes on without being started again.
        assert log_next(n_points)[0] == 200
        n_points += 1000
        assert ask(url, "PUT", f"mlflow-artifacts/artifacts/{folder}/later.bin", b"l" * 4_000_000)[0] == 200
        steps: list[int] = []
        token = ""
        while True:
            query = f"run_id={run['run_id']}&metric_key=loss&max_results=25000{token and '&page_token=' + token}"
            status, answer = ask(url, "GET", f"mlflow/metrics/get-history?{query}")
            assert status == 200
            steps += [int(point["step"]) for point in answer["metrics"]]
            token = answer.get("next_page_token", "")
            if not token:
                break
    # What was acknowledged, each point once, and none of the batch that was refused before it was sent again.
    assert sorted(steps) == list(range(n_points))
    disk.run(PROGRAM, "--store", disk.folder, "store", "verify")
    listed = disk.run("find", disk.folder, "-name", ".trialbook-*")
    assert listed == "", "an upload that was refused left a file"


def test_a_full_disk_refuses_to_train_and_the_next_training_works(disk: SmallDisk) -> None:
    train = [PROGRAM, "--store", disk.folder, "--json", "train", "tfidf", "--data", "sample"]
    disk.run(PROGRAM, "--store", disk.folder, "data", "sample")
    disk.fill()
    refused = subprocess.run(disk.inside(*train), check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "No space left" in refused.stderr or "full" in refused.stderr, refused.stderr
    assert "panic" not in refused.stderr
    disk.empty()
    assert json.loads(disk.run(*train))["version"] == 1
    versions = json.loads(disk.run(PROGRAM, "--store", disk.folder, "--json", "models", "list"))
    assert len(versions) == 1, versions
    disk.run(PROGRAM, "--store", disk.folder, "store", "verify")
