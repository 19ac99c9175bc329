"""Who may ask what: accounts, and the made-up credentials of the default one; no checking of requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

TOKEN_LENGTH: Final = 30
DEMO_TOKEN: Final = "SANDBOXdemoTOKENmadeUp00000001"  # noqa: S105  made up, opens nothing
DEMO_SECRET: Final = "sandbox-demo-secret-made-up-nothing-opens-with-it"  # noqa: S105  made up


@dataclass(frozen=True, slots=True)
class Account:
    """One Dashboard user and the one token it has. `projects=None` sees every project of the world."""

    name: str = "demo"
    token: str = field(default=DEMO_TOKEN, repr=False)
    secret: str = field(default=DEMO_SECRET, repr=False)
    projects: Collection[int] | None = None
    time_zone: str = "Asia/Tokyo"
    active: bool = True
    risks: bool = True

    def __post_init__(self) -> None:
        if len(self.token) != TOKEN_LENGTH:
            raise ValueError(f"A token has {TOKEN_LENGTH} characters, this one {len(self.token)}")

    def sees(self, project: int) -> bool:
        """Tell whether this account has access to a project."""
        return self.projects is None or project in self.projects


class Accounts:
    """The accounts of one sandbox; replacing a token ends the old one, as in the Dashboard."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_token: dict[str, Account] = {}
        for account in accounts:
            if account.token in self._by_token:
                raise ValueError("Two accounts have the same token")
            self._by_token[account.token] = account

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_token.values())

    def by_token(self, token: object) -> Account | None:
        """Give the active account with this token, or None."""
        account = self._by_token.get(token) if isinstance(token, str) else None
        return account if account is not None and account.active else None

    def put(self, account: Account) -> None:
        """Add an account, or replace the one of the same name, whose token then is worth nothing."""
        kept = {token: old for token, old in self._by_token.items() if old.name != account.name}
        kept[account.token] = account
        self._by_token = kept

    def delete(self, name: str) -> None:
        """Delete an account: its token is refused from now on."""
        self._by_token = {token: old for token, old in self._by_token.items() if old.name != name}
