"""Peer of benches/registry.rs: the same work through MLflow on SQLite, in MLflow's default durability.

usage: mlflow_tracking.py [N_RUNS]     prints one line of JSON; {"missing": ...} and exit code 2 without mlflow
Runs with 50 values of one metric, 10 params and 2 tags each; then listing N_RUNS runs by metric.
"""
import json
import logging
import sys
import tempfile
import time

try:
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
except ImportError as error:
    print(json.dumps({"peer": "mlflow", "missing": f"{error}: pip install mlflow"}))
    sys.exit(2)

logging.disable(logging.WARNING)
n_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100

with tempfile.TemporaryDirectory() as folder:
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri, registry_uri=uri)
    experiment = client.create_experiment("bench")  # makes the database: not part of what is measured

    begin = time.perf_counter()
    for idx in range(n_runs):
        run = client.create_run(experiment, tags={"t0": "0", "t1": "1"}).info.run_id
        now_ms = int(time.time() * 1000)
        client.log_batch(
            run,
            [Metric("f1", idx / n_runs, now_ms, step) for step in range(50)],
            [Param(f"p{param}", str(param)) for param in range(10)],
            [],
        )
        client.set_terminated(run)
    live_s = (time.perf_counter() - begin) / n_runs

    begin = time.perf_counter()
    n_listed, token = 0, None
    while True:
        page = client.search_runs([experiment], order_by=["metrics.f1 DESC"], max_results=1000, page_token=token)
        n_listed += len(page)
        token = page.token
        if not token:
            break
    list_s = time.perf_counter() - begin
    assert n_listed == n_runs

print(json.dumps({
    "peer": f"mlflow {mlflow.__version__} on SQLite",
    "n_runs": n_runs,
    "live_ms_per_run": round(live_s * 1e3, 3),
    "live_runs_per_s": round(1 / live_s, 1),
    "list_all_ms": round(list_s * 1e3, 1),
}))
