"""The index of identifiers: adds those of a report, in the transaction that files its case, as hashes of the vault.

Never holds a value: what is written here cannot be compared with a list of names or numbers without the vault's key.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, delete

from gateway.databases.columns import insert_new
from gateway.desk.identifiers.extracting import INCIDENT, STRONG, WEAK, Found, list_identifiers, list_own
from gateway.desk.identifiers.normalising import USERNAME, Identifier
from gateway.desk.store.identifier_tables import CASE_IDENTIFIERS, SERVICE_IDENTIFIERS
from gateway.desk.vault.doors import Signer
from partner_sdk.errors import LocalStateError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.wire.public_report import PublicReport

# Cases that were indexed by an older version are indexed again by `case index`: raise it with the rules of extracting.
INDEX_VERSION: Final = 2

_ADD: Final = insert_new(CASE_IDENTIFIERS, "digest", "case_id", "kind", "place", "strength")
_ADD_OWN: Final = insert_new(SERVICE_IDENTIFIERS, "digest", "partner")


@dataclass(frozen=True, slots=True)
class IndexRows:
    """The rows of some reports, hashed. `version` is None where the vault has no key: `case index` adds them later."""

    found: list[dict[str, object]]
    own: list[dict[str, object]]
    version: int | None = INDEX_VERSION

    def keep(self, case_ids: Collection[str]) -> "IndexRows":
        """Return the rows of these cases alone."""
        return replace(self, found=[row for row in self.found if row["case_id"] in case_ids])


def make_rows(signer: Signer, reports: Mapping[str, PublicReport | SealedIndustryReport]) -> IndexRows:
    """Hash the identifiers of opened reports, by case id, in one call of the vault.

    Raises `VaultError` if the vault cannot answer: then nothing is filed.
    """
    found: list[tuple[str, Found]] = []
    own: dict[tuple[str, Identifier], None] = {}
    for case_id, report in reports.items():
        contacts = list_own(report)
        own |= {(report.clear.partner, one): None for one in contacts}
        found += [(case_id, one) for one in list_identifiers(report, own=contacts)]
    wanted = [*(one.identifier for _, one in found), *(identifier for _, identifier in own)]
    try:
        digests = signer.hash_identifiers(wanted)
    except LocalStateError:
        # A report is filed and its alert goes out all the same.
        return IndexRows([], [], version=None)
    rows: list[dict[str, object]] = [
        {
            "digest": digest,
            "case_id": case_id,
            "kind": one.identifier.kind,
            "place": one.place,
            "strength": one.strength,
        }
        for (case_id, one), digest in zip(found, digests[: len(found)], strict=True)
    ]
    own_rows: list[dict[str, object]] = [
        {"digest": digest, "partner": partner} for (partner, _), digest in zip(own, digests[len(found) :], strict=True)
    ]
    return IndexRows(rows, own_rows)


def hold_account(signer: Signer, connection: Connection, case_id: str, identifiers: Sequence[Identifier]) -> None:
    """Index a name in a report's words as an account of its case, in the caller's transaction."""
    digests = signer.hash_identifiers(identifiers)
    mine = (CASE_IDENTIFIERS.c.case_id == case_id) & CASE_IDENTIFIERS.c.digest.in_(digests)
    connection.execute(delete(CASE_IDENTIFIERS).where(mine))
    for one, digest in zip(identifiers, digests, strict=True):
        strength = WEAK if one.kind == USERNAME else STRONG
        row = {"digest": digest, "case_id": case_id, "kind": one.kind, "place": INCIDENT, "strength": strength}
        connection.execute(_ADD, row)


def add_rows(connection: Connection, rows: IndexRows) -> None:
    """Add the rows of cases that are in the table, in the caller's transaction."""
    if rows.found:
        connection.execute(_ADD, rows.found)
    if rows.own:
        connection.execute(_ADD_OWN, rows.own)


def remove_rows(connection: Connection, case_id: str) -> None:
    """Remove the rows of a case that is indexed again."""
    connection.execute(delete(CASE_IDENTIFIERS).where(CASE_IDENTIFIERS.c.case_id == case_id))
