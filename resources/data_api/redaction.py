"""What may be shown of a text that is not ours: token, secret and signatures masked, on one line, cut short."""

from __future__ import annotations

import re

import orjson

from resources.settings import Secret

LARGEST_REFUSAL = 1024 * 1024  # bytes of a refusal that are looked through for the platform's words
LONGEST_MESSAGE = 400
LONGEST_EXCERPT = 4000  # of what answers instead of the platform, tags included
SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]|\\/){86}==")  # base64 of 64 bytes; JSON may escape its slashes


class Redactor:
    """Makes excerpts of texts from outside; none of them shows one of the `hidden`."""

    def __init__(self, *hidden: Secret) -> None:
        self._hidden = hidden

    def line(self, text: str) -> str:
        """Return the beginning of a text, on one line."""
        return _one_line(self._masked(text))

    def message_in(self, body: bytes) -> str:
        """Return the platform's `message`, or what can be shown of a body that is not the platform's."""
        body = body[:LARGEST_REFUSAL]
        try:
            document = orjson.loads(body)
            text = self._masked(str(document.get("message") or document.get("name") or ""))
        except (orjson.JSONDecodeError, AttributeError):
            text = re.sub(r"<[^>]*>", " ", self._masked(body.decode("utf-8", "replace")))
        return _one_line(text) or "(no message)"

    def refusal_in(self, body: bytes) -> str:
        """Return the words of an unsigned refusal that came under status 200; "": it is none, and is not shown."""
        if b'"signature"' in body or len(body) > LARGEST_REFUSAL:
            return ""
        document = orjson.loads(body)
        message = document.get("message") if isinstance(document, dict) else None
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
