"""What a report says first: is all fine, what changed, what must be done and by whom; all from its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from pipelines.reports.document import (
    WEEKS,
    BalanceDay,
    BreakLine,
    CurrencyTotals,
    DayDocument,
    OwnerQueue,
    amount,
    break_name,
    change,
)
from pipelines.reports.month import MonthBalance, MonthDocument, sums
from resources.output import counted

LEAST_WEEKS = 4  # with fewer of the same weekday nothing is usual
MOST_LISTED = 5  # breaks or days that are listed one by one, so that the screen stays one
NOBODY = "nobody yet"


@dataclass(frozen=True)
class Task:
    """Something to do: what stands, who has to do it, and the command that handles it."""

    what: str
    who: str
    command: str


@dataclass(frozen=True)
class FirstScreen:
    """The answer to "is it fine?", what is otherwise than before, and what must be done, the first thing first."""

    headline: str
    changes: tuple[str, ...]
    tasks: tuple[Task, ...]


def of_day(document: DayDocument) -> FirstScreen:
    """Return what the report of a day says first; of a closed day nothing must be done."""
    tasks = () if document.close else (*_of_proof(document), *_of_money(document), *_of_breaks(document))
    return FirstScreen(_headline(document, tasks), tuple(_changes(document)), tasks)


def of_month(document: MonthDocument) -> FirstScreen:
    """Return what the report of a month says first."""
    tasks = tuple(_tasks_of_month(document))
    return FirstScreen(_month_headline(document, tasks), tuple(_month_changes(document)), tasks)


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
        if 4 * now > 5 * max(before):
            beyond = f"above all of the last {len(before)} {weekday}s (highest {amount(max(before), exponent)})"
        elif 4 * now < 3 * min(before):
            beyond = f"below all of the last {len(before)} {weekday}s (lowest {amount(min(before), exponent)})"
        else:
            continue
        found.append(f"{total.currency} {name} {amount(now, exponent)}: {beyond}")
    return found


def _headline(document: DayDocument, tasks: Sequence[Task]) -> str:
    if document.close:
        return "Closed: these figures are sealed."
    if document.completeness.complete != "yes":
        return "Not fine: the day is not shown complete."
    if [task.command for task in tasks] == [_close_command(document)]:
        return "Fine: it can be closed."
    return _counted(tasks)


def _counted(tasks: Sequence[Task]) -> str:
    return f"Not fine yet: {counted(len(tasks), 'thing')} to do." if tasks else "Fine."


def _month_headline(document: MonthDocument, tasks: Sequence[Task]) -> str:
    of_data = sum(day.is_of_data for day in document.days)
    if of_data:
        return f"Not fine: {of_data} day{'s are' if of_data != 1 else ' is'} not shown complete."
    waiting = [day for day in document.days if day.is_waiting]
    if waiting and len(tasks) == 1 and all(day.is_ready for day in waiting):
        return f"Fine: {counted(len(waiting), 'day')} can be closed."
    if tasks:
        return _counted(tasks)
    if len(document.sealed) < len(document.days):
        return "Fine so far: each day that is over is sealed." if document.sealed else "No day is over yet."
    return "Fine: each day is sealed."


def _changes(document: DayDocument) -> Iterator[str]:
    weekday = f"{document.business_date:%A}"
    found = [text for total in document.totals for text in unusual(total, weekday)]
    new = sum(line.new for line in document.queue)
    if new:
        found.append(f"{counted(new, 'new break')} since the day ended")
    restated = len(document.restatements)
    if restated:
        found.append(f"{counted(restated, 'operation')} of earlier days changed since, listed below")
    yield from found
    if not found and any(len(total.weekdays) >= LEAST_WEEKS for total in document.totals):
        yield f"Nothing: each currency is as the last {WEEKS} {weekday}s were."
    elif not found:
        yield f"Fewer than {LEAST_WEEKS} {weekday}s are known: nothing is usual yet."


def _month_changes(document: MonthDocument) -> Iterator[str]:
    """Yield what moved by a quarter since the month before, unusual days, and what changed behind the seal."""
    found = []
    before = {(total.currency, total.exponent): total.day.credit_minor for total in document.month_before}
    for total in sums(day.totals for day in document.days):
        now, then = total.day.credit_minor, before.get((total.currency, total.exponent), 0)
        if before and (4 * now > 5 * then or 4 * now < 3 * then):
            volume = f"{total.currency} volume {amount(now, total.exponent)}"
            found.append(f"{volume}: {change(now, then)} since the month before ({amount(then, total.exponent)})")
    odd = [
        f"{day.business_date:%A} {day.business_date.day}: {text}"
        for day in document.days
        for total in day.totals
        for text in unusual(total, f"{day.business_date:%A}")
    ]
    found += odd[:MOST_LISTED]
    if len(odd) > MOST_LISTED:
        found.append(f"{len(odd) - MOST_LISTED} more unusual figures, at their days below")
    restated = sum(line.count for line in document.restatements)
    if restated:
        found.append(f"{counted(restated, 'operation')} changed since the day was sealed, listed below")
    yield from found or ["Nothing: no sealed day is unusual, and none has changed since."]
    if not before:
        yield "The month before is compared when every day of both is sealed."


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
    """Yield balances that moved unexplained, unless their break is listed, books that lack, and the close."""
    listed = _breaks_of_balances(document, document.new_breaks[:MOST_LISTED])
    moved = [balance for balance in _unexplained(document) if _key(balance) not in listed]
    command = f"ecommpay-sync reconcile --date {document.business_date} --leg balances"
    yield from _of_balances(moved, document.decimals, command)
    if document.reconciled == "unknown":
        yield Task("the day was not held against your books", "finance", "ecommpay-sync ledger import FILE")
    if document.reconciled == "yes" and document.completeness.complete == "yes":
        yield Task("nobody has closed the day", "finance", _close_command(document))


def _of_breaks(document: DayDocument) -> Iterator[Task]:
    yield from _overdue(document.queue)
    listed = document.new_breaks[:MOST_LISTED]
    for new in listed:
        yield _task_of_break(new, document.decimals)
    unlisted = max(sum(line.new for line in document.queue), len(document.new_breaks)) - len(listed)
    # what stands there as a balance that moved is not counted once more
    unlisted -= len(_breaks_of_balances(document, document.new_breaks[MOST_LISTED:]))
    if unlisted > 0:
        command = "ecommpay-sync breaks --output breaks.xlsx"
        yield Task(counted(unlisted, "more new break"), "finance", command)


def _unexplained(document: DayDocument | MonthDocument) -> list[BalanceDay | MonthBalance]:
    """Return the balances that moved unexplained, unless their breaks are explained."""
    return [balance for balance in document.balances if balance.unexplained_minor and not balance.is_explained]


def _key(balance: BalanceDay | MonthBalance) -> tuple[str, str]:
    return balance.balance_name, balance.currency


def _breaks_of_balances(document: DayDocument, lines: Sequence[BreakLine]) -> set[tuple[str, str]]:
    """Return which of the day's balances that moved unexplained these breaks are about."""
    of_day = (line for line in lines if line.break_type == "balance" and line.business_date == document.business_date)
    return set(map(_key, _unexplained(document))) & {(line.reference or "", line.currency or "") for line in of_day}


