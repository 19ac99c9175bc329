"""Airbyte CDK's declarative stream with OffsetIncrement, without a destination: the ids of what it hands on
go into the file that its third argument names."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Any

from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.utils.yaml_loader import safe_load_yaml
from interval import interval
from signing import sign_prepared

STREAM = {
    "stream": {"name": "operations", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
    "sync_mode": "full_refresh",
    "destination_sync_mode": "append",
}


@dataclass
class Signing(DeclarativeAuthenticator):
    """Signs what is sent; the session calls it with the request as it is about to leave."""

    config: Mapping[str, Any]
    parameters: InitVar[Mapping[str, Any]]

    def __call__(self, request: Any) -> Any:
        return sign_prepared(request)

    @property
    def auth_header(self) -> str:
        return ""

    @property
    def token(self) -> str:
        return ""


def main() -> None:
    manifest = safe_load_yaml((Path(__file__).parent / "airbyte.yaml").read_text(encoding="utf-8"))
    config = {"base_url": os.environ["DATA_API_BASE_URL"] + "/", "interval": interval()}
    catalog = ConfiguredAirbyteCatalogSerializer.load({"streams": [STREAM]})
    source = ConcurrentDeclarativeSource(catalog=catalog, config=config, state=[], source_config=manifest)
    messages = source.read(logging.getLogger("airbyte"), config, catalog, [])
    with Path(sys.argv[3]).open("w", encoding="utf-8") as file:
        for message in messages:
            if message.type is Type.RECORD:
                print(message.record.data["operation_id"], file=file)


if __name__ == "__main__":
    main()
