"""Artifacts, data and predictions in S3-compatible storage: moto's server, on loopback, also cut and killed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from conftest import PROGRAM, call, new_store, serving
from storage import BUCKET, ENVIRONMENT, Storage, cached, running_storage

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    with running_storage() as storage:
        yield storage


@pytest.fixture(autouse=True)
def whole_wire(storage: Storage) -> Iterator[None]:
    yield
    storage.wire.mend()


@pytest.fixture(scope="module")
def trained(storage: Storage) -> Iterator[str]:
    """A store with a model in Production, whose artifacts lie in the bucket."""
    with new_store() as store:
        call(store, "data", "sample", "reviews")
        call(store, "--artifacts", f"s3://{BUCKET}/trained", "train", "tfidf", "--data", "reviews", "--deploy")
        yield store


def refused(store: str, *args: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """How a command refuses, in JSON; never with a credential in it."""
    environment = {**os.environ, **(env or {})}
    done = subprocess.run([PROGRAM, "--store", store, "--json", *args], capture_output=True, env=environment, text=True)
    assert done.returncode == 1, done
    for secret in (ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], ENVIRONMENT["AWS_ACCESS_KEY_ID"]):
        assert secret not in done.stdout + done.stderr
    return json.loads(done.stderr.splitlines()[-1])


def without_credentials() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


def forget_copies(store: str) -> None:
    shutil.rmtree(pathlib.Path(store, "cache"), ignore_errors=True)


@contextlib.contextmanager
def changed(storage: Storage, key: str, body: bytes | None) -> Iterator[None]:
    """The object holds `body`, or is gone, for a while."""
    before = storage.get(key)
    if body is None:
        storage.client.delete_object(Bucket=BUCKET, Key=key)
    else:
        storage.put(key, body)
    try:
        yield
    finally:
        storage.put(key, before)


class Tracked:
    """A server of a store of its own with a run, for artifacts of any size."""

    def __init__(self, url: str) -> None:
        self.url = url
        made = requests.post(f"{url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, timeout=20)
        self.run_id = made.json()["run"]["info"]["run_id"]

    def path(self, name: str) -> str:
        return f"{self.url}/api/2.0/mlflow-artifacts/artifacts/0/{self.run_id}/artifacts/{name}"

    def put(self, name: str, content: bytes) -> int:
        return requests.put(self.path(name), data=content, timeout=120).status_code

    def get(self, name: str) -> requests.Response:
        return requests.get(self.path(name), timeout=120)

    def names(self) -> list[str]:
        listed = requests.get(f"{self.url}/api/2.0/mlflow/artifacts/list", params={"run_id": self.run_id}, timeout=20)
        return [one["path"] for one in listed.json().get("files", [])]


@contextlib.contextmanager
def tracking(store: str, prefix: str) -> Iterator[Tracked]:
    with serving(store, "--artifacts", f"s3://{BUCKET}/{prefix}") as url:
        yield Tracked(url)


def random_bytes(n_bytes: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(str(seed).encode()).digest(n_bytes)


def test_a_model_goes_its_whole_way_with_its_artifacts_elsewhere(storage: Storage, trained: str) -> None:
    place = pathlib.Path(trained, "artifacts")
    assert json.loads(place.read_text())["url"] == f"s3://{BUCKET}/trained"
    keys = [key for key in storage.keys("trained/") if not key.endswith("store.json")]
    assert len(keys) > 5
    for key in keys:
        _, shard, name = key.split("/")
        assert hashlib.sha256(storage.get(key)).hexdigest() == name and name[:2] == shard
    # Another process, which is told nothing, and has no copy.
    forget_copies(trained)
    text = "An utterly wonderful film."
    answer = call(trained, "predict", text)
    assert answer["label"] == "positive" and cached(trained)
    call(trained, "train", "tfidf", "--data", "reviews", "--c", "3")
    assert call(trained, "gate", "SentimentClassifier", "2")["passed"] in (True, False)
    forget_copies(trained)
    with serving(trained, "serve") as url:
        served = requests.post(f"{url}/predict", json={"text": text}, timeout=20).json()
    assert served["scores"] == answer["scores"]
    verified = call(trained, "store", "verify")
    assert verified["n_valid"] >= len(keys) and verified["orphaned"] == []


def test_gc_removes_what_nothing_names_and_nothing_else(storage: Storage, trained: str) -> None:
    kept = set(storage.keys("trained/"))
    content = b"an upload that was never named"
    orphan = hashlib.sha256(content).hexdigest()
    storage.put(f"trained/{orphan[:2]}/{orphan}", content)
    storage.put("trained/notes.txt", b"somebody's own")
    assert call(trained, "store", "verify")["orphaned"] == [orphan]
    assert call(trained, "store", "gc", "--dry-run")["n_artifacts"] == 1
    assert f"trained/{orphan[:2]}/{orphan}" in storage.keys("trained/")
    assert call(trained, "store", "gc")["n_bytes"] == len(content)
    assert set(storage.keys("trained/")) == kept | {"trained/notes.txt"}
    storage.client.delete_object(Bucket=BUCKET, Key="trained/notes.txt")


def test_a_backup_is_restored_into_a_folder_and_into_other_storage(storage: Storage, trained: str, tmp_path: pathlib.Path) -> None:
    forget_copies(trained)
    call(trained, "store", "backup", str(tmp_path / "all.tar"))
    expected = call(trained, "predict", "A dull film.")
    with new_store() as folder:
        call(folder, "store", "restore", str(tmp_path / "all.tar"))
        assert pathlib.Path(folder, "artifacts").is_dir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            assert call(folder, "predict", "A dull film.") == expected
            call(folder, "store", "verify")
    with new_store() as other:
        taken = refused(other, "--artifacts", f"s3://{BUCKET}/trained", "store", "restore", str(tmp_path / "all.tar"))
        assert "another store" in taken["error"]
        assert os.listdir(other) == []
        call(other, "--artifacts", f"s3://{BUCKET}/restored", "store", "restore", str(tmp_path / "all.tar"))
        assert cached(other) == []
        assert call(other, "predict", "A dull film.") == expected
        assert call(other, "store", "verify")["n_valid"] == call(trained, "store", "verify")["n_valid"]


def test_a_restore_without_its_storage_leaves_nothing_and_works_later(storage: Storage, trained: str, tmp_path: pathlib.Path) -> None:
    call(trained, "store", "backup", str(tmp_path / "all.tar"))
    with new_store() as store:
        args = ["--artifacts", f"s3://{BUCKET}/late", "store", "restore", str(tmp_path / "all.tar")]
        storage.wire.watch(up=30_000, then=storage.wire.cut)
        refused(store, *args)
        assert not pathlib.Path(store, "registry-v3.redb").exists()
        storage.wire.mend()
        call(store, *args)
        assert call(store, "predict", "A dull film.")["label"] == "negative"


def test_damage_is_found_and_never_loaded(storage: Storage, trained: str) -> None:
    version = call(trained, "models", "show", "SentimentClassifier/1")
    keys = [key for key in storage.keys("trained/") if not key.endswith("store.json")]
    key = max(keys, key=lambda key: len(storage.get(key)))
    content, sha256 = storage.get(key), key.rsplit("/", 1)[1]
    assert version
    with changed(storage, key, content[:-1] + bytes([content[-1] ^ 1])):
        # A copy that is whole is still used, and no reason to call the storage whole.
        assert sha256 in refused(trained, "store", "verify")["error"]
        forget_copies(trained)
        for _ in range(2):
            error = refused(trained, "predict", "A dull film.")
            assert error["kind"] == "corrupt" and f"s3://{BUCKET}/{key}" in error["error"] and "SHA-256" in error["error"]
            assert sha256 not in [file.name for file in cached(trained)]
        error = refused(trained, "store", "backup", str(pathlib.Path(trained).with_suffix(".tar")))
        assert error["kind"] == "corrupt"
    with changed(storage, key, content + b"!"):
        assert f"expected {len(content)}" in refused(trained, "predict", "A dull film.")["error"]
    with changed(storage, key, None):
        assert f"missing artifacts: {sha256}" in refused(trained, "store", "verify")["error"]
        assert "missing" in refused(trained, "predict", "A dull film.")["error"]
    call(trained, "predict", "A dull film.")
    # A damaged copy is fetched anew.
    copy = next(file for file in cached(trained) if file.name == sha256)
    copy.write_bytes(b"damaged")
    call(trained, "predict", "A dull film.")
    assert copy.read_bytes() == content


def test_copies_stay_below_their_bound(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 9 * MEGABYTE
    monkeypatch.setenv("TRIALBOOK_ARTIFACT_CACHE", "9MB")
    contents = {f"{seed}.bin": random_bytes(2 * MEGABYTE, seed) for seed in range(8)}

    def size() -> int:
        return sum(file.stat().st_size for file in cached(store))

    with new_store() as store, tracking(store, "bound") as tracked:
        for name, content in contents.items():
            assert tracked.put(name, content) == 200
            assert size() <= bound
        assert size() >= 4 * MEGABYTE
        with serving(store) as url:
            other = Tracked(url)
            other.run_id = tracked.run_id
            jobs = [(one, name) for name in contents for one in (tracked, other)] * 2
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                answers = pool.map(lambda job: (job[1], job[0].get(job[1]).content), jobs)
                assert all(contents[name] == content for name, content in answers)
            # Those that were in use stayed; the next one sees what may go.
            time.sleep(1.1)
            contents["last.bin"] = random_bytes(2 * MEGABYTE, 99)
            assert other.put("last.bin", contents["last.bin"]) == 200
            assert size() <= bound
        # The one used last is there without the storage.
        storage.wire.cut()
        assert tracked.get("last.bin").content == contents["last.bin"]


def test_storage_killed_in_the_middle_of_an_upload_leaves_nothing() -> None:
    content = random_bytes(40 * MEGABYTE)
    # One of its own: it forgets everything when it is killed.
    with running_storage() as storage, new_store() as store, tracking(store, "killed") as tracked:
        storage.wire.watch(up=20 * MEGABYTE, then=storage.kill)
        assert tracked.put("big.bin", content) >= 500
        assert tracked.names() == []
        assert cached(store) == []
        storage.start()
        assert storage.keys("killed/") == []
        storage.wire.mend()
        assert tracked.put("big.bin", content) == 200
        forget_copies(store)
        assert tracked.get("big.bin").content == content
        assert tracked.names() == ["big.bin"]
        assert storage.uploads() == []


def test_a_process_killed_in_the_middle_of_an_upload_leaves_no_row_without_its_artifact(storage: Storage) -> None:
    content = random_bytes(40 * MEGABYTE)
    with new_store() as store:
        args = ["--store", store, "--json", "--artifacts", f"s3://{BUCKET}/sigkill", "ui", "--no-browser", "--port", "0"]
        process = subprocess.Popen([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        tracked = Tracked(json.loads(process.stdout.readline())["url"])
        assert tracked.put("small.bin", b"small") == 200
        storage.wire.watch(up=20 * MEGABYTE, then=lambda: process.send_signal(signal.SIGKILL))
        with pytest.raises(requests.RequestException):
            tracked.put("big.bin", content)
        process.wait()
        storage.wire.mend()
        sha256 = hashlib.sha256(content).hexdigest()
        assert f"sigkill/{sha256[:2]}/{sha256}" not in storage.keys("sigkill/")
        verified = call(store, "store", "verify")
        assert verified["n_valid"] == 1 and verified["missing"] == []
        with serving(store) as url:
            again = Tracked(url)
            again.run_id = tracked.run_id
            assert again.names() == ["small.bin"]
            assert again.put("big.bin", content) == 200
        assert call(store, "store", "verify")["n_valid"] == 2


def test_a_training_killed_while_it_sends_its_artifacts_leaves_a_sound_store(storage: Storage) -> None:
    with new_store() as store:
        call(store, "data", "sample", "reviews")
        args = ["--store", store, "--artifacts", f"s3://{BUCKET}/training", "train", "tfidf", "--data", "reviews"]
        for n_bytes in (20_000, 80_000, 160_000):
            process = subprocess.Popen([PROGRAM, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            storage.wire.watch(up=n_bytes, then=lambda: process.send_signal(signal.SIGKILL))
            assert process.wait(timeout=120) == -signal.SIGKILL
            verified = call(store, "store", "verify")
            assert verified["missing"] == [] and verified["corrupt"] == []
            assert call(store, "models", "list") == []
        storage.wire.mend()
        call(store, "store", "gc")
        subprocess.run([PROGRAM, *args], check=True, capture_output=True)
        assert call(store, "predict", "A dull film.")["label"] == "negative"


def test_a_loaded_model_serves_while_the_storage_is_away(storage: Storage, trained: str) -> None:
    with serving(trained, "serve") as url:
        body = {"text": "A dull film."}
        answer = requests.post(f"{url}/predict", json=body, timeout=20).json()
        storage.wire.cut()
        assert requests.post(f"{url}/predict", json=body, timeout=20).json()["scores"] == answer["scores"]


def test_a_download_that_is_cut_leaves_nothing_and_goes_on_where_it_can(storage: Storage) -> None:
    content = random_bytes(30 * MEGABYTE)
    with new_store() as store, tracking(store, "cut") as tracked:
        assert tracked.put("big.bin", content) == 200
        forget_copies(store)
        storage.wire.watch(down=10 * MEGABYTE, then=storage.wire.cut)
        answer = tracked.get("big.bin")
        assert answer.status_code >= 500 and content[:1000] not in answer.content
        assert cached(store) == []
        storage.wire.mend()
        assert tracked.get("big.bin").content == content
        # A connection that breaks off once is no reason to fail.
        forget_copies(store)
        storage.wire.watch(down=10 * MEGABYTE, then=lambda: storage.wire.cut(for_good=False))
        assert tracked.get("big.bin").content == content


def test_data_and_predictions_lie_in_storage(storage: Storage, trained: str, tmp_path: pathlib.Path) -> None:
    rows = "text,label\n" + "".join(f"film {n} was {word},{label}\n" for n in range(40) for word, label in [("good", "pos"), ("bad", "neg")])
    storage.put("data/train.csv", rows.encode())
    storage.put("data/test.csv", rows.replace("film", "book").encode())
    storage.put("data/_SUCCESS", b"")
    train, test = f"s3://{BUCKET}/data/train.csv", f"s3://{BUCKET}/data/test.csv"
    added = call(trained, "data", "add", "pair", "--train", train, "--test", test)
    assert added["dataset"]["source"] == f'"{train}" and "{test}"'
    folder = call(trained, "data", "add", "folder", f"s3://{BUCKET}/data/")
    pattern = call(trained, "data", "add", "pattern", f"s3://{BUCKET}/data/t*.csv")
    splits = [one["dataset"]["splits"] for one in (added, folder, pattern)]
    assert splits[0] == splits[1] == splits[2]
    assert "does not exist" in refused(trained, "data", "add", "gone", f"s3://{BUCKET}/data/gone.csv")["error"]

    texts = "id,text\n" + "".join(f"{n},film {n} was {'great' if n % 2 else 'awful'}\n" for n in range(500))
    storage.put("in/texts.csv", texts.encode())
    (tmp_path / "texts.csv").write_text(texts)
    source, out = f"s3://{BUCKET}/in/texts.csv", f"s3://{BUCKET}/out/labels.csv"
    call(trained, "predict", "--in", str(tmp_path / "texts.csv"), "--out", str(tmp_path / "labels.csv"))
    assert call(trained, "predict", "--in", source, "--out", out)["n_rows"] == 500
    assert storage.get("out/labels.csv") == (tmp_path / "labels.csv").read_bytes()
    assert "exists" in refused(trained, "predict", "--in", source, "--out", out)["error"]
    call(trained, "predict", "--in", source, "--out", out, "--force")
    assert "the input itself" in refused(trained, "predict", "--in", source, "--out", source, "--force")["error"]
    parquet = f"s3://{BUCKET}/out/labels.parquet"
    call(trained, "predict", "--in", out, "--out", parquet, "--prefix", "again_")
    assert storage.get("out/labels.parquet")[:4] == b"PAR1"


@pytest.mark.parametrize("is_killed", [True, False])
def test_predictions_that_break_off_are_no_object(storage: Storage, trained: str, is_killed: bool) -> None:
    text = " ".join(["a film that was rather good in some of its parts and bad in others"] * 4)
    rows = "text\n" + f"{text}\n" * 45_000
    storage.put("in/many.csv", rows.encode())
    source, out = f"s3://{BUCKET}/in/many.csv", f"s3://{BUCKET}/out/many-{is_killed}.csv"
    process = subprocess.Popen([PROGRAM, "--store", trained, "predict", "--in", source, "--out", out], stderr=subprocess.PIPE)
    stop = (lambda: process.send_signal(signal.SIGKILL)) if is_killed else storage.wire.cut
    storage.wire.watch(up=3 * MEGABYTE, then=stop)
    process.communicate(timeout=120)
    assert process.returncode == (-signal.SIGKILL if is_killed else 1)
    assert f"out/many-{is_killed}.csv" not in storage.keys("out/")
    storage.wire.mend()
    call(trained, "predict", "--in", source, "--out", out)
    assert storage.get(f"out/many-{is_killed}.csv").count(b"\n") == 45_001


def test_a_place_is_chosen_once(storage: Storage, trained: str) -> None:
    other = refused(trained, "--artifacts", f"s3://{BUCKET}/other", "runs", "list")
    assert f"s3://{BUCKET}/trained, not in s3://{BUCKET}/other" in other["error"]
    call(trained, "--artifacts", f"s3://{BUCKET}/trained/", "runs", "list")
    with new_store() as store:
        call(store, "data", "sample", "reviews")
        taken = refused(store, "--artifacts", f"s3://{BUCKET}/trained", "runs", "list")
        assert taken["kind"] == "conflict" and "another store" in taken["error"]
        assert not pathlib.Path(store, "artifacts").exists()
        call(store, "train", "tfidf", "--data", "reviews")
        folder = refused(store, "--artifacts", f"s3://{BUCKET}/other", "runs", "list")
        assert "the folder `artifacts`" in folder["error"]
        call(store, "store", "verify")
    assert storage.keys("other/") == []


def test_eight_processes_agree_on_one_place(storage: Storage) -> None:
    with new_store() as store:
        call(store, "data", "sample", "reviews")
        args = [PROGRAM, "--store", store, "--json", "--artifacts", f"s3://{BUCKET}/agreed", "train", "tfidf", "--data", "reviews"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(lambda _: subprocess.run(args, capture_output=True, text=True), range(8)))
        assert [run.stderr for run in runs if run.returncode != 0] == []
        assert call(store, "store", "verify")["missing"] == []
        assert len(call(store, "runs", "list")) == 8


class Refusing(http.server.BaseHTTPRequestHandler):
    """A server that refuses whatever it is asked."""

    protocol_version = "HTTP/1.1"
    status, code, message = 403, "AccessDenied", "Access Denied"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        key = ENVIRONMENT["AWS_ACCESS_KEY_ID"]
        body = f"<Error><Code>{self.code}</Code><Message>{self.message}</Message><AWSAccessKeyId>{key}</AWSAccessKeyId></Error>".encode()
        self.send_response(self.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def log_message(self, *args: object) -> None:
        pass


def test_refusals_name_the_place_the_answer_and_the_way_out(storage: Storage, trained: str) -> None:
    forget_copies(trained)
    place = f"s3://{BUCKET}/trained"
    # Rows are read without the storage.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in without_credentials().items():
            patch.setenv(name, value)
        assert call(trained, "runs", "list")
    error = refused(trained, "predict", "A dull film.", env=without_credentials())
    assert f"the store's artifacts lie in {place}" in error["error"] and "no credentials" in error["error"]
    assert "AWS_ACCESS_KEY_ID" in error["hint"]
    error = refused(trained, "predict", "A dull film.", env={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert error["kind"] == "unavailable" and place in error["error"] and "AWS_ENDPOINT_URL" in error["hint"]
    error = refused(trained, "predict", "A dull film.", env={"AWS_ENDPOINT_URL": "http://storage.lab"})
    assert "AWS_ALLOW_HTTP" in error["hint"]
    with new_store() as store:
        call(store, "data", "sample", "reviews")
        error = refused(store, "--artifacts", "s3://nobodys-bucket/x", "train", "tfidf", "--data", "reviews")
        assert "NoSuchBucket" in error["error"] and "s3://nobodys-bucket/x" in error["error"] and "bucket" in error["hint"]
        assert not pathlib.Path(store, "artifacts").exists()

    answers = [
        (403, "AccessDenied", "access denied", "s3:GetObject"),
        (403, "InvalidAccessKeyId", "not accepted", "AWS_SECRET_ACCESS_KEY"),
        (403, "SignatureDoesNotMatch", "not accepted", "AWS_SECRET_ACCESS_KEY"),
        (301, "PermanentRedirect", "another region", "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", "another region", "AWS_REGION"),
    ]
    for status, code, found, advice in answers:
        handler = type("Answering", (Refusing,), {"status": status, "code": code, "message": "As it says."})
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
            error = refused(trained, "predict", "A dull film.", env={"AWS_ENDPOINT_URL": url})
            server.shutdown()
        assert place in error["error"] and found in error["error"], (code, error)
        assert advice in error["hint"], (code, error)


def test_an_url_of_another_form_is_refused(trained: str) -> None:
    for url in ("models/x", "https://models/x", "s3://", "s3://models//x", "s3://key:secret@models/x"):
        done = subprocess.run([PROGRAM, "--store", trained, "--artifacts", url, "runs", "list"], capture_output=True, text=True)
        assert done.returncode == 2 and "s3://" in done.stderr, url


def test_large_artifacts_are_not_held_in_memory(storage: Storage) -> None:
    content = random_bytes(150 * MEGABYTE)
    with new_store() as store:
        args = ["--store", store, "--json", "--artifacts", f"s3://{BUCKET}/large", "ui", "--no-browser", "--port", "0"]
        process = subprocess.Popen([PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            tracked = Tracked(json.loads(process.stdout.readline())["url"])
            assert tracked.put("small.bin", b"small") == 200
            before = peak(process.pid)
            assert tracked.put("large.bin", content) == 200
            forget_copies(store)
            assert tracked.get("large.bin").content == content
            assert peak(process.pid) - before < 100 * MEGABYTE, (before, peak(process.pid))
        finally:
            process.terminate()
            process.wait(timeout=20)


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
