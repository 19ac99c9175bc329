"""Draws operations: seeded payments and what follows on each, in the rhythm of days and weeks; no world."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import attrgetter
from random import Random
from typing import Any, Final

from resources.sandbox.operations import DAY, DECIMALS, Operation, State, scramble

# project → its share, its name, its currencies (the first are the most used), how it numbers its payments.
# Two projects number alike on purpose: a payment_id is unique within a project only.
PROJECTS: Final = {
    198: (45, "Cosmo1", ("EUR", "EUR", "EUR", "USD", "GBP", "PLN", "SEK", "KWD"), "order-{}"),
    1042: (30, "東京ストア", ("JPY", "JPY", "USD", "KRW", "CLF", "CLP"), "{}"),
    3055: (18, "Nordwind Spiele GmbH", ("USD", "EUR", "GBP", "BRL", "INR", "BHD"), "{}"),
    6411: (7, "Łódź & Søn — каса", ("RUB", "EUR", "KZT", "IQD", "TRY", "VND"), "INV/2026/{:08d}"),
}
_SETTLEMENT: Final = {198: "EUR", 1042: "JPY", 3055: "USD", 6411: "EUR"}
# Rough worth of one major unit in USD, to convert with.
USD_WORTH: Final = {
    "USD": 1.0,
    "EUR": 1.09,
    "GBP": 1.27,
    "PLN": 0.25,
    "SEK": 0.095,
    "KWD": 3.25,
    "JPY": 0.0067,
    "KRW": 0.00075,
    "CLF": 40.0,
    "CLP": 0.0011,
    "BRL": 0.2,
    "INR": 0.012,
    "BHD": 2.65,
    "RUB": 0.011,
    "KZT": 0.0022,
    "IQD": 0.00076,
    "TRY": 0.031,
    "VND": 0.00004,
}
# how an account number of the method looks, its name and type
_METHODS: Final = (
    *(("visa", "card", number) for number in ("424242******{:04d}", "401288******{:04d}")),
    *(("mastercard", "card", number) for number in ("555555******{:04d}", "222300******{:04d}")),
    *(("visa", "card", "400000******{:04d}"), ("maestro", "card", "676770******{:04d}")),
    *(("amex", "card", "378282*****{:04d}"), ("neteller", "ewallet", "4501{:08d}")),
    *(("skrill", "ewallet", "payer.{:04d}@example.com"), ("jcb", "card", "353011******{:04d}")),
    *(("sepa", "bank_transfer", "DE89************{:04d}"), ("visa", "card", "424242******{:04d}")),
    *(("mastercard", "card", "510510******{:04d}"), ("visa", "card", "411111******{:04d}")),
    *(("unionpay", "card", "620000******{:04d}"), ("pix", "bank_transfer", "")),
)
_DESCRIPTIONS: Final = (
    *("Order №{}", "Order {}", "Заказ №{} — оплата", "注文 {} 東京", "Top up {}", "Café Zoë, table {}"),
    *("Abonnement n° {}", "Zażółć gęślą jaźń {}", "", "Ticket {}: 2 ✕ 🎫", "Invoice #{}", "طلب رقم {}"),
    *("Subscription {}", "Order {} a:b;c", "Straße {}, Köln", "  padded {}  "),
)
_HOSTILE: Final = (
    *("=cmd|' /C calc'!A0", "<script>alert('{}')</script>", "Robert'); DROP TABLE operations;--"),
    *('He said "pay {}", then \\"left\\"', "first line\nsecond line\r\nthird\tcolumn", "@SUM(1+1)*cmd|'/c calc'!A0"),
    *("operations:0:arn:00;operations:1:arn:00", "\\N", "NULL", "../../etc/passwd\u202e{}", "+1{}"),
    *("{{{{ 7*7 }}}} ${{jndi:ldap://x}} %s %d", "a\u0001b", "e\u0301 versus \u00e9"),
    *("\ufeffbyte order mark", "-1,000.00"),
)
_REFUSALS: Final = (  # the provider's code and message of a decline or an error
    *(("05", "Do not honor"), ("051", "Insufficient funds"), ("0014", "Invalid card number"), ("54", "Expired card")),
    *(("", "Declined by issuer"), ("091", "Issuer unavailable — réessayez"), ("00057", "Transaction not permitted")),
    ("3DS-U", "Authentication failed"),
)
BANKS: Final = (
    *("Sparkasse Köln-Bonn", "Banco de São Paulo", "Сбербанк", "三井住友銀行"),
    *("Bank of Made-Up", "Kuwait Sample Bank", "PKO Przykład", ""),
)
COUNTRIES: Final = ("DE", "BR", "RU", "JP", "US", "KW", "PL", "GB")
_HOLDERS: Final = ("JANE DOE", "ZOË ÅNGSTRÖM", "Иван Иванов", "山田 太郎", "O'NEILL/PAT", "", "MARÍA JOSÉ", "X")
# Shares of the hours of a day (UTC) and of the days of a week from Monday on.
_HOURS: Final = (5, 4, 3, 2, 2, 3, 5, 8, 11, 13, 14, 15, 16, 15, 15, 15, 16, 17, 19, 20, 19, 16, 12, 8)
_WEEKDAYS: Final = (10, 10, 11, 12, 15, 17, 13)

_FIRST_NUMBER: Final = 6_435_212_160_000
_FLOWS: Final = ("sale", "auth", "recurring", "payout", "account verification")
_FLOW_SHARES: Final = tuple(accumulate((70, 11, 10, 7, 2)))
_WAITING: Final = (
    *("processing", "awaiting 3ds result", "awaiting redirect result"),
    *("awaiting clarification", "awaiting customer action", "processing"),
)
_PROJECTS: Final = tuple(PROJECTS)
_PROJECT_SHARES: Final = tuple(accumulate(share for share, *_ in PROJECTS.values()))


@dataclass(eq=False, slots=True)
class Draft:
    """What all states of a drawn operation share, in few numbers: facts are worked out on asking.

    `first` is what the operation follows on, in the same payment.
    """

    project: int
    payment: int
    kind: str
    created: int
    amount: int
    currency: str
    dice: int
    first: Draft | None = None
    number: int = 0
    succeeded: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class DrawnState(State):
    """A state of a drawn operation: its facts follow from the draft and are worked out each time."""

    draft: Draft
    completed: int | None = None
    shipped: int | None = None
    revision: int = 0

    @property
    def is_paid(self) -> bool:
        """Return whether this is a payment that brought money."""
        return self.status == "success" and self.kind in {"sale", "auth", "recurring"}

    def facts(self, *, all_fields: bool = True) -> dict[str, Any]:
        """Give the fields, times as seconds; those on request only if all are asked for."""
        draft, status, completed = self.draft, str(self.status), self.completed
        dice, number = draft.dice, draft.number
        own = scramble(number) ^ (dice >> 64)
        name, kind, account = _METHODS[dice & 15]
        empty: str | None = None if dice & 0x700 == 0 else ""
        final = completed is not None
        code, message = ("00", "Approved") if status == "success" else ("", "")
        if final and status != "success":
            code, message = _REFUSALS[(own >> 50) & 7]
        elif own & 0x3F00 == 0:
            code, message = "000", "Одобрено"
        if self.revision:
            message = f"{message} (corrected {self.revision})"
        facts: dict[str, Any] = {
            "project_id": str(draft.project),
            "operation_id": str(number),
            "payment_id": PROJECTS[draft.project][3].format(draft.payment),
            "operation_type": draft.kind,
            "operation_status": status,
            "account_number": account.format((dice >> 32) % 10_000) or empty,
            "customer_ip": _address(dice) if dice & 0xF000 else empty,
            "payment_method_name": name,
            "payment_method_type": kind,
            "payment_description": _description(dice, draft.payment),
            "operation_created_at": draft.created,
            "operation_completed_at": "" if completed is None else completed,
            "provider_date": completed - 1 if completed is not None and own & 7 else empty,
            "shipment_date": self.shipped or empty,
            "arn": f"{own % 10**17:023d}" if status == "success" and own & 0x70 else empty,
            "rrn": f"{(own >> 8) % 10**11:012d}" if final else empty,
            "payment_provider_code": code,
            "payment_provider_message": message,
            "sum_initial": {"amount": draft.amount, "currency": draft.currency},
            "sum_converted": _converted(draft, own),
        }
        if all_fields:
            facts.update(_on_request(draft, status, completed, own))
        return facts


def draw_operations(seed: int, start: int, days: int, count: int, *, fractions: bool = False) -> Iterator[Operation]:
    """Draw `count` operations created within `days` days from the second `start` on, oldest first.

    With `fractions` each state is effective some milliseconds after its second began.
    """
    if days < 1 or count < 0:
        raise ValueError("A world needs at least one day, and no negative count of operations")
    chance = Random(seed)  # noqa: S311  reproducible, not secret
    drafts = sorted(_draw_drafts(chance, start, days, count), key=attrgetter("created"))
    for index, draft in enumerate(drafts):
        draft.number = _FIRST_NUMBER + index * 10 + (draft.dice & 7)
        states = _draw_states(chance, draft)
        for step, state in enumerate(states if fractions else ()):
            state.effective += (draft.dice + 377 * step) % 1000 / 1000
        yield Operation(str(draft.number), draft.number, draft.project, states)


def _draw_drafts(chance: Random, start: int, days: int, count: int) -> list[Draft]:
    hours = list(accumulate(_weight(start, hour) for hour in range(days * 24)))
    end = start + days * DAY
    drafts: list[Draft] = []
    payments: Counter[int] = Counter(dict.fromkeys(_PROJECTS, 917_000))
    while len(drafts) < count:
        for hour in chance.choices(range(days * 24), cum_weights=hours, k=max(1, min(10_000, count // 2))):
            created = start + hour * 3600 + int(chance.random() * 3600)
            first = _draw_first(chance, created, payments)
            drafts.append(first)
            if chance.random() < 0.25:
                drafts.extend(draft for draft in _follow_ups(chance, first) if draft.created < end)
    del drafts[count:]
    return drafts


def _weight(start: int, hour: int) -> int:
    second = start + hour * 3600
    return _HOURS[second // 3600 % 24] * _WEEKDAYS[(second // DAY + 3) % 7]


def _draw_first(chance: Random, created: int, payments: Counter[int]) -> Draft:
    project = chance.choices(_PROJECTS, cum_weights=_PROJECT_SHARES)[0]
    currencies = PROJECTS[project][2]
    currency = currencies[int(chance.random() * len(currencies))]
    kind = chance.choices(_FLOWS, cum_weights=_FLOW_SHARES)[0]
    major = math.exp(chance.gauss(3.4, 1.1)) / USD_WORTH[currency]
    amount = max(1, int(major * 10 ** DECIMALS.get(currency, 2)))
    if kind == "account verification":
        amount = 0
    elif amount > 1000 and chance.random() < 0.6:
        amount -= amount % 50 - 49 if amount % 3 else amount % 100
    payments[project] += 1
    return Draft(project, payments[project], kind, created, amount, currency, dice=chance.getrandbits(128))


def _follow_ups(chance: Random, first: Draft) -> Iterator[Draft]:
    """Draw what a merchant does about a payment later: in the same payment, never for more than it was."""
    luck = chance.random()
    if first.kind == "auth":
        captured = first.amount if luck < 0.8 else max(1, first.amount // 2)
        yield _follow(chance, first, "cancel" if luck > 0.9 else "capture", captured, 3 * DAY)
    elif first.kind in {"sale", "recurring"}:
        if luck < 0.12:
            yield _follow(chance, first, "reversal", first.amount, DAY // 8)
        elif luck < 0.25:
            part = max(1, first.amount // 3)
            yield _follow(chance, first, "refund", part, 6 * DAY)
            yield _follow(chance, first, "refund", max(1, first.amount - part), 20 * DAY)
        else:
            yield _follow(chance, first, "refund", first.amount, 14 * DAY)


def _follow(chance: Random, first: Draft, kind: str, amount: int, within: int) -> Draft:
    created = first.created + 120 + int(chance.random() * within)
    return replace(first, kind=kind, created=created, amount=amount, first=first)


def _draw_states(chance: Random, draft: Draft) -> list[State]:
    luck = chance.random()
    if luck < 0.04:
        waiting = _WAITING[int(luck * 150) % len(_WAITING)]
        return [DrawnState(draft.created, draft.created, draft.kind, waiting, draft=draft)]
    status = "error" if luck < 0.05 else "decline" if luck < 0.22 else "success"
    if status == "success" and draft.first is not None and not draft.first.succeeded:
        status = "decline"  # nothing is refunded or captured of a payment that brought nothing
    draft.succeeded = status == "success"
    slow = draft.kind in {"payout", "refund"} or chance.random() < 0.08
    completed = draft.created + 1 + int(chance.random() * (DAY if slow else 45))
    states: list[State] = []
    if slow:
        waiting = _WAITING[int(luck * 1000) % len(_WAITING)]
        states.append(DrawnState(draft.created, draft.created, draft.kind, waiting, draft=draft))
    visible = completed
    if chance.random() < 0.025:  # late: known to the platform itself only hours after
        late = 600 + int(chance.random() * 2.5 * DAY)
        visible += late if draft.kind != "payout" else 0  # which took its money from the balance, so it is known
    states.append(DrawnState(completed, visible, draft.kind, status, draft=draft, completed=completed))
    if status == "success" and luck < 0.4:
        states.extend(_later_states(chance, draft, completed, visible))
    return states


def _later_states(chance: Random, draft: Draft, completed: int, visible: int) -> Iterator[State]:
    """Draw the posting for clearing in a night after, and sometimes a correction days later."""
    night = (max(completed, visible) // DAY + 1) * DAY + 7200 + int(chance.random() * 7200)
    posted = DrawnState(night, night, draft.kind, "success", draft=draft, completed=completed, shipped=night - 60)
    yield posted
    if chance.random() < 0.08:
        later = night + 3600 + int(chance.random() * 8 * DAY)
        # a payout that left the balance stays paid: money that came back would be a movement without an operation
        status = "error" if chance.random() < 0.15 and draft.kind != "payout" else "success"
        yield replace(posted, effective=later, visible=later, status=status, revision=1)


def _address(dice: int) -> str:
    if dice & 0x1F0000 == 0:
        return f"2001:db8::{dice >> 40 & 0xFFFF:x}"
    return f"203.0.{dice >> 16 & 255}.{dice >> 24 & 255}"


def _description(dice: int, payment: int) -> str:
    pool = _HOSTILE if dice >> 48 & 127 == 0 else _DESCRIPTIONS
    return pool[dice >> 56 & 15].format(payment)


def _converted(draft: Draft, own: int) -> dict[str, Any] | None:
    luck = own >> 40 & 255
    if luck < 6:
        return (None, {}, {"amount": None, "currency": None})[luck % 3]
    target = _SETTLEMENT[draft.project]
    if luck < 210 or target == draft.currency:
        return {"amount": draft.amount, "currency": draft.currency}
    worth = draft.amount * USD_WORTH[draft.currency] / 10 ** DECIMALS.get(draft.currency, 2)
    amount = int(worth / USD_WORTH[target] * 10 ** DECIMALS.get(target, 2))
    return {"amount": amount, "currency": target}


def _on_request(draft: Draft, status: str, completed: int | None, own: int) -> dict[str, Any]:
    """Give the second block of fields: drawn where it matters to a reader, else `""` or null."""
    dice = draft.dice
    customer = dice % 20_011
    name, kind, _ = _METHODS[dice & 15]
    card = kind == "card"
    country = COUNTRIES[dice >> 20 & 7]
    refunded = draft.amount if draft.kind == "refund" and status == "success" else 0
    currency = _SETTLEMENT[draft.project]
    return {
        "bin": f"{400_000 + dice % 200_000}" if card else "",
        "bank_name": BANKS[dice >> 20 & 7] if card else None,
        "card_enroll_check": "ENU"[dice % 3] if card else "",
        "card_holder": _HOLDERS[dice >> 23 & 7] if card else "",
        "card_product_name": f"{name} classic" if card else "",
        "card_token": f"{dice:032x}"[:32] if card else None,
        "expiration_date": f"{dice % 12 + 1:02d}/{27 + dice % 6}" if card else "",
        "country_by_bin": country if card else "",
        "eci": f"0{dice % 8}" if card else "",
        "secure_3ds_check": str(dice >> 9 & 1) if card else "",
        "auth_code": f"{own % 10**6:06d}" if status == "success" else "",
        "avs_post_code": f"0{dice % 10_000:04d}" if country == "US" else "",
        "avs_street_address": f"{dice % 99} Main Street" if country == "US" else None,
        "avs_result": "Y" if country == "US" else "",
        "customer_id": f"{customer:06d}",
        "customer_email": f"user{customer}@example.com",
        "country_by_ip": country,
        "completed_refund": refunded,
        "remaining_refund": draft.amount - refunded if status == "success" else 0,
        "currency_rate": "1" if draft.currency == currency else f"{1 + own % 997 / 1000:.4f}",
        "payment_currency": draft.currency,
        "balance_id": str(draft.project * 10 + len(draft.currency)),
        "payment_type": {"auth": "31", "recurring": "6", "payout": "11"}.get(draft.kind, "3"),
        "transaction_created_at": draft.created,
        "transaction_completed_at": "" if completed is None else completed,
        "transaction_status": status,
        "provider_payment_id": f"{own:020d}",
        "recurring_id": str(draft.payment) if draft.kind == "recurring" else "",
        "recurring_register": "1" if draft.kind == "recurring" else "0",
        "recurring_valid_thru": "",
        "acquirer_bank_name": "Acquirer of Made-Up",
        "legal_entity_name": "Sandbox Trading Ltd.",
        "merchant_id": "77",
        "project_name": PROJECTS[draft.project][1],
        "project_url": f"https://project{draft.project}.example.com/",
    }
