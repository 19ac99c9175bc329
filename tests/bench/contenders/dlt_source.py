"""dlt's REST source on the Data API, as its documentation says; dlt_default loads it, dlt_walk reads it."""

from __future__ import annotations

import os
from typing import Any

from dlt.common.configuration import configspec
from dlt.sources.helpers.rest_client.auth import AuthConfigBase
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from dlt.sources.rest_api import rest_api_source
from interval import interval
from signing import sign_prepared

LIMIT = 1000


@configspec
class Signing(AuthConfigBase):
    """Signs what is sent; a `requests` auth hook is where dlt has one."""

    def __call__(self, request: Any) -> Any:
        return sign_prepared(request)


def operations_source() -> Any:
    paginator = OffsetPaginator(limit=LIMIT, offset_body_path="offset", limit_body_path="limit", total_path=None)
    return rest_api_source(
        {
            "client": {"base_url": os.environ["DATA_API_BASE_URL"], "auth": Signing(), "paginator": paginator},
            "resources": [
                {
                    "name": "operations",
                    "primary_key": "operation_id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "operations/get",
                        "method": "POST",
                        "json": {"interval": interval(), "tz": "UTC"},
                        "data_selector": "operations",
                    },
                }
            ],
        }
    )
