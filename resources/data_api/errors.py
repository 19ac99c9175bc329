"""What can go wrong between us and the Data API: HTTP status and body to an error type, in one place.

Retrying is decided by the type alone: `Retryable` or `Permanent`. How long to wait is in `retry`.
"""

from __future__ import annotations

from typing import ClassVar

from resources.errors import ConfigError, ErrorKind, SyncError


class DataApiError(SyncError):
    """Any failure of a call; `endpoint` is in the message, `request_id` is the request's id in the log."""

    request_id: str | None = None


class Retryable(DataApiError):
    """The same request may succeed later; `retry_after` is what the platform asked for, in seconds, if it did."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(Retryable):
    """No connection, a timeout, or a connection cut before the answer was whole."""

    kind = "unavailable"


class ServerError(Retryable):
    """The platform answered 5xx, or a status the documentation does not know."""

    kind = "unavailable"


class RateLimited(Retryable):
    """The platform answered 429."""

    kind = "rate_limited"


class BrokenBody(Retryable):
    """The answer was cut, not JSON, or not of the shape that the documentation gives."""

    kind = "unavailable"


class BadSignature(Retryable):
    """The answer's signature does not match its content. Asked again a few times, then refused."""

    kind = "bad_signature"


class Permanent(DataApiError):
    """The same request will fail again: somebody has to change something first."""


class Unauthorized(Permanent, ConfigError):
    """401, or 403 (`Forbidden`): token, secret, or access to a project."""

    kind: ClassVar[ErrorKind] = "unauthorized"


class Forbidden(Unauthorized):
    """403: the token is known, and may not see this."""

    kind = "forbidden"


class BadRequest(Permanent, ConfigError):
    """400: the platform refused the parameters."""

    kind = "bad_request"


class UnexpectedShape(Permanent, ConfigError):
    """A proved answer does not have the shape that DOCUMENTS_FILE says: the configuration has to change."""

    kind = "config"


class Aborted(Permanent):
    """The run was stopped while this request was under way, or waiting to start."""

    kind = "interrupted"


class BodyTooLarge(Permanent):
    """The answer exceeded what any page can hold, and was not read further."""


class Untrusted(Permanent, ConfigError):
    """No TLS connection to what can be trusted: its certificate, its name or its protocol; no retry changes that."""

    kind = "config"


class Redirected(Permanent, ConfigError):
    """The platform answered with a redirect; a signed body is never sent elsewhere."""

    kind = "config"


WHAT_TO_CHECK = (
    "check DATA_API_TOKEN and DATA_API_SECRET (a newer token ends the older one; a deactivated user's token "
    "is refused) and that the token's user may see the projects asked for"
)


def error_for_status(endpoint: str, status: int, message: str, retry_after: float | None) -> DataApiError:
    """Return the error for an answer other than 200, with the platform's own `message` in it.

    The documentation's sample pairs an access message with status 400, so the type follows the status
    and the message is always shown whole.
    """
    said = f"the platform answered {status} to {endpoint}: {message}"
    if status in {401, 403}:
        refused = Forbidden if status == 403 else Unauthorized
        return refused(f"{said} — {WHAT_TO_CHECK}.")
    if status == 429:
        return RateLimited(f"{said} — too many requests: {_when_again(retry_after)}", retry_after)
    if 300 <= status < 400:
        return Redirected(f"{said} — redirects are not followed: check DATA_API_BASE_URL.")
    if status in {404, 405}:
        return BadRequest(f"{said} — check DATA_API_BASE_URL (it ends in /v1 on the platform itself).")
    if status == 408 or not 400 <= status < 500:
        return ServerError(f"{said} — an error of the platform", retry_after)
    return BadRequest(f"{said} — check the dates, the project ids and the fields asked for.")


def _when_again(retry_after: float | None) -> str:
    if retry_after is None:
        return "try again later"
    return "it asks to wait " + (f"{retry_after:.0f} s" if retry_after <= 86_400 else "for more than a day")
