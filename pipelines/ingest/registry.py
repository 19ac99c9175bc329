"""All streams there are: the typed ones by name, and those of documents that were ever loaded."""

from pipelines.ingest.documents import stored_streams
from pipelines.ingest.fraud import FRAUD
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.streams import Stream
from resources.warehouse.engine import Warehouse

TYPED = (OPERATIONS, FRAUD)


def all_streams(warehouse: Warehouse, account: str) -> dict[str, Stream]:
    """Return every stream by its name, those of documents as they were loaded first."""
    return {**{stream.name: stream for stream in TYPED}, **stored_streams(warehouse, account)}
