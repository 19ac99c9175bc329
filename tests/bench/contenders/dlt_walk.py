"""dlt's offset paginator, without a destination: the ids of what it hands on go into the file of argument three."""

from __future__ import annotations

import sys
from pathlib import Path

from dlt_source import operations_source

if __name__ == "__main__":
    with Path(sys.argv[3]).open("w", encoding="utf-8") as file:
        for row in operations_source().resources["operations"]:
            print(row["operation_id"], file=file)
