#!/bin/sh
# webserver, daemon and code-server are Dagster's, prune deletes its old runs; anything else is a command of
# ecommpay-sync.
set -eu
app="${APP_ROOT:-/app}"
export DAGSTER_HOME="${DAGSTER_HOME:-$app/.data/dagster}"
mkdir -p "$DAGSTER_HOME"

# Dagster reads its password from the environment only; the secret itself is a file
if [ -n "${DAGSTER_PG_PASSWORD_FILE:-}" ]; then
    # as init-databases.sh reads it
    DAGSTER_PG_PASSWORD="$(tr -d '\r' < "$DAGSTER_PG_PASSWORD_FILE" | LC_ALL=C sed "1s/^$(printf '\357\273\277')//")"
    export DAGSTER_PG_PASSWORD
fi
# the file of this version, so that an upgrade brings its own; a home with a file of one's own: DAGSTER_YAML=keep
yaml="${DAGSTER_YAML:-}"
if [ -z "$yaml" ]; then
    yaml="$app/pipelines/cli/dagster.local.yaml"
    [ -z "${DAGSTER_PG_HOST:-}" ] || yaml="$app/deploy/dagster.yaml"
fi
if [ "$yaml" != keep ]; then
    # several processes may share the folder: none meets half a file
    cp "$yaml" "$DAGSTER_HOME/dagster.yaml.$$"
    mv "$DAGSTER_HOME/dagster.yaml.$$" "$DAGSTER_HOME/dagster.yaml"
fi
workspace="$app/workspace.yaml"
[ -z "${CODE_SERVER_HOST:-}" ] || workspace="$app/deploy/workspace.yaml"

# a proxy of the environment is for the platform; the processes of this product reach each other without it
own="localhost,127.0.0.1,::1${CODE_SERVER_HOST:+,$CODE_SERVER_HOST}"
given="${no_proxy:-${NO_PROXY:-}}"
no_proxy="${given:+$given,}$own"
NO_PROXY="$no_proxy"
export no_proxy NO_PROXY

# no login of their own: beyond this machine only where a container or a proxy stands before them
listen="${LISTEN_HOST:-127.0.0.1}"
role="${1:-}"
echo "$role" > "${TMPDIR:-/tmp}/ecommpay-role"
case "$role" in
    webserver) shift; exec dagster-webserver -w "$workspace" -h "$listen" -p "${WEBSERVER_PORT:-3000}" "$@" ;;
    daemon) shift; exec dagster-daemon run -w "$workspace" "$@" ;;
    code-server)
        shift
        cd "$app"
        exec dagster code-server start -m pipelines.definitions -h "$listen" -p "${CODE_SERVER_PORT:-4000}" "$@" ;;
    prune) shift; exec python "$app/deploy/prune_events.py" "$@" ;;
    # what the Helm chart starts: `dagster api grpc …` and `dagster api execute_run …`
    dagster) exec "$@" ;;
    *) exec ecommpay-sync "$@" ;;
esac
