#!/usr/bin/env bash
# Shows the files of this folder to the tools that will read them. Makes a Python of its own for those that come
# from there; promtool is in Debian's prometheus.
set -euo pipefail
cd "$(dirname "$0")/.."

venv="${DEPLOY_VENV:-target/deploy-venv}"
if ! [ -x "$venv/bin/check-jsonschema" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet check-jsonschema==0.39.0 kubernetes-validate==1.37.0
fi

promtool check config deploy/prometheus/prometheus.yml
promtool test rules deploy/prometheus/alerts_test.yml
"$venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
"$venv/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
for file in deploy/k8s/base/*.yaml; do
    case "$file" in */kustomization.yaml) continue ;; esac
    "$venv/bin/kubernetes-validate" --strict "$file"
done
# Every series that the dashboard and the alerts ask for is one that the server has.
"$venv/bin/python" deploy/check_series.py
