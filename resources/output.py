"""What leaves us for persons and other programs: text that can be seen, durations, files that are written whole.

Text of the data holds nothing that steers a terminal, moves a line or is taken for a formula.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# control characters (an escape sequence begins with one), invisible ones that reorder or hide what stands beside
# them, halves of a character (from a file name that is no UTF-8), line and paragraph separators
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_FORMULA = re.compile("'*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")  # a spreadsheet calculates a cell that begins so
_WRITTEN = "\u200c\u200d"  # joiners: some languages are written with them


def printable(text: str) -> str:
    r"""Return `text` on one line, with whatever cannot be seen written as its escape (`\x1b`); idempotent."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def printable_lines(text: str) -> str:
    """Return `text` likewise, but its own line ends stay."""
    return "\n".join(map(printable, text.split("\n")))


def with_formula_quote(cell: str) -> str:
    """Return the text of a CSV cell with a quote before what a spreadsheet would take for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def without_formula_quote(cell: str) -> str:
    """Return the text that `with_formula_quote` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def duration(seconds: float) -> str:
    """Return a duration as a person says it: seconds up to two minutes, then minutes, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} hours"


def write_whole(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put `content` at `path` at once, over what was there: nobody ever reads half of it.

    A device or a pipe is written to. `mode`: who may read the file, from its first moment; else as the umask says.

    Raises:
        OSError: the file cannot be written; what was there is still there, and nothing beside it.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode or 0o666), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN or character in _WRITTEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
