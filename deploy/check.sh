#!/usr/bin/env bash
# Shows every file of this folder, the Dockerfile and the workflows to the tools that will read them. Makes a Python of
# its own for those that come from there; promtool comes from Debian. actionlint and kubectl, which neither
# has, are asked where they are installed.
# PROGRAM is the trialbook whose pipeline Kubeflow's SDK reads.
set -euo pipefail
cd "$(dirname "$0")/.."

says() { printf -- '-- %s\n' "$*"; }

# Takes promtool out of Debian's package: installing that would also start a server.
fetch_promtool() {
    [ "$(id -u)" != 0 ] || apt-get update -qq || return
    (cd "$work" && apt-get download -qq prometheus) || return
    dpkg-deb --extract "$work"/prometheus_*.deb target/deploy-promtool
}

venv="${DEPLOY_VENV:-target/deploy-venv}"
program="${PROGRAM:-target/debug/trialbook}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Anew when the pinned versions change, so that a second run installs nothing.
if ! cat deploy/requirements.txt deploy/requirements-katib.txt deploy/requirements-kserve.txt | cmp --quiet - "$venv/installed.txt"; then
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement deploy/requirements.txt
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$venv/katib" \
        --requirement deploy/requirements-katib.txt
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$venv/kserve" \
        --requirement deploy/requirements-kserve.txt
    cat deploy/requirements.txt deploy/requirements-katib.txt deploy/requirements-kserve.txt > "$venv/installed.txt"
fi
promtool="$(command -v promtool || echo "$PWD/target/deploy-promtool/usr/bin/promtool")"
if ! [ -x "$promtool" ]; then
    if ! fetch_promtool; then
        echo "error: promtool is missing: install it, on Debian with \`apt-get install prometheus\`" >&2
        exit 1
    fi
fi
if ! [ -x "$program" ]; then
    echo "error: $program is not there: \`cargo build\`, or name another with PROGRAM" >&2
    exit 1
fi

says "images: hadolint"
"$venv/bin/hadolint" Dockerfile

if [ "$(id -u)" = 0 ]; then
    says "images: the server as nobody, below a root that it cannot write to"
    bash deploy/check_image.sh "$program"
else
    says "images: the server is not run as nobody, that takes root"
fi

says "scripts: shellcheck"
"$venv/bin/shellcheck" .ci/run deploy/*.sh deploy/k8s/*.sh tests/jupyter/*.sh

says "compose and workflows: their schemas"
"$venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
"$venv/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml

says "workflows: zizmor"
"$venv/bin/zizmor" --offline --quiet --config .github/zizmor.yml .github/workflows

if command -v actionlint > /dev/null; then
    says "workflows: actionlint"
    actionlint
else
    says "workflows: actionlint is left out, it is not installed"
fi

says "Prometheus: promtool"
"$promtool" check config deploy/prometheus/prometheus.yml
"$promtool" test rules deploy/prometheus/alerts_test.yml
# Every series that the dashboard and the alerts ask for is one that the server has.
"$venv/bin/python" deploy/check_series.py

says "Kubernetes: the schemas of its release"
for file in deploy/k8s/base/*.yaml deploy/k8s/watch/*.yaml; do
    case "$file" in */kustomization.yaml) continue ;; esac
    "$venv/bin/kubernetes-validate" --strict --quiet "$file"
done
if command -v kubectl > /dev/null; then
    for overlay in staging production; do
        rendered="$work/$overlay.yaml"
        bash deploy/k8s/roll-out.sh --render "$overlay" ghcr.io/acme/trialbook:main-1 > "$rendered"
        grep --quiet 'image: ghcr.io/acme/trialbook:main-1$' "$rendered"
        "$venv/bin/kubernetes-validate" --strict --quiet "$rendered"
    done
else
    says "Kubernetes: overlays are not rendered, there is no kubectl"
fi

says "releases on KServe: the models of its SDK, and Kubernetes' schemas"
"$venv/bin/python" deploy/check_kserve.py deploy/rollouts/kserve.yaml "$venv/kserve" "$work/kserve-pod.yaml"
"$venv/bin/kubernetes-validate" --strict --quiet "$work/kserve-pod.yaml"

says "releases on Argo Rollouts: Kubernetes' schemas of its pods, and the schemas of its resources"
# A rollout is a deployment with another strategy.
"$venv/bin/python" -c 'import sys, yaml
rollout = yaml.safe_load(open("deploy/rollouts/rollout.yaml", encoding="utf-8"))
rollout["spec"].pop("strategy")
yaml.safe_dump(rollout | {"apiVersion": "apps/v1", "kind": "Deployment"}, sys.stdout)' > "$work/rollout.yaml"
"$venv/bin/kubernetes-validate" --strict --quiet "$work/rollout.yaml"
if command -v npm > /dev/null; then
    npm="target/deploy-npm"
    [ -d "$npm/node_modules/@kubernetes-models/argo-rollouts" ] || npm install --silent --no-audit --no-fund --ignore-scripts \
        --prefix "$npm" @kubernetes-models/argo-rollouts@2.0.0 yaml@2.8.1
    node deploy/check_rollouts.mjs "$PWD/$npm"
else
    says "Argo Rollouts: its resources are not checked, there is no npm"
fi

says "Kubeflow: its SDK"
"$program" pipeline compile --image ghcr.io/acme/trialbook:main-1 --out "$work/pipeline.yaml" --json > "$work/pipeline.json"
"$venv/bin/python" -W ignore deploy/check_pipeline.py "$work/pipeline.yaml" "$work/pipeline.json"
"$program" pipeline compile --image ghcr.io/acme/trialbook:main-1 --watch Reviews --out "$work/watch.yaml" --json > "$work/watch.json"
"$venv/bin/python" -W ignore deploy/check_pipeline.py "$work/watch.yaml" "$work/watch.json" watch

says "sweeps on a cluster: Katib's models, Kubernetes' schemas and Kubeflow's SDK"
swept=(--registry http://registry.example.org:5000 sweep tfidf --data reviews --ngram "1,2" --stop-words "none,english"
    --sublinear --c 0.1..100:log --image ghcr.io/acme/trialbook:trial-1 --tag "team=a b'c")
"$program" --store "$work/store" data sample > "$work/log"
"$program" --store "$work/store" train tfidf --data sample --cv 2 > "$work/trial.log" 2>&1
for how in --grid "--random=40"; do
    "$program" "${swept[@]}" "$how" --compile katib --out "$work/experiment.yaml" --force --json > "$work/experiment.json"
    "$venv/bin/python" deploy/check_katib.py "$work/experiment.yaml" "$work/experiment.json" "$work/trial.yaml" "$venv/katib" \
        "$work/trial.log"
    "$venv/bin/kubernetes-validate" --strict --quiet "$work/trial.yaml"
    "$program" "${swept[@]}" "$how" --compile kubeflow --out "$work/sweep.yaml" --force --json > "$work/sweep.json"
    "$venv/bin/python" -W ignore deploy/check_pipeline_sweep.py "$work/sweep.yaml" "$work/sweep.json"
done
