"""The same MLflow client against trialbook's tracking API, MLflow's own server on SQLite, and a server that only
repeats our answers, headers and all: what that one takes is the client's own time."""

import contextlib
import json
import multiprocessing
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

N_CLIENTS = 16
ARTIFACT_BYTES = 10 << 20

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class Failed(Exception):
    """A server did not start, or an answer was no good."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url, process, seconds=400):
    for _ in range(seconds * 10):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{url}/version", timeout=2).read()
            return url
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise Failed(f"no server answers at {url}")


@contextlib.contextmanager
def running(command, url):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **QUIET})
    try:
        yield wait_for(url, process), process.pid
    finally:
        # MLflow's server has workers of its own, in its process group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait()


def ours(program, store):
    port = free_port()
    return running([program, "--store", store, "ui", "--no-browser", "--port", str(port)], f"http://127.0.0.1:{port}")


def peer(folder):
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    return running(command, f"http://127.0.0.1:{port}")


def resident_mb(pid):
    """Of a server and the processes it started."""
    pids, found = [str(pid)], []
    while pids:
        one = pids.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += (task / "children").read_text().split()
    total = 0
    for one in found:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total / 1024


# -- a server that only repeats ---------------------------------------------------------------------


NOTHING = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def repeat(listener, answers):
    """Answers each request with what `answers` has for its method and path, without looking at it."""

    def serve(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer, scratch = b"", bytearray(1 << 20)
        while True:
            while b"\r\n\r\n" not in buffer:
                piece = connection.recv(1 << 16)
                if not piece:
                    return
                buffer += piece
            head, buffer = buffer.split(b"\r\n\r\n", 1)
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            missing, buffer = length - len(buffer), buffer[length:]
            while missing > 0:
                missing -= connection.recv_into(scratch, min(missing, len(scratch)))
            connection.sendall(answers.get((method, target.split("?")[0]), NOTHING))

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


@contextlib.contextmanager
def repeating(answers):
    listener = socket.create_server(("127.0.0.1", 0))
    process = multiprocessing.get_context("fork").Process(target=repeat, args=(listener, answers), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    process.terminate()


@contextlib.contextmanager
def recorded():
    """Every answer that the client gets, by method and path."""
    import requests

    answers, send = {}, requests.Session.send

    def recording(session, request, **options):
        response = send(session, request, **options)
        # The client takes an answer's headers apart one by one.
        head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        answer = f"HTTP/1.1 {response.status_code} {response.reason}\r\n{head}\r\n".encode() + response.content
        answers[request.method, request.path_url.split("?")[0]] = answer
        return response

    requests.Session.send = recording
    try:
        yield answers
    finally:
        requests.Session.send = send


# -- the work ---------------------------------------------------------------------------------------


class Work:
    """What is measured, by name: each call is one measurement."""

    def __init__(self, url, experiment_id, folder):
        import mlflow
        import numpy as np
        from mlflow import MlflowClient
        from mlflow.entities import Metric
        from sklearn.linear_model import LogisticRegression

        self.mlflow, self.url = mlflow, url
        self.use()
        mlflow.set_experiment(experiment_id=experiment_id)
        self.client, self.experiment_id = MlflowClient(url, url), experiment_id
        self.run_id = self.client.create_run(experiment_id).info.run_id
        self.batch = [Metric(f"m{n % 10}", n / 7, 1_700_000_000_000 + n, n) for n in range(1000)]
        self.file = Path(folder, "artifact.bin")
        self.model = LogisticRegression().fit(np.arange(20).reshape(-1, 1), [0] * 10 + [1] * 10)
        self.n = 0

    def use(self):
        """What the fluent calls that follow talk to."""
        self.mlflow.set_tracking_uri(self.url)
        self.mlflow.set_registry_uri(self.url)

    def create_run(self):
        self.client.create_run(self.experiment_id, run_name="measured")

    def log_metric(self):
        self.n += 1
        self.client.log_metric(self.run_id, "loss", 1 / self.n, timestamp=1_700_000_000_000 + self.n, step=self.n)

    def log_batch(self):
        self.client.log_batch(self.run_id, self.batch)

    def search_runs(self):
        found = self.client.search_runs(["0"], "metrics.f1 > 0.2", order_by=["metrics.f1 DESC"], max_results=100)
        if len(found) != 100:
            raise Failed(f"{len(found)} runs were found, expected 100")

    def log_artifact(self):
        # Another content each time, so that nothing is there already.
        self.n += 1
        self.file.write_bytes(self.n.to_bytes(8, "little") + os.urandom(1024) + bytes(ARTIFACT_BYTES - 1032))
        start = time.perf_counter()
        self.client.log_artifact(self.run_id, str(self.file))
        return time.perf_counter() - start

    def log_model(self):
        # A run of its own: the client copies every metric of the run to the model, by a request each.
        with self.mlflow.start_run(experiment_id=self.experiment_id):
            start = time.perf_counter()
            self.mlflow.sklearn.log_model(self.model, name="model", pip_requirements=["scikit-learn"])
            return time.perf_counter() - start


NAMES = {
    "create_run": "create_run",
    "log_metric": "log_metric",
    "log_batch": "log_batch of 1,000 metrics",
    "search_runs": "search_runs, 100 among {stored:,}",
    "log_artifact": "log_artifact of 10 MB",
    "log_model": "log_model (scikit-learn)",
}
# Rounds of each, for one that is asked for. The client's own time varies by more than a fast server takes.
REPEATS = {"create_run": 5, "log_metric": 5, "log_artifact": 0.4, "log_model": 2}


def timed(step):
    start = time.perf_counter()
    inner = step()
    return time.perf_counter() - start if inner is None else inner


def measured(our_url, peer_url, folder, n_times):
    """Seconds of each work against our server, MLflow's, and one that only repeats ours, in turn, so that a machine
    whose speed drifts slows all of them."""
    with recorded() as setup:
        ours = Work(our_url, "0", folder)
    servers = [ours, Work(peer_url, "0", folder)]
    times = {}
    for name in NAMES:
        ours.use()
        timed(getattr(ours, name))
        with recorded() as told:
            timed(getattr(ours, name))
        with repeating({**setup, **told}) as url:
            works = [*servers, Work(url, "0", folder)]
            rounds = []
            for _ in range(1 + max(3, int(n_times * REPEATS.get(name, 1)))):
                taken = []
                for work in works:
                    work.use()
                    taken.append(timed(getattr(work, name)))
                rounds.append(taken)
        # The first round warms up.
        times[name] = [list(column) for column in zip(*rounds[1:])]
    return times


def fill_ours(url, n_runs):
    import requests

    def one_thread(first):
        session = requests.Session()
        for n in range(first, n_runs, 8):
            made = session.post(f"{url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "run_name": f"stored-{n}", "start_time": n})
            batch = {"run_id": made.json()["run"]["info"]["run_id"]}
            batch["metrics"] = [{"key": "f1", "value": n / n_runs, "timestamp": n, "step": 0}]
            batch["metrics"] += [{"key": f"m{k}", "value": k, "timestamp": n, "step": s} for k in range(10) for s in range(10)]
            batch["params"] = [{"key": f"p{k}", "value": str(k)} for k in range(10)]
            session.post(f"{url}/api/2.0/mlflow/runs/log-batch", json=batch).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one_thread, range(8)))


def fill_peer(database, n_runs):
    """Straight into its tables, as its own server would take minutes."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for n in range(n_runs):
            run_id = f"{n:032x}"
            row = {
                "run_uuid": run_id, "name": f"stored-{n}", "source_type": "UNKNOWN", "source_name": "", "entry_point_name": "",
                "user_id": "bench", "status": "RUNNING", "start_time": n, "source_version": "", "lifecycle_stage": "active",
                "artifact_uri": f"mlflow-artifacts:/0/{run_id}/artifacts", "experiment_id": 0,
            }
            connection.execute(f"insert into runs ({', '.join(row)}) values ({', '.join('?' * len(row))})", list(row.values()))
            points = [("f1", n / n_runs, 0)] + [(f"m{k}", k, s) for k in range(10) for s in range(10)]
            connection.executemany(
                "insert into metrics (key, value, timestamp, run_uuid, step, is_nan) values (?, ?, ?, ?, ?, 0)",
                [(key, value, n, run_id, step) for key, value, step in points],
            )
            latest = {key: (value, step) for key, value, step in points}
            connection.executemany(
                "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) values (?, ?, ?, ?, 0, ?)",
                [(key, value, n, step, run_id) for key, (value, step) in latest.items()],
            )
            connection.executemany("insert into params (key, value, run_uuid) values (?, ?, ?)", [(f"p{k}", str(k), run_id) for k in range(10)])
            connection.execute("insert into tags (key, value, run_uuid) values ('mlflow.runName', ?, ?)", (f"stored-{n}", run_id))
        connection.commit()


