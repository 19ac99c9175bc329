"""The sandbox's refusals and their bodies as the platform writes them; faults on request are in faults.py."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

_NAMES: Final = {401: "Authorization Required", 500: "Internal Error"}


class Refused(Exception):
    """An answer that is an error, with the platform's status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def bad_request(message: str) -> Refused:
    """Make the refusal of a request that is wrong in itself."""
    return Refused(400, message)


def error_body(status: int, message: str | None) -> dict[str, Any]:
    """Give the platform's error body: never signed, `code` always 0."""
    name = _NAMES.get(status) or HTTPStatus(status).phrase
    body: dict[str, Any] = {"name": name, "message": message, "code": 0, "status": status}
    if message is None:
        del body["message"]
    return body
