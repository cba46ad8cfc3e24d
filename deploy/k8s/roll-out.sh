#!/usr/bin/env bash
# Brings an image into a cluster and waits until it answers; otherwise the one before comes back.
#
#   deploy/k8s/roll-out.sh staging ghcr.io/OWNER/trialbook:main-SHA
#   deploy/k8s/roll-out.sh --render production IMAGE      only shows what would be applied
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"

render=false
if [ "${1:-}" = --render ]; then
    render=true
    shift
fi
if [ $# != 2 ] || ! [ -d "$here/overlays/$1" ]; then
    echo "usage: roll-out.sh [--render] staging|production IMAGE:TAG" >&2
    exit 2
fi
overlay="$1" image="$2" namespace="trialbook-$1"
case "$image" in
    *:*) ;;
    *)
        echo "error: $image has no tag: a rollout names exactly one build" >&2
        exit 2
        ;;
esac

# An overlay over the overlay: no tracked file is written for a rollout. Kustomize wants it below a
# folder that it reaches by a relative path.
build="$(mktemp -d "$here/.roll-out-XXXXXX")"
trap 'rm -rf "$build"' EXIT
cat > "$build/kustomization.yaml" <<KUSTOMIZATION
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../overlays/$overlay
images:
  - name: ghcr.io/OWNER/trialbook
    newName: ${image%:*}
    newTag: "${image##*:}"
KUSTOMIZATION
if $render; then
    kubectl kustomize "$build"
    exit
fi

kubectl apply --kustomize "$build"
undo() {
    echo "error: $image does not answer in $namespace: the one before comes back" >&2
    kubectl --namespace "$namespace" rollout undo deployment/trialbook
    kubectl --namespace "$namespace" rollout status deployment/trialbook --timeout=5m
    exit 1
}
# Ready means that predictions are answered.
kubectl --namespace "$namespace" rollout status deployment/trialbook --timeout=5m || undo
kubectl --namespace "$namespace" exec deployment/trialbook -- /usr/local/bin/trialbook health || undo
