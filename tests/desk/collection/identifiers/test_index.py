"""The index holds keyed hashes alone, filed with the case and gone with it; it answers nothing without the vault."""

import hashlib
import hmac
import itertools
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from gateway.desk.collection.identifiers import INDEX_VERSION, KINDS, list_own
from gateway.desk.store.schema import CASE_IDENTIFIERS, CASES, SERVICE_IDENTIFIERS
from gateway.desk.vault import MOST_IDENTIFIERS
from gateway.desk.vault.holder import IDENTIFIER_HASH_BYTES
from partner_sdk.errors import LocalStateError
from partner_sdk.report import SealedIndustryReport
from tests.builders import make_clear_fields
from tests.desk.desk_loop import Loop
from tests.desk.identifier_builders import INDEX_SIGNER, make_signer
from tests.desk.industry_builders import find, make_full_report, send
from tests.public_report_builders import make_contact, make_known_person

HANDLE, EMAIL, PHONE = "night_owl_marker7", "night-marker@other.example", "+447700900123"
BOTH = pytest.mark.databases("sqlite", "postgresql")


def send_person(loop: Loop) -> str:
    person = make_known_person(app="Other Chat", handle=HANDLE)
    story = f"He asked me to write to {EMAIL} or {PHONE}."
    return loop.send_public(
        person=person, contact=make_contact(ways=("call",), phone="07700 900456"), story=story
    ).reference


def list_rows(loop: Loop, reference: str) -> list[tuple[bytes, str, str, int]]:
    table = CASE_IDENTIFIERS
    with loop.desk.store.read() as connection:
        query = select(table.c.digest, table.c.kind, table.c.place, table.c.strength)
        rows = connection.execute(query.where(table.c.case_id == find(loop, reference).case_id))
        return [(bytes(row.digest), row.kind, row.place, row.strength) for row in rows]


@BOTH
def test_identifiers_of_both_kinds_of_report_are_filed_with_the_case_as_hashes_of_the_vault(loop: Loop) -> None:
    public, industry = send_person(loop), send(loop, make_full_report())
    loop.collect()
    rows = list_rows(loop, public)
    assert {(kind, place) for _, kind, place, _ in rows} >= {
        ("account", "suspect"),
        ("email", "text"),
        ("phone", "text"),
        ("phone", "reporter"),
    }
    (digest,) = loop.desk.load_signer().hash_identifiers([("account", f"otherchat\n{HANDLE}")])
    assert (digest, "account", "suspect", 3) in rows
    assert {len(one) for one, *_ in rows} == {IDENTIFIER_HASH_BYTES}
    assert len(list_rows(loop, industry)) >= 10
    assert find(loop, public).index_version == INDEX_VERSION
    with loop.desk.store.read() as connection:
        owners = set(connection.execute(select(SERVICE_IDENTIFIERS.c.partner)).scalars())
    assert owners == {loop.partner.partner}


@BOTH
def test_rows_go_with_their_case_whatever_deletes_it(loop: Loop) -> None:
    kept, gone = send_person(loop), send_person(loop)
    loop.collect()
    assert list_rows(loop, gone)
    case_id = find(loop, gone).case_id
    with loop.desk.store.write() as connection:
        connection.execute(delete(CASES).where(CASES.c.case_id == case_id))
    with loop.desk.store.read() as connection:
        left = set(connection.execute(select(CASE_IDENTIFIERS.c.case_id)).scalars())
    assert left == {find(loop, kept).case_id}


def list_files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert len(found) >= 8
    return found


def test_no_identifier_is_in_any_file_of_the_desk(loop: Loop) -> None:
    send_person(loop)
    loop.collect()
    loop.desk.store.close()
    markers = [one.encode() for one in (HANDLE, EMAIL, PHONE, "7700900123", "7700 900456", "otherchat")]
    for path in list_files(loop.folder / "desk"):
        raw = path.read_bytes().lower()
        assert [marker for marker in markers if marker in raw] == [], path


def test_dictionary_of_known_identifiers_finds_nothing_in_a_stolen_index(loop: Loop) -> None:
    """An attacker has the database, every key of the desk but the vault's, and the very identifiers."""
    send_person(loop)
    loop.collect()
    with loop.desk.store.read() as connection:
        stolen = {bytes(one) for one in connection.execute(select(CASE_IDENTIFIERS.c.digest)).scalars()}
    assert len(stolen) >= 5
    known = [f"otherchat\n{HANDLE}", HANDLE, EMAIL, PHONE, "+447700900456", "sam"]
    keys_folder = loop.desk.paths.keys
    keys = [b"", *(path.read_bytes() for path in keys_folder.iterdir() if path.name != "identifier.key")]
    assert len(keys) >= 6
    tried = 0
    for value, kind, key in itertools.product(known, ("", *KINDS), keys):
        for text in (value, f"{kind}{value}", f"{kind}:{value}", f"{kind}\n{value}"):
            for digest in (hashlib.sha256(text.encode()).digest(), hmac.digest(key, text.encode(), "sha256")):
                tried += 1
                assert digest[:IDENTIFIER_HASH_BYTES] not in stolen
    other = make_signer("another desk")
    assert stolen.isdisjoint(other.hash_identifiers(list(itertools.product(KINDS, known))))
    # With the key, the same dictionary finds them: the attack is no straw man.
    own = loop.desk.load_signer().hash_identifiers(list(itertools.product(KINDS, known)))
    assert len(stolen & set(own)) >= 4
    assert tried > 1000


def test_each_kind_has_a_key_of_its_own() -> None:
    digests = INDEX_SIGNER.hash_identifiers([(kind, "night_owl7") for kind in KINDS])
    assert len(set(digests)) == len(KINDS)
    assert digests == INDEX_SIGNER.hash_identifiers([(kind, "night_owl7") for kind in KINDS])


def test_more_identifiers_than_fit_one_request_are_hashed_in_their_order() -> None:
    many = [("phone", str(number)) for number in range(MOST_IDENTIFIERS + 1)]
    digests = INDEX_SIGNER.hash_identifiers(many)
    assert len(set(digests)) == len(many)
    assert digests[-1:] == INDEX_SIGNER.hash_identifiers(many[-1:])


def test_desk_without_the_key_hashes_nothing_and_makes_none(loop: Loop) -> None:
    path = loop.desk.paths.keys / "identifier.key"
    path.unlink()
    with pytest.raises(LocalStateError) as caught:
        loop.desk.load_signer().hash_identifiers([("phone", PHONE)])
    assert caught.value.reason == "no-key-file"
    assert not path.exists()


def test_report_is_filed_without_the_key_and_waits_for_the_index(loop: Loop) -> None:
    (loop.desk.paths.keys / "identifier.key").unlink()
    reference = send_person(loop)
    assert loop.collect().filed == 1
    assert list_rows(loop, reference) == []
    assert find(loop, reference).index_version is None


def test_partners_own_contacts_are_kept_once_and_belong_to_no_case(loop: Loop) -> None:
    report = make_full_report()
    own = list_own(SealedIndustryReport(clear=make_clear_fields(loop.partner.partner), report=report))
    assert own
    send(loop, report)
    send(loop, report)
    loop.collect()
    with loop.desk.store.read() as connection:
        rows = connection.execute(select(SERVICE_IDENTIFIERS.c.digest)).scalars().all()
        found = set(connection.execute(select(CASE_IDENTIFIERS.c.digest)).scalars())
    assert len(rows) == len(own)
    assert {bytes(one) for one in rows}.isdisjoint({bytes(one) for one in found})
