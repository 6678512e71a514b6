"""A signer that hashes identifiers and does nothing else, and cases with rows of an index that it made."""

from collections.abc import Iterable

from sqlalchemy import Connection, insert

from gateway.desk.store.schema import CASE_IDENTIFIERS, CASES
from gateway.desk.vault import Answer, Hashes, HashIdentifiers, Request
from gateway.desk.vault.doors import Signer
from gateway.desk.vault.holder import hash_identifiers
from partner_sdk.key_files import KeyRole
from tests.builders import make_key


def make_signer(name: str) -> Signer:
    """Return a signer with the key of this name."""
    key_file = make_key(KeyRole.IDENTIFIER, name=name)

    def answer(request: Request) -> Answer:
        assert isinstance(request, HashIdentifiers)
        return Hashes(values=tuple(hash_identifiers(key_file, request.identifiers)))

    return Signer(answer)


INDEX_SIGNER = make_signer("index")


def add_cases(connection: Connection, count: int, *, start: int = 0, **columns: object) -> list[str]:
    """Add so many read cases of the public without a report, and return their ids."""
    rows = [make_open_case(start + number) | columns for number in range(count)]
    connection.execute(insert(CASES), rows)
    return [str(row["case_id"]) for row in rows]


def add_identifier(connection: Connection, case_ids: Iterable[str], kind: str, value: str, **columns: object) -> None:
    """Add one identifier to each of these cases, by default in a field about a suspect, hashed by `INDEX_SIGNER`."""
    (digest,) = INDEX_SIGNER.hash_identifiers([(kind, value)])
    row = {"digest": digest, "kind": kind, "place": "suspect", "strength": 3, **columns}
    connection.execute(insert(CASE_IDENTIFIERS), [row | {"case_id": case_id} for case_id in case_ids])


def make_open_case(number: int) -> dict[str, object]:
    """Return a case as filing writes it: of both doors, one in twenty in the crisis lane."""
    is_public, in_crisis = number % 2 == 0, number % 20 == 0
    return {
        "case_id": f"case-{number:07d}",
        "environment": "live",
        "partner": "public" if is_public else f"partner-{number % 50}",
        "report_id": f"report-{number}",
        "reference": f"REF-{number:07d}",
        "door": "public" if is_public else "industry",
        "priority": "P1" if in_crisis else "P3",
        "received_at": f"2026-11-{1 + number % 25:02d}T{number % 24:02d}:{number % 60:02d}:00Z",
        "collected_at": "2026-11-25T09:30:00Z",
        "factors": "self_harm still_going_on" if in_crisis else "grooming teenager",
        "crisis": in_crisis,
        "score": number % 300,
        "crisis_since": "2026-11-25T09:30:00Z" if in_crisis else None,
        "reply_owed": is_public,
        "reply_by": f"2026-11-{1 + number % 28:02d}" if is_public else None,
        "synthetic": False,
        "index_version": 1,
    }
