#!/bin/sh
# Is the process that entrypoint.sh started healthy? A command is, as long as it runs.
# Where several run on one machine: healthcheck.sh webserver | daemon | code-server.
set -eu
export NO_PROXY='*' no_proxy='*'  # never through a proxy to ourselves
export DAGSTER_HOME="${DAGSTER_HOME:-${APP_ROOT:-/app}/.data/dagster}"
if [ -n "${DAGSTER_PG_PASSWORD_FILE:-}" ]; then
    # as init-databases.sh reads it
    DAGSTER_PG_PASSWORD="$(tr -d '\r' < "$DAGSTER_PG_PASSWORD_FILE" | LC_ALL=C sed "1s/^$(printf '\357\273\277')//")"
    export DAGSTER_PG_PASSWORD
fi
# the process is on this machine: a proxy of the environment must not stand before it
unset http_proxy https_proxy all_proxy grpc_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
role="${1:-$(cat "${TMPDIR:-/tmp}/ecommpay-role")}"  # not there yet: not healthy yet
case "$role" in
    webserver)
        exec python -c "import sys, urllib.request
sys.exit(urllib.request.urlopen(sys.argv[1], timeout=10).status != 200)" \
            "http://127.0.0.1:${WEBSERVER_PORT:-3000}/server_info" ;;
    daemon) exec dagster-daemon liveness-check ;;
    code-server) exec dagster api grpc-health-check -p "${CODE_SERVER_PORT:-4000}" ;;
    *) exit 0 ;;
esac
