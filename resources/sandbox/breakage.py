"""What a fault does to an answer: short pages, bodies changed after signing, errors instead; no chance."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, TypeVar

import orjson

from resources.sandbox.errors import error_body
from resources.sandbox.faults import Fault

_HTML: Final = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1>"
Row = TypeVar("Row")


def instead(fault: Fault) -> tuple[int, bytes, dict[str, str]]:
    """Give status, body and headers of the answer that comes instead of the asked one."""
    if fault.name == "html_502":
        return 502, _HTML + b"</center><hr></body></html>", {"content-type": "text/html"}
    headers = {"content-type": "application/json; charset=UTF-8"}
    if fault.name == "http_500":
        return 500, orjson.dumps(error_body(500, "Internal error, please try again later")), headers
    if fault.name == "http_429":
        headers["retry-after"] = str(int(fault.value))
    elif fault.name == "http_429_date":
        # A date has whole seconds, so it is rounded up: no sooner than asked for.
        due = datetime.now(UTC) + timedelta(seconds=fault.value + 0.999)
        headers["retry-after"] = format_datetime(due.replace(microsecond=0), usegmt=True)
    return 429, orjson.dumps(error_body(429, "Request rate error")), headers


def shorten(fault: Fault, rows: list[Row]) -> list[Row]:
    """Give the rows that are left of a page."""
    if fault.name == "empty_page":
        return []
    return rows[: int(fault.value)] if fault.name == "capped_page" else rows[:-1]


def change_body(fault: Fault, name: str, body: bytes) -> bytes | None:
    """Give the body as it is after somebody was at it; None if there is nothing to be changed so."""
    if fault.name == "broken_json":
        return body[: len(body) // 2] + b"\x00,}" + body[len(body) // 2 :]
    answer: dict[str, Any] = orjson.loads(body)
    single = isinstance(answer[name], dict)
    rows = [answer[name]] if single else answer[name]
    if fault.name == "missing_signature":
        del answer["signature"]
    elif fault.name == "wrong_signature":
        digest = bytearray(base64.b64decode(answer["signature"]))
        digest[0] ^= 1
        answer["signature"] = base64.b64encode(digest).decode()
    elif fault.name == "tampered_key":
        (rows[0] if rows else answer)["unsigned_note"] = "added on the way"
    elif not rows:
        return None
    elif fault.name == "tampered_value":
        _raise_amount(rows[len(rows) // 2])
    elif single:
        return None
    elif fault.name == "tampered_drop":
        del rows[len(rows) // 2]
    else:
        if len(rows) < 2 or rows[0] == rows[-1]:
            return None
        rows[0], rows[-1] = rows[-1], rows[0]
    return orjson.dumps(answer)


def _raise_amount(row: dict[str, Any]) -> None:
    """Make somebody richer by one minor unit, or change whatever there is."""
    money = row.get("sum_initial")
    if isinstance(money, dict) and isinstance(money.get("amount"), int):
        money["amount"] += 1
        return
    name = list(row)[-1]
    row[name] = row[name] + 1 if isinstance(row[name], int) else f"{row[name]}1"
