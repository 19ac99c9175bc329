"""Writes reports to a folder: of a closed day the sealed figures, of another what is known now, and that of a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.reconciliation.close import sealed_document
from pipelines.reports.document import DayDocument, from_sealed
from pipelines.reports.figures import gather
from resources.errors import ConfigError
from resources.output import write_whole
from resources.settings import AlertSettings

if TYPE_CHECKING:
    from pipelines.reports.month import MonthDocument
    from pipelines.reports.one_currency import InOneCurrency
    from resources.settings import ReportSettings
    from resources.warehouse.engine import Warehouse


@dataclass(frozen=True)
class Published:
    """A report that was written: what it says, and where it is."""

    document: DayDocument
    page: Path
    workbook: Path
    in_one: InOneCurrency | None = None


@dataclass(frozen=True)
class PublishedMonth:
    """A month's report that was written."""

    document: MonthDocument
    page: Path
    workbook: Path
    in_one: InOneCurrency | None = None


def publish(
    warehouse: Warehouse, account: str, day: date, zone: str, folder: Path, settings: ReportSettings | None = None
) -> Published:
    """Write page and workbook of `day` to `folder`, each whole or not at all, over those of an earlier run.

    With settings of one reporting currency, both show the day's total in it too.

    Raises:
        ConfigError: the folder cannot be written to.
        WarehouseUnavailable: no connection.
    """
    from pipelines.reports import one_currency
    from pipelines.reports.page import page
    from pipelines.reports.workbook import workbook

    document = document_of(warehouse, account, day, zone)
    in_one = one_currency.of_day(document, settings) if settings else None
    published = Published(document, *_paths(folder, f"daily-close-{account}-{day}"), in_one)
    files = {published.page: page(document, in_one).encode(), published.workbook: workbook(document, in_one)}
    _write(folder, files)
    return published


def mail(published: Published, settings: AlertSettings) -> bool:
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
) -> PublishedMonth:
    """Write page and workbook of a month's days, likewise.

    Raises:
        ConfigError: the folder cannot be written to.
        WarehouseUnavailable, WarehouseBroken: no connection, or what is stored of a day is not what was sealed.
    """
    from pipelines.reports import one_currency
    from pipelines.reports.month import gather_month
    from pipelines.reports.page import month_page
    from pipelines.reports.workbook import month_workbook

    with warehouse.transaction() as connection:
        document = gather_month(connection, account, days)
    in_one = one_currency.of_month(document, settings) if settings else None
    published = PublishedMonth(document, *_paths(folder, f"monthly-close-{account}-{document.month:%Y-%m}"), in_one)
    page, book = month_page(document, in_one), month_workbook(document, in_one)
    _write(folder, {published.page: page.encode(), published.workbook: book})
    return published


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.html", folder / f"{name}.xlsx"


def _write(folder: Path, files: Mapping[Path, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            write_whole(path, content)
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {folder}: {error.strerror}: name another folder (--output, or "
            "SYNC_REPORT_DIR)."
        ) from None


def document_of(warehouse: Warehouse, account: str, day: date, zone: str) -> DayDocument:
    """Return the sealed document of a closed day, else what is known now.

    Raises:
        WarehouseBroken: what is stored is not what was sealed.
    """
    sealed = sealed_document(warehouse, account, day)
    if sealed:
        return from_sealed(sealed.document)
    with warehouse.transaction() as connection:
        return gather(connection, account, day, zone)
