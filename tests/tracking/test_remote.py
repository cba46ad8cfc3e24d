"""A registry that a server keeps, whole lives in it: MLflow's own server on SQLite and on PostgreSQL, and ours."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from mlflow import MlflowClient

from conftest import PROGRAM, call, new_store

MODEL = "SentimentClassifier"
# Two looks of a server, and MLflow's time for an answer on a machine that is busy.
FOLLOWED_S = 30
STARTED_S = 120


@pytest.fixture(autouse=True)
def tracked() -> None:
    """The tests of this file bring servers of their own."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(expected: Callable[[], bool], limit_s: float = FOLLOWED_S) -> None:
    started = time.monotonic()
    while True:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            if expected():
                return
        assert time.monotonic() - started < limit_s, f"not after {limit_s} s"
        time.sleep(0.2)


class Keeper:
    """A server that keeps a registry, and can be stopped and started again at its address."""

    def __init__(self, command: Callable[[int], list[object]], health: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [str(word) for word in command(self.port)]
        self.health = health
        self.process: subprocess.Popen[bytes] | None = None
        self.log = tempfile.TemporaryFile()

    def start(self) -> None:
        # A group of its own: MLflow's server has workers.
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, process_group=0)

        def is_up() -> bool:
            if self.process.poll() is not None:
                self.log.seek(0)
                pytest.fail(f"{self.command} ended: {self.log.read()[-3000:].decode()}")
            return requests.get(f"{self.url}{self.health}", timeout=5).ok

        until(is_up, STARTED_S)

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 15)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
        self.process = None


