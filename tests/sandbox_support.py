"""What the tests of the sandbox's Data API share: signed requests over HTTP, and rows whose signature was checked."""

from __future__ import annotations

import ssl

import httpx

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.sandbox.signing import digest, join_rows, row_text, sign

ALL = {"from": "2024-01-01 00:00:00", "to": "2024-05-31 23:59:59"}
OTHER_TOKEN, OTHER_SECRET = "x" * 30, "ключ"


def ask(sandbox, endpoint="operations/get", /, token=DEMO_TOKEN, secret=DEMO_SECRET, **params):
    body = {"token": token, **params}
    body["signature"] = sign(body, secret)
    return post(f"{sandbox.url}/{endpoint}", json=body)


def post(url, **content):
    # A bare context of its own: by default each call reads all certificates of the machine.
    return httpx.post(url, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), **content)


def rows(sandbox, /, **params):
    answer = ask(sandbox, **{"interval": ALL, "tz": "UTC", **params})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert list(body) == ["operations", "signature"]
    text = join_rows(row_text("operations", row) for row in body["operations"])
    assert body["signature"] == digest(text, params.get("secret", DEMO_SECRET))
    return body["operations"]


def ids(sandbox, /, **params):
    return [row["operation_id"] for row in rows(sandbox, **params)]


def simple(*operations, now="2024-04-01", **options):
    return SandboxServer(World.of(operations, now=now), **options)
