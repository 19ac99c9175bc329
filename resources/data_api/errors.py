"""What can go wrong between us and the Data API: HTTP status to an error type, and what its message may show.

Retrying is decided by the type alone: `Retryable` or `Permanent`. How long to wait is in `retry`.
"""

from __future__ import annotations

import re
from typing import ClassVar

from resources.data_api.signature import UndecodableBody, parsed
from resources.errors import ConfigError, SyncError
from resources.values import Secret

LARGEST_REFUSAL = 1024 * 1024  # bytes of a refusal that are looked through for the platform's words
LONGEST_MESSAGE = 400
LONGEST_EXCERPT = 4000  # of what answers instead of the platform, tags included
SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]|\\/){86}==")  # base64 of 64 bytes; JSON may escape its slashes


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

    kind = "broken_body"


class BadSignature(Retryable):
    """The answer's signature does not match its content. Asked again a few times, then refused."""

    kind = "bad_signature"


class Permanent(DataApiError):
    """The same request will fail again: somebody has to change something first."""


class Unauthorized(Permanent, ConfigError):
    """401: token, secret, or access to a project; `right` is what the endpoint needs beyond a token, if anything."""

    kind = "unauthorized"
    status: ClassVar[int] = 401

    def __init__(self, message: str, right: str | None = None) -> None:
        super().__init__(message)
        self.right = right


class Forbidden(Unauthorized):
    """403: the same in newer descriptions of the API."""

    kind = "forbidden"
    status = 403


class BadRequest(Permanent, ConfigError):
    """400: the platform refused the parameters."""

    kind = "bad_request"


class UnexpectedShape(Permanent, ConfigError):
    """A proved answer does not have the shape that DOCUMENTS_FILE says: the configuration has to change."""

    kind = "unexpected_shape"


class Aborted(Permanent):
    """The run was stopped while this request was under way, or waiting to start."""

    kind = "interrupted"


class BodyTooLarge(Permanent):
    """The answer exceeded what any page can hold, and was not read further."""

    kind = "body_too_large"


class Untrusted(Permanent, ConfigError):
    """No TLS connection to what can be trusted: its certificate, its name or its protocol; no retry changes that."""

    kind = "untrusted"


class ClocksApart(Permanent, ConfigError):
    """This machine's clock is not the platform's: what is over, and what came later, is unknown."""

    kind = "clocks_apart"


class Redirected(Permanent, ConfigError):
    """The platform answered with a redirect; a signed body is never sent elsewhere."""

    kind = "redirected"


WHAT_TO_CHECK = (
    "check DATA_API_TOKEN and DATA_API_SECRET (a newer token ends the older one; a deactivated user's token "
    "is refused) and that the token's user may see the projects asked for"
)
RIGHTS = {"fraud/list": "the role Risks or Merchant admin"}  # what an endpoint needs beyond a token


def error_for_status(endpoint: str, status: int, message: str, retry_after: float | None) -> DataApiError:
    """Return the error for an answer other than 200, with the platform's own `message` in it.

    The documentation's sample pairs an access message with status 400, so the type follows the status
    and the message is always shown whole.
    """
    answer = f"the platform answered {status} to {endpoint}: {message}"
    if status in {401, 403}:
        right = RIGHTS.get(endpoint)
        advice = WHAT_TO_CHECK
        if right:
            advice = f"{endpoint} needs {right}: grant it to the token's user (My team → the user's tab)"
        return (Unauthorized if status == 401 else Forbidden)(f"{answer} — {advice}.", right)
    if status == 429:
        return RateLimited(f"{answer} — too many requests: {_when_again(retry_after)}", retry_after)
    if 300 <= status < 400:
        return Redirected(f"{answer} — redirects are not followed: check DATA_API_BASE_URL.")
    if status in {404, 405}:
        return BadRequest(f"{answer} — check DATA_API_BASE_URL (it ends in /v1 on the platform itself).")
    if status == 408 or not 400 <= status < 500:
        return ServerError(f"{answer} — an error of the platform", retry_after)
    return BadRequest(f"{answer} — check the dates, the project ids and the fields asked for.")


def _when_again(retry_after: float | None) -> str:
    if retry_after is None:
        return "try again later"
    return "it asks to wait " + (f"{retry_after:.0f} s" if retry_after <= 86_400 else "for more than a day")


class Redactor:
    """Excerpts of texts from outside: on one line, cut short, signatures and each of the `hidden` masked."""

    def __init__(self, *hidden: Secret) -> None:
        self._hidden = hidden

    def line(self, text: str) -> str:
        """Return the beginning of a text, on one line."""
        return _one_line(self._masked(text))

    def message_in(self, body: bytes) -> str:
        """Return the platform's `message`, or what can be shown of a body that is not the platform's."""
        body = body[:LARGEST_REFUSAL]
        try:
            document = parsed(body)
            text = self._masked(str(document.get("message") or document.get("name") or ""))
        except UndecodableBody:
            text = re.sub(r"<[^>]*>", " ", self._masked(body.decode("utf-8", "replace")))
        return _one_line(text) or "(no message)"

    def refusal_in(self, body: bytes) -> str:
        """Return the words of an unsigned refusal that came under status 200; "": it is none, and is not shown."""
        if b'"signature"' in body or len(body) > LARGEST_REFUSAL:
            return ""
        document = parsed(body)
        message = document.get("message")
        return f"{self.line(str(message))} (status {document.get('status', 'unknown')!s:.9})" if message else ""

    def _masked(self, text: str) -> str:
        # masked before it is cut short, so that no part of one is left at the edge
        text = SIGNATURE.sub("****", text[: 50 * LONGEST_EXCERPT])
        for hidden in self._hidden:
            text = text.replace(hidden.reveal(), "****")
        return text[:LONGEST_EXCERPT]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in line)[:LONGEST_MESSAGE]
