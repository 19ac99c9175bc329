"""Checks an unpacked evidence pack with Python alone; it is in every pack, and imports nothing of ours.

It says what it found in one line for each step, and stops at the first thing that is not as it was sealed.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
from typing import Any, NoReturn


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes as text."""
    return hashlib.sha256(content).hexdigest()


def fail(finding: str) -> NoReturn:
    """Stop with what was found."""
    sys.exit("FAILED: " + finding)


def say(text: str) -> None:
    """Print what was found right."""
    sys.stdout.write(f"{text}\n")


def check_chain(folder: pathlib.Path) -> dict[str, Any]:
    """Check that each row has the hash of the row before it and its own; return the last row of each day."""
    rows = [json.loads(line) for line in (folder / "chain.jsonl").read_text(encoding="utf-8").split("\n") if line]
    before, first = rows[0]["previous_hash"], rows[0]["close_no"]
    if first == 1 and before != "00" * 32:
        fail("row 1 does not begin the chain")
    last: dict[str, Any] = {}
    for number, row in enumerate(rows, first):
        content = json.loads(row["content"])
        if row["close_no"] != number or content["close_no"] != number:
            fail(f"row {number} is missing")
        if row["previous_hash"] != before:
            fail(f"row {number} does not follow the row before it")
        if sha256(bytes.fromhex(before) + row["content"].encode("utf-8")) != row["entry_hash"]:
            fail(f"row {number} was altered")
        before = row["entry_hash"]
        last[content["business_date"]] = content
    verification = json.loads((folder / "verification.json").read_text(encoding="utf-8"))
    if verification["closed_days"] != {"entries": first + len(rows) - 1, "head": before}:
        fail("the chain does not end at the head of verification.json")
    say(f"OK: {len(rows)} rows of the chain, head {before}")
    return last


def check_documents(folder: pathlib.Path, last: dict[str, Any]) -> dict[str, Any]:
    """Check that the documents are those of the chain, sealed by two people; return them."""
    documents = {}
    days = [day for day, row in sorted(last.items()) if row["action"] == "close"]
    verification = json.loads((folder / "verification.json").read_text(encoding="utf-8"))
    sealed = [day["business_date"] for day in verification["days"] if day["state"] == "sealed"]
    files = sorted(path.stem for path in (folder / "documents").glob("*.json"))
    period = {day["business_date"] for day in verification["days"]}
    if not files == sealed == [day for day in days if day in period]:
        fail("the documents are not those of the days that the chain says are sealed")
    for day in files:
        content, row = (folder / "documents" / f"{day}.json").read_bytes(), last[day]
        if row["document"].encode("utf-8") != content or row["document_sha256"] != "\\x" + sha256(content):
            fail(f"documents/{day}.json is not what was sealed")
        document = json.loads(content)
        if document["business_date"] != day:
            fail(f"documents/{day}.json is about another day")
        if document["prepared_by"].casefold() == document["closed_by"].casefold():
            fail(f"{day} was closed by the one who prepared it")
        documents[day] = document
    people = sorted({document[name] for document in documents.values() for name in ("prepared_by", "closed_by")})
    say(f"OK: {len(documents)} documents, prepared or closed by: {', '.join(people)}")
    return documents


def check_totals(folder: pathlib.Path, documents: dict[str, Any]) -> None:
    """Check that the totals are the sum of the documents."""
    added: dict[Any, Any] = {}
    names = ("currency", "exponent", "type", "status")
    for document in documents.values():
        for row in document["totals"]["day"]:
            key = tuple(row[name] for name in names)
            count, minor = added.get(key, (0, None))
            more = None if row["minor"] is None else int(row["minor"])
            added[key] = count + row["count"], minor if more is None else (minor or 0) + more
    listed = json.loads((folder / "totals.json").read_text(encoding="utf-8"))
    if {tuple(row[name] for name in names): (row["count"], row["minor"]) for row in listed} != added:
        fail("totals.json is not the sum of the documents")
    say(f"OK: {len(added)} totals are the sum of the documents")


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    check_totals(here, check_documents(here, check_chain(here)))
