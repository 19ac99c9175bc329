"""The text that is signed, made the exact way: any document, one value at a time.

The fast way for large pages is `signature_columns`; keys, HMAC and verdicts are in `signature`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from resources.data_api.php_values import natural_key, php_text

UNSIGNED = "signature"
"""The only parameter that is not signed, and only at the top: a nested key of that name is signed."""

DEEPEST = 64
"""Levels of nesting that are read; the deepest known document has four."""


def signature_text(params: Mapping[str, Any]) -> str:
    """Return the text that the HMAC is taken over: `path:value` joined by `;`, in natural order of the paths.

    Where two values have one path, the later wins, as in the PHP array of the vendor's SDK.
    """
    return text_of_leaves(leaves_of(params))


def leaves_of(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return (path, value) of each scalar, in the document's order; empty lists and objects leave none."""
    found: list[tuple[str, Any]] = []
    for key, value in params.items():
        if key != UNSIGNED:
            _collect(escaped(key), value, 1, found)
    return found


def text_of_leaves(leaves: Iterable[tuple[str, Any]]) -> str:
    """Return the signed text of flattened values."""
    texts = {path: f"{path}:{php_text(value)}" for path, value in leaves}
    return ";".join(texts[path] for path in sorted(texts, key=natural_key))


def escaped(key: str) -> str:
    """Return a key as a part of a path: `:` inside it is doubled (vendor's PHP SDK, `SignatureHandler`)."""
    if not isinstance(key, str):
        raise TypeError(f"a key of type {type(key).__name__} cannot be signed: JSON has text keys only.")
    return key.replace(":", "::")


def _collect(path: str, value: Any, level: int, found: list[tuple[str, Any]]) -> None:
    children: Iterable[tuple[str, Any]]
    if isinstance(value, Mapping):
        children = ((escaped(key), child) for key, child in value.items())
    elif isinstance(value, list | tuple):
        children = ((str(index), child) for index, child in enumerate(value))
    else:
        found.append((path, value))
        return
    if level == DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    for part, child in children:
        _collect(f"{path}:{part}", child, level + 1, found)
