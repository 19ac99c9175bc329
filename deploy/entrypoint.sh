#!/bin/sh
# webserver and daemon are Dagster's; anything else is a command of ecommpay-sync.
set -eu
export DAGSTER_HOME="${DAGSTER_HOME:-/app/.data/dagster}"
mkdir -p "$DAGSTER_HOME"
[ -e "$DAGSTER_HOME/dagster.yaml" ] || cp /app/deploy/dagster.local.yaml "$DAGSTER_HOME/dagster.yaml"
case "${1:-}" in
    webserver) shift; exec dagster-webserver -w /app/workspace.yaml -h 0.0.0.0 -p 3000 "$@" ;;
    daemon) shift; exec dagster-daemon run -w /app/workspace.yaml "$@" ;;
    *) exec ecommpay-sync "$@" ;;
esac