# -- many clients at once ---------------------------------------------------------------------------


def one_client(url, n_requests, answers):
    import requests

    session, api, took = requests.Session(), f"{url}/api/2.0/mlflow", []
    run_id = session.post(f"{api}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    n_told = 0
    for n in range(n_requests):
        start = time.perf_counter()
        answer = session.post(f"{api}/runs/log-metric", json={"run_id": run_id, "key": "m", "value": n, "timestamp": n, "step": n})
        took.append(time.perf_counter() - start)
        n_told += answer.status_code == 200
    kept = session.get(f"{api}/metrics/get-history", params={"run_id": run_id, "metric_key": "m", "max_results": 25000}).json()
    answers.put((took, n_told, len(kept.get("metrics", []))))


def together(url, n_requests):
    """Requests a second, 99th percentile in ms, and acknowledged writes that are not there."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    clients = [context.Process(target=one_client, args=(url, n_requests, answers)) for _ in range(N_CLIENTS)]
    start = time.perf_counter()
    for client in clients:
        client.start()
    results = [answers.get(timeout=600) for _ in clients]
    wall = time.perf_counter() - start
    for client in clients:
        client.join()
    took = sorted(second for one, _, _ in results for second in one)
    lost = sum(n_told - n_kept for _, n_told, n_kept in results)
    return len(took) / wall, took[int(len(took) * 0.99)] * 1e3, lost


def one_sync_ms(folder, n_times=200):
    """Milliseconds that the disk takes for 4 kB in a file that is there already: what no server that syncs before it
    answers can be faster than."""
    path, took = Path(folder, "sync.bin"), []
    path.write_bytes(bytes(1 << 20))
    descriptor = os.open(path, os.O_WRONLY)
    os.fsync(descriptor)
    for n in range(n_times):
        start = time.perf_counter()
        os.pwrite(descriptor, os.urandom(4096), n % 256 * 4096)
        os.fdatasync(descriptor)
        took.append(time.perf_counter() - start)
    os.close(descriptor)
    return statistics.median(took) * 1e3


# -- all of it --------------------------------------------------------------------------------------


def compare(program, n_times, n_stored, n_requests):
    """Rows and notes for a table."""
    os.environ.update(QUIET)
    import logging

    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store"
        with ours(program, store) as (our_url, our_pid), peer(folder) as (peer_url, peer_pid):
            fill_ours(our_url, n_stored)
            fill_peer(f"{folder}/mlflow.db", n_stored)
            times = measured(our_url, peer_url, folder, n_times)
            crowd = {"trialbook": together(our_url, n_requests), "MLflow": together(peer_url, n_requests // 10)}
            memory = resident_mb(our_pid), resident_mb(peer_pid)
            sync_ms = one_sync_ms(folder)
    rows = []
    for name, title in NAMES.items():
        our, other, client = (statistics.median(column) * 1e3 for column in times[name])
        # Of one round at a time: the machine's speed drifts less in it than from the first round to the last. A
        # difference below what the clock tells says only that it is small.
        our_server, peer_server = (
            max(statistics.median(seen - alone for seen, alone in zip(column, times[name][2])) * 1e3, 0.05) for column in times[name][:2]
        )
        ratio = f"{peer_server / our_server:.1f}x"
        rows.append([title.format(stored=n_stored), f"{our_server:.2f}", f"{peer_server:.2f}", ratio, f"{our:.1f}", f"{other:.1f}", f"{client:.1f}"])
    return rows, crowd, memory, sync_ms, mlflow.__version__
