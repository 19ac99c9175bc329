"""What an operation is and was: its states and when each holds; choosing among operations is in world.py."""

from __future__ import annotations

from typing import Any, Final

from resources.sandbox import pools
from resources.sandbox.fields import DECIMALS, TIMES
from resources.sandbox.times import as_second

_HASH: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


class State:
    """One state of an operation, told in full: `effective` selects it, the API knows it from `visible` on."""

    __slots__ = ("_facts", "effective", "visible")

    def __init__(self, effective: int, visible: int, facts: dict[str, Any]) -> None:
        self.effective = effective
        self.visible = visible
        self._facts = facts

    @property
    def kind(self) -> object:
        """Give the operation's type."""
        return self._facts.get("operation_type")

    @property
    def status(self) -> object:
        """Give the operation's status."""
        return self._facts.get("operation_status")

    def facts(self, *, all_fields: bool = True) -> dict[str, Any]:
        """Give the fields, times as seconds; a told state always gives all it was told."""
        del all_fields
        return dict(self._facts)


class Draft:
    """What all states of a drawn operation share, in few numbers: facts are worked out on asking."""

    __slots__ = (
        *("amount", "created", "currency", "dice", "first", "kind", "number", "payment", "project", "succeeded"),
    )

    def __init__(
        self,
        *,
        project: int,
        payment: int,
        kind: str,
        created: int,
        amount: int,
        currency: str,
        dice: int,
        first: Draft | None = None,
    ) -> None:
        self.number = 0
        self.first = first  # what this operation follows on, in the same payment
        self.succeeded = False
        self.project = project
        self.payment = payment
        self.kind = kind
        self.created = created
        self.amount = amount
        self.currency = currency
        self.dice = dice


class DrawnState(State):
    """A state of a drawn operation: its facts follow from the draft and are worked out each time."""

    __slots__ = ("_completed", "_draft", "_revision", "_shipped", "_status")

    def __init__(
        self,
        draft: Draft,
        effective: int,
        visible: int,
        *,
        status: str,
        completed: int | None,
        shipped: int | None = None,
        revision: int = 0,
    ) -> None:
        super().__init__(effective, visible, _NOTHING)
        self._draft = draft
        self._status = status
        self._completed = completed
        self._shipped = shipped
        self._revision = revision

    @property
    def kind(self) -> object:
        """Give the operation's type."""
        return self._draft.kind

    @property
    def status(self) -> object:
        """Give the operation's status."""
        return self._status

    @property
    def likely_fraud(self) -> bool:
        """Tell whether a payment system reports this operation as fraudulent some day."""
        d = self._draft
        return self._status == "success" and d.kind in {"sale", "auth", "recurring"} and d.dice % 401 == 0

    def facts(self, *, all_fields: bool = True) -> dict[str, Any]:
        """Give the fields, times as seconds; those on request only if all are asked for."""
        draft, status, completed = self._draft, self._status, self._completed
        dice, number = draft.dice, draft.number
        own = ((number * _HASH) ^ (dice >> 64)) & _MASK
        name, kind, account = pools.METHODS[dice & 15]
        empty: str | None = None if dice & 0x700 == 0 else ""
        final = completed is not None
        code, message = ("00", "Approved") if status == "success" else ("", "")
        if final and status != "success":
            code, message = pools.ANSWERS[(own >> 50) & 7]
        elif own & 0x3F00 == 0:
            code, message = "000", "Одобрено"
        if self._revision:
            message = f"{message} (corrected {self._revision})"
        facts: dict[str, Any] = {
            "project_id": str(draft.project),
            "operation_id": str(number),
            "payment_id": pools.PROJECTS[draft.project][3].format(draft.payment),
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
            "shipment_date": self._shipped or empty,
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


class Operation:
    """An operation of the world: its states in the order they came about, and the one that holds now."""

    __slots__ = ("current", "number", "project", "states")

    def __init__(self, number: int, project: int, states: list[State]) -> None:
        self.number = number
        self.project = project
        self.states = states
        self.current: State | None = None

    def at(self, now: int) -> State | None:
        """Give the last state that is visible at a time."""
        for state in reversed(self.states):
            if state.visible <= now:
                return state
        return None


def told(fields: dict[str, Any]) -> dict[str, Any]:
    """Give facts of fields as a test writes them: times may be seconds or text."""
    return {name: as_second(value) if name in TIMES else value for name, value in fields.items()}


_NOTHING: Final[dict[str, Any]] = {}


def _address(dice: int) -> str:
    if dice & 0x1F0000 == 0:
        return f"2001:db8::{dice >> 40 & 0xFFFF:x}"
    return f"203.0.{dice >> 16 & 255}.{dice >> 24 & 255}"


def _description(dice: int, payment: int) -> str:
    pool = pools.HOSTILE if dice >> 48 & 127 == 0 else pools.DESCRIPTIONS
    return pool[dice >> 56 & 15].format(payment)


def _converted(draft: Draft, own: int) -> dict[str, Any] | None:
    luck = own >> 40 & 255
    if luck < 6:
        return (None, {}, {"amount": None, "currency": None})[luck % 3]
    target = pools.SETTLEMENT[draft.project]
    if luck < 210 or target == draft.currency:
        return {"amount": draft.amount, "currency": draft.currency}
    worth = draft.amount * pools.USD_WORTH[draft.currency] / 10 ** DECIMALS.get(draft.currency, 2)
    amount = int(worth / pools.USD_WORTH[target] * 10 ** DECIMALS.get(target, 2))
    return {"amount": amount, "currency": target}


def _on_request(draft: Draft, status: str, completed: int | None, own: int) -> dict[str, Any]:
    """Give the second block of fields: drawn where it matters to a reader, else `""` or null."""
    dice = draft.dice
    customer = dice % 20_011
    name, kind, _ = pools.METHODS[dice & 15]
    card = kind == "card"
    country = pools.COUNTRIES[dice >> 20 & 7]
    refunded = draft.amount if draft.kind == "refund" and status == "success" else 0
    currency = pools.SETTLEMENT[draft.project]
    return {
        "bin": f"{400_000 + dice % 200_000}" if card else "",
        "bank_name": pools.BANKS[dice >> 20 & 7] if card else None,
        "card_enroll_check": "ENU"[dice % 3] if card else "",
        "card_holder": pools.HOLDERS[dice >> 23 & 7] if card else "",
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
        "project_name": pools.PROJECTS[draft.project][1],
        "project_url": f"https://project{draft.project}.example.com/",
    }
