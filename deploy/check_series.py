"""Compares the series that dashboard and alerts ask for with those that the server's source makes."""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
# What Prometheus adds to a scrape, and what a process collector on Linux makes.
KNOWN = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
NAME = re.compile(r"\b((?:model|http|server|process)_[a-z_]+|up)\b(?=[{\[)\s]|$)")

model = HERE.parent / "src/program/serve/model"
source = (model / "metrics.rs").read_text() + (model / "release_metrics.rs").read_text()
made = KNOWN | set(re.findall(r'"((?:model|http|server)_[a-z_]+)"', source))
dashboard = json.loads((HERE / "grafana/dashboards/trialbook.json").read_text())
asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
asked += [note["expr"] for note in dashboard["annotations"]["list"]]
asked += re.findall(r"expr: (.+(?:\n {10,}.+)*)", (HERE / "prometheus/alerts.yml").read_text())
named = {name for expression in asked for name in NAME.findall(expression)}
assert len(named) > 8, f"only {sorted(named)} were found"
unknown = {name for name in named if name not in made and re.sub(r"_(bucket|count|sum)$", "", name) not in made}
if unknown:
    sys.exit(f"error: no such series: {', '.join(sorted(unknown))}")
print(f"{len(named)} series are asked for, and the server has all of them")
