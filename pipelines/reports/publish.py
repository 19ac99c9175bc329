"""Writes the report of a business day to a folder: of a closed day the sealed figures, of another what is known now."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.reconciliation.close import sealed_document
from pipelines.reports.document import DayDocument, from_json
from pipelines.reports.figures import gather
from resources.errors import ConfigError
from resources.files import write_whole

if TYPE_CHECKING:
    from resources.warehouse.engine import Warehouse


@dataclass(frozen=True)
class Published:
    """A report that was written: what it says, and where it is."""

    document: DayDocument
    page: Path
    workbook: Path


def publish(warehouse: Warehouse, account: str, day: date, zone: str, folder: Path) -> Published:
    """Write page and workbook of `day` to `folder`, each whole or not at all, over those of an earlier run.

    Raises:
        ConfigError: the folder cannot be written to.
        WarehouseUnavailable: no connection.
    """
    from pipelines.reports.page import page
    from pipelines.reports.workbook import workbook

    document = document_of(warehouse, account, day, zone)
    name = f"daily-close-{account}-{day}"
    published = Published(document, folder / f"{name}.html", folder / f"{name}.xlsx")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(published.page, page(document).encode())
        write_whole(published.workbook, workbook(document))
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {folder}: {error.strerror}; set SYNC_REPORT_DIR to a folder that can be."
        ) from None
    return published


def document_of(warehouse: Warehouse, account: str, day: date, zone: str) -> DayDocument:
    """Return the sealed document of a closed day, else what is known now.

    Raises:
        WarehouseBroken: what is stored is not what was sealed.
    """
    sealed = sealed_document(warehouse, account, day)
    if sealed:
        return from_json(json.dumps(json.loads(sealed.document)["report"]).encode())
    with warehouse.transaction() as connection:
        return gather(connection, account, day, zone)
