"""What the report says first: is the day fine, what changed, what must be done and by whom; all from the document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote

from pipelines.reports.document import WEEKS, BreakLine, CurrencyTotals, DayDocument
from pipelines.reports.words import amount, break_name

LEAST_WEEKS = 4  # with fewer of the same weekday nothing is usual
MOST_BREAKS = 5  # that are listed one by one, so that the screen stays one
NOBODY = "nobody yet"


@dataclass(frozen=True)
class Task:
    """Something to do: what stands, who has to do it, and the command that handles it."""

    what: str
    who: str
    command: str


def headline(document: DayDocument) -> str:
    """Return the answer to: is the day fine?"""
    if document.close:
        return "Closed: these figures are sealed."
    if document.completeness.complete != "yes":
        return "Not fine: the day is not shown complete."
    todo = tasks(document)
    if [task.command for task in todo] == [_close_command(document)]:
        return "Fine: it can be closed."
    count = len(todo)
    return f"Not fine yet: {count:,} thing{'s' * (count != 1)} to do." if count else "Fine."


def tasks(document: DayDocument) -> list[Task]:
    """Return what must be done about the day, the first thing first; nothing of a closed one."""
    return [] if document.close else [*_of_proof(document), *_of_money(document), *_of_breaks(document)]


def changes(document: DayDocument) -> list[str]:
    """Return what is otherwise than before: unusual figures, new breaks, restated operations."""
    found = [text for total in document.totals for text in unusual(total, f"{document.business_date:%A}")]
    new = sum(line.new for line in document.queue)
    if new:
        found.append(f"{new:,} new break{'s' * (new != 1)} since the day ended")
    restated = len(document.restatements)
    if restated:
        found.append(f"{restated:,} operation{'s' * (restated != 1)} of earlier days known otherwise, listed below")
    if not found and any(len(total.weekdays) >= LEAST_WEEKS for total in document.totals):
        found.append(f"Nothing: each currency is as the last {WEEKS} {document.business_date:%A}s were.")
    return found or [f"Fewer than {LEAST_WEEKS} {document.business_date:%A}s are known: nothing is usual yet."]


def unusual(total: CurrencyTotals, weekday: str) -> list[str]:
    """Return which figures are a quarter beyond what every one of the same weekdays before was."""
    if len(total.weekdays) < LEAST_WEEKS:
        return []
    figures = {
        "volume": (total.day.credit_minor, [day.credit_minor for day in total.weekdays], total.exponent),
        "operations": (total.day.operations, [day.operations for day in total.weekdays], 0),
    }
    found = []
    for name, (now, before, exponent) in figures.items():
        least, most = min(before), max(before)
        word, limit = ("above", most) if 4 * now > 5 * most else ("below", least)
        if 4 * now > 5 * most or 4 * now < 3 * least:
            found.append(
                f"{total.currency} {name} {amount(now, exponent)}: {word} all of the last {len(before)} {weekday}s "
                f"({'highest' if word == 'above' else 'lowest'} {amount(limit, exponent)})"
            )
    return found


def _of_proof(document: DayDocument) -> Iterator[Task]:
    proof, day = document.completeness, document.business_date
    if proof.complete != "yes":
        yield Task("the day is not shown complete", "on call", f"ecommpay-sync operations --from {day} --to {day}")
    if proof.rewalked == "no":
        command = f"ecommpay-sync reconcile --date {day} --leg completeness"
        yield Task("a fresh walk differs from the store", "on call", command)
    if proof.rejects:
        yield Task(f"{proof.rejects:,} rows could not be typed", "on call", "ecommpay-sync status")


def _of_money(document: DayDocument) -> Iterator[Task]:
    for balance in document.balances:
        if balance.unexplained_minor:
            left = amount(balance.unexplained_minor, document.decimals.get(balance.currency))
            command = f"ecommpay-sync reconcile --date {document.business_date} --leg balances"
            yield Task(f"balance {balance.balance_name}: {left} {balance.currency} unexplained", "finance", command)
    if document.reconciled == "unknown":
        yield Task("the day was not held against your books", "finance", "ecommpay-sync ledger import FILE")
    if document.reconciled == "yes" and document.completeness.complete == "yes":
        yield Task("nobody has closed the day", "finance", _close_command(document))


def _of_breaks(document: DayDocument) -> Iterator[Task]:
    for line in document.queue:
        if line.overdue:
            what = f"{line.overdue:,} break{'s' * (line.overdue != 1)} overdue, the oldest {line.oldest_days} days old"
            owned = f"--owner {quote(line.owner)} " if line.owner else ""
            yield Task(what, line.owner or NOBODY, f"ecommpay-sync breaks {owned}--overdue")
    listed = document.new_breaks[:MOST_BREAKS]
    for new in listed:
        yield _task_of_break(new, document.decimals)
    unlisted = max(sum(line.new for line in document.queue), len(document.new_breaks)) - len(listed)
    if unlisted > 0:
        command = "ecommpay-sync breaks --output breaks.xlsx"
        yield Task(f"{unlisted:,} more new break{'s' * (unlisted != 1)}", "finance", command)


def _task_of_break(line: BreakLine, decimals: Mapping[str, int]) -> Task:
    sized = "" if line.amount_minor is None else f", {amount(line.amount_minor, decimals.get(line.currency or ''))}"
    what = f"new break {line.break_id}: {break_name(line.break_type).lower()}{sized} {line.currency or ''}".rstrip()
    if not line.owner:
        return Task(what, NOBODY, f"ecommpay-sync breaks assign {line.break_id} --to NAME --by NAME")
    return Task(what, line.owner, f"ecommpay-sync explain {line.break_id} --by {quote(line.owner)} --note TEXT")


def _close_command(document: DayDocument) -> str:
    return f"ecommpay-sync close --date {document.business_date} --by NAME"
