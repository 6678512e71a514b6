"""Suggests the accounts to ask about, from the identifiers of a case's reports: never one of the reporter."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.identifiers.extracting import (
    ACCOUNT,
    CONTENT,
    DEVICE,
    EMAIL,
    INCIDENT,
    LINK,
    PAYMENT,
    PHONE,
    SUSPECT,
    TEXT,
    Identifier,
    list_identifiers,
)
from gateway.desk.identifiers.index import Traces, list_matches
from partner_sdk.wire.mailbox import ACCOUNT_KINDS, MAX_ACCOUNT_CHARACTERS, AskedAccount

# More than a person compares; the others are in the report.
MOST_SUGGESTED: Final = 12
# The places of the person that a report is about. Text is last: it names anyone.
_PLACES: Final = (SUSPECT, INCIDENT, TEXT)
_KINDS: Final = {
    EMAIL: "email",
    PHONE: "phone",
    LINK: "link",
    PAYMENT: "payment",
    DEVICE: "device",
    CONTENT: "content",
}


@dataclass(frozen=True, slots=True)
class SuggestedAccount:
    """One account, with the service that the report names for a user name."""

    account: AskedAccount
    service: str = ""

    @property
    def code(self) -> str:
        """The value of its tick box, e.g. `username:night_owl7`."""
        return f"{self.account.kind}:{self.account.value}"

    @property
    def title(self) -> str:
        """Its line on the page."""
        service = f" ({self.service})" if self.service else ""
        return f"{ACCOUNT_KINDS[self.account.kind]}: {self.account.value}{service}"


def suggest_accounts(contents: Iterable[SealedContent], traces: Traces) -> list[SuggestedAccount]:
    """Return the accounts in the reports of a case, those of the suspect first; the values are in one spelling."""
    found = [one for content in contents for one in list_identifiers(content) if one.place in _PLACES]
    found.sort(key=lambda one: _PLACES.index(one.place))
    listed = {suggested.account: suggested for one in reversed(found) for suggested in _to_account(one.identifier)}
    free = [one for one in reversed(listed.values()) if not list_matches(one.account.value, traces)]
    return free[:MOST_SUGGESTED]


def parse_account(code: str) -> AskedAccount:
    """Return the account of a ticked box; its kind may be none."""
    kind, _, value = code.partition(":")
    return AskedAccount(kind=kind, value=value)


def _to_account(identifier: Identifier) -> Iterator[SuggestedAccount]:
    if len(identifier.value) > MAX_ACCOUNT_CHARACTERS:
        return
    if identifier.kind == ACCOUNT:
        service, _, name = identifier.value.partition("\n")
        yield SuggestedAccount(AskedAccount(kind="username", value=name), service)
    elif identifier.kind in _KINDS:
        yield SuggestedAccount(AskedAccount(kind=_KINDS[identifier.kind], value=identifier.value))