def mlflow_server(backend: str, artifacts: str) -> Keeper:
    mlflow = pathlib.Path(sys.executable).parent / "mlflow"
    return Keeper(
        lambda port: [
            mlflow, "server", "--backend-store-uri", backend, "--artifacts-destination", artifacts,
            "--host", "127.0.0.1", "--port", port, "--workers", "1",
        ],
        "/health",
    )  # fmt: skip


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The address of a database of Debian's PostgreSQL, on loopback."""
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert programs, (
        "PostgreSQL is not here, and a registry on it is part of the promise: install the package `postgresql` "
        "(tests/tracking/run.sh does it where it may)"
    )
    folder = tempfile.mkdtemp(prefix="remote-postgres-")
    # PostgreSQL runs for no superuser.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    data, port = f"{folder}/data", free_port()

    def run(program: str, *args: str) -> None:
        done = subprocess.run([*user, str(programs[-1] / program), *args], capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, (program, done.stdout, done.stderr)

    try:
        run("initdb", "-D", data, "-U", "mlflow", "--auth", "trust", "--encoding", "UTF8")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        run("pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "mlflow")
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/mlflow"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "ours"])
def keeper(request: pytest.FixtureRequest) -> Iterator[Keeper]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(new_store())
        if request.param == "ours":
            keeper = Keeper(
                lambda port: [PROGRAM, "--store", f"{folder}/central", "ui", "--no-browser", "--port", port], "/health"
            )
        else:
            database = f"sqlite:///{folder}/mlflow.db"
            if request.param == "postgresql":
                database = stack.enter_context(postgres())
            keeper = mlflow_server(database, f"{folder}/artifacts")
        keeper.start()
        stack.callback(keeper.stop)
        yield keeper


@contextlib.contextmanager
def serving(store: str, url: str) -> Iterator[str]:
    """A server of predictions that follows the registry at `url`."""
    command = [PROGRAM, "--store", store, "--registry", url, "--json", "serve", "--model", MODEL, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(server: str) -> int:
    asked = requests.post(f"{server}/predict", json={"text": "An utterly wonderful film."}, timeout=10)
    return asked.json()["model"]["version"]


def problem(server: str) -> str:
    return requests.get(f"{server}/health", timeout=10).json()["problem"] or ""


def test_a_whole_life(keeper: Keeper) -> None:
    with new_store() as store:

        def ask(*args: str) -> dict:
            return call(store, "--registry", keeper.url, *args)

        call(store, "data", "sample")
        worse = ask("train", "tfidf", "--data", "sample", "--max-features", "2000")
        assert (worse["model"], worse["version"]) == (MODEL, 1)
        assert ask("gate", MODEL, "1")["passed"]
        assert ask("promote", MODEL, "1")["changed"]
        with serving(store, keeper.url) as server:
            assert answers(server) == 1
            # A better one, judged against it, takes its place.
            ask("train", "tfidf", "--data", "sample")
            verdict = ask("gate", MODEL, "2")
            assert verdict["passed"] and verdict["baseline"]["version"] == 1
            assert ask("promote", MODEL, "2")["archived"] == 1
            until(lambda: answers(server) == 2)
            # What Python's client sees.
            client = MlflowClient(keeper.url, keeper.url)
            stages = {one.version: one.current_stage for one in client.search_model_versions(f"name='{MODEL}'")}
            assert {int(version): stage for version, stage in stages.items()} == {1: "Archived", 2: "Production"}
            told = client.get_model_version(MODEL, "2")
            assert json.loads(told.tags["trialbook.verdict"])["passed"]
            assert json.loads(told.tags["trialbook.lineage"])["dataset"] == "sample"
            run = client.get_run(told.run_id)
            assert run.data.metrics["f1"] == verdict["candidate"]["metrics"]["f1"]
            assert {one.path for one in client.list_artifacts(told.run_id, "model")} >= {"model/MLmodel", "model/weights.bin"}
            # A worse one is blocked, an overruled gate is kept with its reason, and a rollback takes it back.
            ask("train", "tfidf", "--data", "sample", "--max-features", "20")
            refused = subprocess.run(
                [PROGRAM, "--store", store, "--registry", keeper.url, "promote", MODEL, "3", "--gate"], capture_output=True
            )
            assert refused.returncode == 3, refused.stderr
            ask("promote", MODEL, "3", "--force", "--reason", "for the test")
            until(lambda: answers(server) == 3)
            assert ask("rollback", MODEL, "--reason", "it was one")["to"] == 2
            until(lambda: answers(server) == 2)
            notes = [change["note"] for change in ask("models", "show", f"{MODEL}/3")["history"]]
            assert len(notes) == 2 and "for the test" in notes[0] and "it was one" in notes[1]
            runs = ask("runs", "list", "--order", "metrics.f1 desc")
            assert len(runs) == 3 and runs[0]["metrics"]["f1"] >= runs[1]["metrics"]["f1"]
            assert ask("runs", "show", runs[0]["run_id"])["params"]["model"] == "tfidf"

            # The registry goes away, and comes back.
            keeper.stop()
            until(lambda: "does not answer" in problem(server))
            assert answers(server) == 2
            metrics = requests.get(f"{server}/metrics", timeout=10).text
            assert f'model_registry_up{{model="{MODEL}"}} 0' in metrics
            with serving(store, keeper.url) as copy:
                assert answers(copy) == 2
                silent = subprocess.run(
                    [PROGRAM, "--store", store, "--registry", keeper.url, "models", "list"], capture_output=True, text=True
                )
                assert silent.returncode == 1 and keeper.url in silent.stderr
                keeper.start()
                until(lambda: problem(server) == "" and problem(copy) == "")
                ask("promote", MODEL, "1", "--force", "--reason", "back to the first")
                until(lambda: answers(server) == 1 and answers(copy) == 1)


def test_a_promotion_from_python_is_followed(keeper: Keeper) -> None:
    with new_store() as store:
        call(store, "data", "sample")
        call(store, "--registry", keeper.url, "train", "tfidf", "--data", "sample", "--model", "Promoted", "--deploy")
        call(store, "--registry", keeper.url, "train", "tfidf", "--data", "sample", "--model", "Promoted")
        call(store, "--registry", keeper.url, "gate", "Promoted", "2")
        client = MlflowClient(keeper.url, keeper.url)
        client.transition_model_version_stage("Promoted", "2", "Production", archive_existing_versions=True)
        assert call(store, "--registry", keeper.url, "models", "show", "Promoted/Production")["version"] == 2
        client.set_registered_model_alias("Promoted", "champion", "1")
        assert call(store, "--registry", keeper.url, "models", "show", "Promoted@champion")["version"] == 1


def certificate(folder: pathlib.Path) -> None:
    """An authority of our own, and a certificate of it for this machine, as `ca.pem`, `tls.crt` and `tls.key`."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)

    def made(name: str, signed_by: tuple | None) -> tuple:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer, issuer_key = signed_by or (subject, key)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=signed_by is None, path_length=None), critical=True)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), key, subject

    authority, authority_key, issuer = made("our authority", None)
    own, own_key, _ = made("localhost", (issuer, authority_key))
    (folder / "ca.pem").write_bytes(authority)
    (folder / "tls.crt").write_bytes(own)
    private = own_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.key").write_bytes(private)


def test_an_encrypted_server_is_trusted_by_its_authority_alone(tmp_path: pathlib.Path) -> None:
    certificate(tmp_path)
    with new_store() as store:
        call(store, "data", "sample")
        pathlib.Path(store, "central").mkdir()
        central = [PROGRAM, "--store", f"{store}/central", "--json"]
        key = json.loads(subprocess.run([*central, "keys", "add", "team", "--scope", "admin"], check=True, capture_output=True).stdout)["key"]
        command = [*central, "ui", "--no-browser", "--port", "0", "--tls-cert", tmp_path / "tls.crt", "--tls-key", tmp_path / "tls.key"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            url = json.loads(process.stdout.readline())["url"]
            assert url.startswith("https://")

            def ask(*args: str, **variables: str) -> subprocess.CompletedProcess:
                named = ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
                env = {name: value for name, value in os.environ.items() if name not in named}
                env |= {"MLFLOW_TRACKING_TOKEN": key, **variables}
                return subprocess.run([PROGRAM, "--store", store, "--json", *args], capture_output=True, text=True, env=env)

            train = ("--registry", url, "train", "tfidf", "--data", "sample", "--deploy")
            refused = ask(*train)
            assert refused.returncode == 1 and "is not trusted" in refused.stderr and "SSL_CERT_FILE" in refused.stderr, refused.stderr
            for variable in ("MLFLOW_TRACKING_SERVER_CERT_PATH", "SSL_CERT_FILE"):
                done = ask(*train, **{variable: str(tmp_path / "ca.pem")})
                assert done.returncode == 0, done.stderr
            listed = ask("--registry", url, "models", "list", SSL_CERT_FILE=str(tmp_path / "ca.pem"))
            assert json.loads(listed.stdout)[0]["name"] == MODEL, listed.stdout
            moved = ask("export", "mlflow", url, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
            assert moved.returncode == 0, moved.stderr
            wrong = ask("--registry", url, "models", "list", SSL_CERT_FILE=str(tmp_path / "tls.key"))
            assert wrong.returncode == 1 and "SSL_CERT_FILE" in wrong.stderr, wrong.stderr
        finally:
            process.terminate()
            process.wait(timeout=20)
