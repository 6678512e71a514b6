"""Cases that share an identifier are suggested by how rare it is; a person confirms or refuses, and that is kept."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from gateway.desk.cases.linking import FEW, MANY, MOST_COUNTED, Match, Matches, get_matches
from gateway.desk.cases.model import get_case
from gateway.desk.collection.identifiers import FAIR, SEARCH_ONLY, STRONG, WEAK
from gateway.desk.collection.joining import list_cluster
from gateway.desk.store import DeskStore, open_store
from gateway.desk.store.schema import AUDIT, CASE_LINKS, SERVICE_IDENTIFIERS
from tests.desk.desk_loop import Loop
from tests.desk.identifier_builders import INDEX_SIGNER, add_cases, add_identifier
from tests.desk.industry_builders import find
from tests.desk.view_builders import Browser
from tests.gateway.public.person import list_files
from tests.public_report_builders import make_known_person

pytestmark = pytest.mark.databases("sqlite", "postgresql")
WHY = "The same account wrote to both."


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> DeskStore:
    return open_store(tmp_path / "desk.sqlite", uri=database_uri, create=True)


def match(connection: Connection, case_id: str) -> Matches:
    return get_matches(connection, get_case(connection, case_id))


def strengths(matches: Matches) -> dict[str, int]:
    return {one.case.case_id: one.strength for one in matches.best}


def test_rare_identifier_is_strong_and_a_common_one_is_weak_or_not_counted(store: DeskStore) -> None:
    with store.write() as connection:
        one, *others = add_cases(connection, MOST_COUNTED + 2)
        add_identifier(connection, [one, others[0]], "phone", "+447700900123")
        add_identifier(connection, [one, *others[1 : FEW + 2]], "email", "owl@other.example")
        add_identifier(connection, [one, *others[10 : MANY + 11]], "link", "other.example/u/1")
        add_identifier(connection, [one, *others[: MOST_COUNTED + 1]], "content", "md5:00")
        matches = match(connection, one)
    # The hash of a file in 500 cases is none of those listed.
    assert [(shared.kind, shared.is_counted_out) for shared in matches.common] == [("content", True)]
    assert matches.found == 1 + (FEW + 1) + (MANY + 1)
    best = matches.best[0]
    assert (best.case.case_id, best.strength) == (others[0], STRONG)
    assert [(shared.kind, shared.others) for shared in best.shared] == [("phone", 1)]
    assert {one.strength for one in matches.best[1 : FEW + 2]} == {FAIR}
    assert {one.strength for one in matches.best[FEW + 2 :]} == {WEAK}
    assert matches.weak == MANY + 1


def test_contact_that_a_service_gives_as_its_own_ties_nothing_and_is_shown_as_not_counted(store: DeskStore) -> None:
    (digest,) = INDEX_SIGNER.hash_identifiers([("email", "safety@chat.example")])
    with store.write() as connection:
        one, other = add_cases(connection, 2)
        add_identifier(connection, [one, other], "email", "safety@chat.example")
        assert match(connection, one).found == 1
        connection.execute(insert(SERVICE_IDENTIFIERS).values(digest=digest, partner="example-chat"))
        matches = match(connection, one)
    assert matches.found == 0
    assert [(shared.owner, shared.others) for shared in matches.common] == [("example-chat", 1)]


def test_two_weak_signs_of_different_kinds_are_a_fair_one_and_a_name_adds_nothing_to_its_account(
    store: DeskStore,
) -> None:
    with store.write() as connection:
        one, both, account, searched = add_cases(connection, 4)
        add_identifier(connection, [one, both], "username", "owl", strength=WEAK)
        add_identifier(connection, [one, both], "link", "other.example", strength=WEAK)
        add_identifier(connection, [one, account], "account", "otherchat\nowl7", strength=FAIR)
        add_identifier(connection, [one, account], "username", "owl7", strength=WEAK)
        add_identifier(connection, [one, searched], "name", "sam", strength=SEARCH_ONLY)
        matches = match(connection, one)
    assert strengths(matches) == {both: FAIR, account: FAIR}
    (shown,) = (one for one in matches.best if one.case.case_id == account)
    assert [shared.kind for shared in shown.shared] == ["account"]


def test_link_is_no_stronger_than_its_weaker_end(store: DeskStore) -> None:
    with store.write() as connection:
        one, other = add_cases(connection, 2)
        add_identifier(connection, [one], "phone", "+447700900123")
        add_identifier(connection, [other], "phone", "+447700900123", place="text", strength=FAIR)
        assert strengths(match(connection, one)) == {other: FAIR}
        assert strengths(match(connection, other)) == {one: FAIR}


def test_reports_of_one_case_match_others_together_and_never_each_other(store: DeskStore) -> None:
    with store.write() as connection:
        (first,) = add_cases(connection, 1)
        (joined,) = add_cases(connection, 1, start=1, joined_to=first)
        (other,) = add_cases(connection, 1, start=2)
        (others_joined,) = add_cases(connection, 1, start=3, joined_to=other)
        add_identifier(connection, [first, joined], "phone", "+447700900123")
        add_identifier(connection, [joined, others_joined], "email", "owl@other.example")
        for case_id in (first, joined):
            assert strengths(match(connection, case_id)) == {other: STRONG}


def send_two(loop: Loop) -> tuple[str, str]:
    """File two reports about one account and return their references."""
    person = make_known_person(app="Other Chat", handle="night_owl7")
    pair = [loop.send_public(person=person).reference for _ in range(2)]
    loop.collect()
    return pair[0], pair[1]


def read_matches(loop: Loop, reference: str) -> tuple[Match, ...]:
    with loop.desk.store.read() as connection:
        return match(connection, reference).best


def test_confirmed_match_is_a_link_like_any_other_and_a_second_press_changes_nothing(loop: Loop) -> None:
    one, other = send_two(loop)
    case_id = find(loop, one).case_id
    browser = Browser(loop.desk).sign_in()
    page = browser.get(f"/cases/{case_id}").text
    assert "Also in 1 other case" in page
    assert "User name and service of a suspect" in page
    assert "in these two cases alone" in page
    refused = browser.post(f"/cases/{case_id}/confirm-match", matched_case=other, match_reason=" ")
    assert refused.status_code == 409
    assert "Give the reason." in refused.text
    for _ in range(2):
        done = browser.post(f"/cases/{case_id}/confirm-match", matched_case=other, match_reason=WHY)
        assert done.status_code == 303
    with loop.desk.store.read() as connection:
        assert list_cluster(connection, case_id) == {case_id, find(loop, other).case_id}
        assert len(connection.execute(select(CASE_LINKS)).all()) == 1
    assert read_matches(loop, one) == read_matches(loop, other) == ()


def test_refused_match_is_remembered_from_both_sides_and_its_reason_is_sealed(loop: Loop) -> None:
    one, other = send_two(loop)
    case_id = find(loop, one).case_id
    browser = Browser(loop.desk).sign_in()
    browser.get(f"/cases/{case_id}")
    for _ in range(2):
        done = browser.post(f"/cases/{case_id}/refuse-match", matched_case=other, match_reason=WHY)
        assert done.status_code == 303
    assert read_matches(loop, one) == read_matches(loop, other) == ()
    with loop.desk.store.read() as connection:
        assert list_cluster(connection, case_id) == {case_id}
        entries = connection.execute(select(AUDIT.c.detail).where(AUDIT.c.action == "keep-apart-case")).scalars().all()
    assert len(entries) == 2  # one for each case
    assert all("box_sha256" in entry and WHY not in entry for entry in entries)
    assert [path for path in list_files(loop.desk.paths.state) if WHY.encode() in path.read_bytes()] == []
    assert f"kept the case apart from another: {other}" in browser.get(f"/cases/{case_id}").text
    assert WHY in browser.post(f"/cases/{case_id}/read").text
    # A later report of the same account is suggested all the same, to both.
    third = loop.send_public(person=make_known_person(app="otherchat", handle="@Night_Owl7")).reference
    loop.collect()
    assert [one.case.reference for one in read_matches(loop, one)] == [third]
    assert {one.case.reference for one in read_matches(loop, third)} == {one, other}


@pytest.mark.parametrize(("wanted", "status"), [("itself", 409), ("linked", 409), ("unknown", 409)])
def test_refusal_of_itself_of_a_linked_case_or_of_none_is_a_fault(loop: Loop, wanted: str, status: int) -> None:
    one, other = send_two(loop)
    case_id = find(loop, one).case_id
    browser = Browser(loop.desk).sign_in()
    browser.get(f"/cases/{case_id}")
    browser.post(f"/cases/{case_id}/confirm-match", matched_case=other, match_reason=WHY)
    named = {"itself": one, "linked": other, "unknown": "K7QF-2M9TX-D"}[wanted]
    refused = browser.post(f"/cases/{case_id}/refuse-match", matched_case=named, match_reason=WHY)
    assert refused.status_code == status
    with loop.desk.store.read() as connection:
        assert len(connection.execute(select(CASE_LINKS)).all()) == 1
