"""Signs a request's parameters, as anyone would write it for a flat request body; answers are not verified here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from typing import Any


def signed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Add token and signature: leaves as `path:value`, sorted, joined, HMAC-SHA512, base64."""
    body = {**parameters, "token": os.environ["DATA_API_TOKEN"]}
    text = ";".join(sorted(_leaves(body, "")))
    mark = hmac.new(os.environ["DATA_API_SECRET"].encode(), text.encode(), hashlib.sha512)
    return {**body, "signature": base64.b64encode(mark.digest()).decode()}


def sign_prepared(request: Any) -> Any:
    """Sign the JSON body of a `requests.PreparedRequest`, as late as its session allows."""
    request.prepare_body(None, None, json=signed(json.loads(request.body)))
    return request


def _leaves(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        return [leaf for key, child in value.items() for leaf in _leaves(child, f"{path}:{key}" if path else key)]
    return [f"{path}:{value}"]
