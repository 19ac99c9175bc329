# One image for the webserver, the daemon and the command, by argument:
#   docker run IMAGE webserver | daemon | operations --from DAY --to DAY | doctor | …
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /app/.venv
COPY requirements.lock ./
RUN /app/.venv/bin/python -m pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY pipelines pipelines
COPY resources resources
COPY sql sql
RUN /app/.venv/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation -e .

FROM python:3.11.14-slim-bookworm
RUN useradd --create-home --uid 10001 ecommpay && mkdir -p /app/.data && chown ecommpay /app/.data
COPY --from=build /app /app
COPY workspace.yaml /app/
COPY deploy /app/deploy
USER ecommpay
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
VOLUME /app/.data
EXPOSE 3000
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
CMD ["webserver"]