def _of_balances(
    moved: Sequence[BalanceDay | MonthBalance], decimals: Mapping[str, int], command: str
) -> Iterator[Task]:
    for line in moved[:MOST_LISTED]:
        size = f"{amount(line.unexplained_minor, decimals.get(line.currency))} {line.currency}"
        yield Task(f"balance {line.balance_name}: {size} unexplained", "finance", command)
    if len(moved) > MOST_LISTED:
        more = counted(len(moved) - MOST_LISTED, "more balance")
        yield Task(f"{more} unexplained, listed below", "finance", command)


def _overdue(queue: Sequence[OwnerQueue]) -> Iterator[Task]:
    for line in queue:
        if line.overdue:
            what = f"{counted(line.overdue, 'break')} overdue, the oldest {line.oldest_days} days old"
            owned = f"--owner {quote(line.owner)} " if line.owner else ""
            yield Task(what, line.owner or NOBODY, f"ecommpay-sync breaks {owned}--overdue")


def _task_of_break(line: BreakLine, decimals: Mapping[str, int]) -> Task:
    sized = "" if line.amount_minor is None else f", {amount(line.amount_minor, decimals.get(line.currency or ''))}"
    what = f"new break {line.break_id}: {break_name(line.break_type).lower()}{sized} {line.currency or ''}".rstrip()
    if not line.owner:
        return Task(what, NOBODY, f"ecommpay-sync breaks assign {line.break_id} --to NAME --by NAME")
    return Task(what, line.owner, f"ecommpay-sync explain {line.break_id} --by {quote(line.owner)} --note TEXT")


def _close_command(document: DayDocument) -> str:
    return f"ecommpay-sync close --date {document.business_date} --by NAME"


def _tasks_of_month(document: MonthDocument) -> Iterator[Task]:
    """Yield the days that something keeps from being sealed, and how many can be; balances; breaks of all days."""
    first, last = document.days[0].business_date, document.days[-1].business_date
    blocked = [day for day in document.days if day.is_waiting and not day.is_ready]
    close = f"ecommpay-sync close --month {document.month:%Y-%m} --by NAME"
    for day in blocked[:MOST_LISTED]:
        yield Task(f"{day.business_date} {day.reason}", "on call" if day.is_of_data else "finance", day.command or "")
    if len(blocked) > MOST_LISTED:
        more = counted(len(blocked) - MOST_LISTED, "more day")
        yield Task(f"{more} that cannot be sealed yet, listed below", "finance", close)
    ready = [day for day in document.days if day.is_waiting and day.is_ready]
    if ready:
        yield Task(f"{counted(len(ready), 'day')} can be closed", "finance", close)
    command = f"ecommpay-sync breaks --all --type balance --from {first} --to {last}"
    yield from _of_balances(_unexplained(document), document.decimals, command)
    yield from _overdue(document.queue)
    for line in document.queue:
        count = line.count - line.overdue
        if count and not line.owner:
            command = f"ecommpay-sync breaks --to {last} --output breaks.xlsx"
            yield Task(f"{counted(count, 'open break')} that nobody owns", NOBODY, command)
