# One image for the webserver, the daemon, the code server and the command, by argument:
#   docker run IMAGE webserver | daemon | code-server | operations --from DAY --to DAY | doctor | …
# A run per pod of Kubernetes needs dagster-k8s beside it: docker build --build-arg LOCK=requirements-k8s.lock .
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS build
ARG LOCK=requirements.lock
WORKDIR /app
RUN python -m venv --without-pip /app/.venv
COPY ${LOCK} ./locked.txt
RUN python -m pip --python /app/.venv/bin/python install --no-cache-dir --no-deps --require-hashes -r locked.txt
COPY pyproject.toml README.md ./
COPY pipelines pipelines
COPY resources resources
COPY sql sql
# what built the package is not needed to run it
RUN python -m pip --python /app/.venv/bin/python install --no-cache-dir --no-deps --no-build-isolation -e . \
    && python -m pip --python /app/.venv/bin/python uninstall --yes hatchling editables \
    && rm locked.txt
COPY workspace.yaml ./
COPY deploy deploy

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
RUN python -m pip uninstall --yes setuptools wheel pip \
    && useradd --create-home --uid 10001 ecommpay \
    && mkdir -p /app/.data \
    && chown 10001:10001 /app/.data
COPY --from=build /app /app
USER 10001:10001
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LISTEN_HOST=0.0.0.0 DAGSTER_DISABLE_TELEMETRY=1
VOLUME /app/.data
EXPOSE 3000 4000
HEALTHCHECK --interval=30s --timeout=20s --start-period=90s --retries=3 CMD ["/app/deploy/healthcheck.sh"]
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
CMD ["webserver"]
