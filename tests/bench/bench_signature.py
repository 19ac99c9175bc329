"""How fast the signature of a full page is checked: `python tests/bench/bench_signature.py`.

The reference is the straightforward way, as the vendor's SDK has it: flatten recursively, sort the paths in
natural order, join. Its natural order is the usual Python one, a key made with a compiled `re.split` on runs
of digits, once a path: faster than a comparison function, which is nearer to PHP and would flatter us. Text
and verdict of both ways are asserted to be equal before anything is timed.
"""

from __future__ import annotations

import base64
import hmac
import json
import random
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from resources.data_api import signature

SECRET = "made-up-secret"
ROWS = 1000
ROUNDS = 31
_DIGITS = re.compile("([0-9]+)")


def naive_flatten(value: Any, path: str, found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            part = key.replace(":", "::")
            naive_flatten(child, f"{path}:{part}" if path else part, found)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            naive_flatten(child, f"{path}:{index}", found)
    elif value is None:
        found[path] = f"{path}:"
    elif isinstance(value, bool):
        found[path] = f"{path}:{int(value)}"
    else:
        found[path] = f"{path}:{value}"


def naive_key(path: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in _DIGITS.split(path)]


def naive_text(document: dict[str, Any]) -> str:
    found: dict[str, str] = {}
    naive_flatten({key: value for key, value in document.items() if key != "signature"}, "", found)
    return ";".join(found[path] for path in sorted(found, key=naive_key))


def naive_verify(body: bytes) -> bool:
    document = json.loads(body)
    mark = hmac.digest(SECRET.encode(), naive_text(document).encode(), "sha512")
    return hmac.compare_digest(base64.b64encode(mark).decode(), document["signature"])


def page(*, mixed: bool, floats: bool = False) -> bytes:
    """Return a signed page of the 20 default fields (22 values a row); mixed: null sums and missing keys."""
    dice = random.Random(4)
    operations = []
    for number in range(ROWS):
        row: dict[str, Any] = {
            "project_id": "198",
            "operation_id": str(6435212160000 + number),
            "payment_id": f"order-{dice.randrange(10**6)}",
            "operation_type": dice.choice(["sale", "refund", "payout"]),
            "operation_status": dice.choice(["success", "decline"]),
            "account_number": f"424242******{dice.randrange(10**4):04d}",
            "customer_ip": f"87.245.{dice.randrange(256)}.{dice.randrange(256)}",
            "payment_method_name": "visa",
            "payment_method_type": "visa",
            "payment_description": dice.choice(["Order №12 — café", "a:b;c", ""]),
            "operation_created_at": "2024-03-31T01:28:47+00:00",
            "operation_completed_at": "2024-03-31T01:29:01+00:00",
            "provider_date": "2024-03-31T01:28:59+00:00",
            "shipment_date": "",
            "sum_initial": {"amount": dice.randrange(10**7), "currency": "KWD"},
            "sum_converted": {"amount": dice.randrange(10**7), "currency": "EUR"},
            "arn": str(dice.randrange(10**22, 10**23)),
            "rrn": f"{dice.randrange(10**12):012d}",
            "payment_provider_code": "00",
            "payment_provider_message": "Approved",
        }
        if mixed and number % 3 == 0:
            row["sum_converted"] = None
        if mixed and number % 7 == 0:
            del row["rrn"]
        if floats:
            row["currency_rate"] = dice.randrange(1, 10**5) / 10**4
        operations.append(row)
    document = {"operations": operations}
    return orjson.dumps({**document, "signature": signature.sign(document, SECRET)})


def medians_ms(*works: Callable[[], object]) -> list[float]:
    """Return the median of each, measured in turns, so that a busy machine slows all of them alike."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) * 1000 for taken in times]


def compare(title: str, body: bytes, *, text: bool) -> None:
    document = orjson.loads(body)
    assert naive_verify(body), title
    assert signature.verify(body, SECRET), title
    measured = {"whole verify": (lambda: naive_verify(body), lambda: signature.verify(body, SECRET))}
    if text:
        assert signature.fast_signature_text(document) == naive_text(document), title
        fast = (lambda: naive_text(document), lambda: signature.fast_signature_text(document))
        measured = {"signed text": fast, **measured}
    for what, (naive, ours) in measured.items():
        slow, quick = medians_ms(naive, ours)
        print(f"{title:28} {what:13} {slow:9.2f} {quick:9.2f} {slow / quick:7.1f} x")


if __name__ == "__main__":
    print(f"{ROWS} operations, medians of {ROUNDS} rounds, ms a page")
    print(f"{'page':28} {'':13} {'naive':>9} {'ours':>9}   ratio")
    compare("default fields", page(mixed=False), text=True)
    compare("null sums, missing keys", page(mixed=True), text=True)
    compare("with a float column", page(mixed=False, floats=True), text=False)
