"""The evidence pack: a ZIP file with the sealed documents of a day or month, and what proves them without this product.

The steps that an auditor takes are in templates/evidence.txt, which is in the pack as README.txt, and
take check_evidence.py, which is in it too. The same state of the warehouse always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from importlib import resources as files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pipelines.audit.verify import ChainTips, verify
from pipelines.reconciliation.close import Sealed, reporting_zone, sealed_days
from pipelines.reports.month import restatements_of, seal_of, totals_of
from resources.errors import ConfigError, Incomplete
from resources.output import write_whole
from resources.warehouse.engine import run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from resources.warehouse.engine import Warehouse

CREATED = (2020, 1, 1, 0, 0, 0)  # a constant, so that the bytes do not depend on the clock
MODE = 0o100644 << 16  # a plain file that all may read
UNIX = 3
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class EvidencePack:
    """A pack that was written: its SHA-256, and how many days in it are sealed."""

    sha256: str
    sealed: int


def write_evidence(warehouse: Warehouse, account: str, days: Sequence[date], period: str, file: Path) -> EvidencePack:
    """Write the evidence of these days, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
        Incomplete: none of the days is sealed.
        WarehouseBroken: a chain of hashes is broken, or what is stored of a day is not what was sealed.
    """
    with warehouse.transaction() as connection:
        tips = verify(connection)
        sealed = sealed_days(connection, account, days[0], days[-1])
        if not sealed:
            option = "--date" if len(days) == 1 else "--month"
            raise Incomplete(
                f"no day of {period} is sealed: `ecommpay-sync close {option} {period} --by NAME` comes first."
            )
        content = _pack(_contents(connection, account, days, period, sealed, tips))
    try:
        write_whole(file, content)
    except OSError as error:
        raise ConfigError(f"--output {file} cannot be written: {error.strerror}.") from None
    return EvidencePack(hashlib.sha256(content).hexdigest(), len(sealed))


def _contents(
    connection: Connection,
    account: str,
    days: Sequence[date],
    period: str,
    sealed: Mapping[date, Sealed],
    tips: ChainTips,
) -> dict[str, bytes]:
    """Return the files of the pack by their names, the list of their sums last."""
    documents = {day: json.loads(seal.document) for day, seal in sealed.items()}
    chain = [
        row._asdict()
        for row in run(connection, "reconciliation/close/chain_between", account=account, first=days[0], last=days[-1])
    ]
    (closed,) = (tip for tip in tips.closed_days if tip.account == account)
    ledger = next((tip for tip in tips.ledger if tip.account == account), None)
    verification = {
        "account": account,
        "period": period,
        "reporting_zone": reporting_zone(connection),
        "verified": "both chains of hashes are intact from their first entry to these heads",
        "ledger_of_windows": ledger and {"entries": ledger.entry_no, "head": ledger.head},
        "closed_days": {"entries": closed.close_no, "head": closed.head},
        "days": [
            {"business_date": day, "state": "sealed", **asdict(seal_of(sealed[day], documents[day]))}
            if day in sealed
            else {"business_date": day, "state": "not sealed"}
            for day in days
        ],
        "restatements": [asdict(line) for line in restatements_of(connection, account, list(sealed))],
    }
    ours = files.files("pipelines.reports")
    template = ours.joinpath("templates/evidence.txt").read_text(encoding="utf-8")
    found = {
        "README.txt": Template(template)
        .substitute(account=account, period=period, sealed=len(sealed), days=len(days), head=closed.head)
        .encode(),
        "check_evidence.py": ours.joinpath("check_evidence.py").read_bytes(),
        "verification.json": _json(verification, indent=1),
        "chain.jsonl": b"".join(_json(row) for row in chain),
        "totals.json": _json([asdict(total) for total in totals_of(documents.values())], indent=1),
        **{f"documents/{day}.json": seal.document.encode() for day, seal in sealed.items()},
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(found.items()))
    return found | {SUMS: sums.encode()}


def _json(value: object, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent, default=_plain).encode() + b"\n"


def _plain(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _pack(contents: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, CREATED)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, UNIX, MODE
            pack.writestr(entry, content)
    return out.getvalue()
