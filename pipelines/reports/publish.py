"""Writes what people are given: reports of a day or month, as page and workbook in a folder, and evidence packs.

A report of a closed day has the sealed figures, that of another what is known now. An evidence pack is a ZIP file with
the sealed documents of a day or month, and what proves them without this product: the steps that an auditor takes are
in templates/evidence.txt, which is in it as README.txt, and check_evidence.py takes them. The same state of the
warehouse always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.resources import files as files_of
from operator import methodcaller
from pathlib import Path
from string import Template
from typing import Generic, TypeVar

from sqlalchemy import Connection

from pipelines.audit.verify import ChainTips, verify
from pipelines.reconciliation.close import Sealed, reporting_zone, sealed_days, sealed_document
from pipelines.reports import one_currency
from pipelines.reports.document import DayDocument, from_sealed
from pipelines.reports.figures import gather
from pipelines.reports.month import MonthDocument, gather_month, restatements_of, seal_of, totals_of
from pipelines.reports.one_currency import InOneCurrency
from resources.errors import Incomplete
from resources.output import named_if_refused, write_named, write_whole
from resources.settings import AlertSettings, ReportSettings
from resources.warehouse.engine import Warehouse, run

CREATED = (2020, 1, 1, 0, 0, 0)  # a constant, so that the bytes do not depend on the clock
MODE = 0o100644 << 16  # a plain file that all may read
UNIX = 3
SUMS = "SHA256SUMS"


Document = TypeVar("Document", DayDocument, MonthDocument)


@dataclass(frozen=True)
class Published(Generic[Document]):
    """A report that was written, of a day or a month: what it says, and where it is."""

    document: Document
    page: Path
    workbook: Path
    in_one: InOneCurrency | None = None


def publish(
    warehouse: Warehouse, account: str, day: date, zone: str, folder: Path, settings: ReportSettings | None = None
) -> Published[DayDocument]:
    """Write page and workbook of `day` to `folder`, each whole or not at all, over those of an earlier run.

    With settings of one reporting currency, both show the day's total in it too.

    Raises:
        ConfigError: the folder cannot be written to.
        WarehouseUnavailable: no connection.
    """
    from pipelines.reports.page import page
    from pipelines.reports.workbook import workbook

    document = document_of(warehouse, account, day, zone)
    in_one = one_currency.of_day(document, settings) if settings else None
    files = page(document, in_one), workbook(document, in_one)
    return Published(document, *_written(folder, f"daily-close-{account}-{day}", *files), in_one)


def mail(published: Published[DayDocument], settings: AlertSettings) -> bool:
    """Send a report to those that the settings name, page and workbook; return whether anybody is named.

    Raises:
        ChannelFailed: the mail server did not take it.
    """
    from pipelines.reports import first_screen
    from pipelines.reports.page import sentence
    from resources.channels import EmailChannel

    if settings.smtp is None or not settings.report_to:
        return False
    document = published.document
    first = first_screen.of_day(document)
    tasks = [f"- {task.who}: {task.what}: {task.command}" for task in first.tasks]
    parts = [first.headline, sentence(document), "", *first.changes]
    text = "\n".join([*parts, *(["", "What to do:", *tasks] if tasks else [])])
    title = f"{document.account}: {document.business_date}: {first.headline}"
    EmailChannel(settings.smtp).send_to(settings.report_to, title, text, (published.page, published.workbook))
    return True


def publish_month(
    warehouse: Warehouse, account: str, days: Sequence[date], folder: Path, settings: ReportSettings | None = None
) -> Published[MonthDocument]:
    """Write page and workbook of a month's days, likewise.

    Raises:
        ConfigError: the folder cannot be written to.
        WarehouseUnavailable, WarehouseBroken: no connection, or what is stored of a day is not what was sealed.
    """
    from pipelines.reports.page import month_page
    from pipelines.reports.workbook import month_workbook

    with warehouse.transaction() as connection:
        document = gather_month(connection, account, days)
    in_one = one_currency.of_month(document, settings) if settings else None
    files = month_page(document, in_one), month_workbook(document, in_one)
    return Published(document, *_written(folder, f"monthly-close-{account}-{document.month:%Y-%m}", *files), in_one)


def _written(folder: Path, name: str, page: str, workbook: bytes) -> tuple[Path, Path]:
    files = {folder / f"{name}.html": page.encode(), folder / f"{name}.xlsx": workbook}
    with named_if_refused(f"the report in {folder}", ": name another folder (--output, or SYNC_REPORT_DIR)"):
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            write_whole(path, content)
    html, xlsx = files
    return html, xlsx


def document_of(warehouse: Warehouse, account: str, day: date, zone: str) -> DayDocument:
    """Return the sealed document of a closed day, else what is known now.

    Raises:
        WarehouseBroken: what is stored is not what was sealed.
    """
    sealed = sealed_document(warehouse, account, day)
    if sealed:
        return from_sealed(sealed.figures)
    with warehouse.transaction() as connection:
        return gather(connection, account, day, zone)


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
        contents = _contents(connection, account, days, period, sealed, tips)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        for name, part in contents.items():
            entry = zipfile.ZipInfo(name, CREATED)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, UNIX, MODE
            pack.writestr(entry, part)
    content = out.getvalue()
    write_named(f"--output {file}", file, content)
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
    span = {"account": account, "first": days[0], "last": days[-1]}
    chain = [row._asdict() for row in run(connection, "reconciliation/close/chain_between", **span)]
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
            {"business_date": day, "state": "sealed" if day in sealed else "not sealed"}
            | (asdict(seal_of(sealed[day])) if day in sealed else {})
            for day in days
        ],
        "restatements": [asdict(line) for line in restatements_of(connection, account, list(sealed))],
    }
    ours = files_of("pipelines.reports")
    template = ours.joinpath("templates/evidence.txt").read_text(encoding="utf-8")
    found = {
        "README.txt": Template(template)
        .substitute(account=account, period=period, sealed=len(sealed), days=len(days), head=closed.head)
        .encode(),
        "check_evidence.py": ours.joinpath("check_evidence.py").read_bytes(),
        "verification.json": _json(verification, indent=1),
        "chain.jsonl": b"".join(_json(row) for row in chain),
        "totals.json": _json(
            [asdict(total) for total in totals_of(seal.figures for seal in sealed.values())], indent=1
        ),
        **{f"documents/{day}.json": seal.document.encode() for day, seal in sealed.items()},
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(found.items()))
    return found | {SUMS: sums.encode()}


def _json(value: object, indent: int | None = None) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent, default=methodcaller("isoformat"))
    return f"{text}\n".encode()
