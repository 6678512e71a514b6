"""Links between cases: by closing one as another and on the case page, before closing and after it."""

import dataclasses

import pytest
from sqlalchemy import select

from gateway.desk.cases.linking import link_cases, list_linked, unlink_cases
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.collection.joining import list_cluster
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.store.schema import AUDIT
from tests.desk.cases.test_cases import CLOSING
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.view_builders import Browser
from tests.desk.work_builders import assess_and_close, refused
from tests.gateway.public.person import list_files

WHY = "The same account wrote to both."


def read(loop: Loop, count: int) -> list[str]:
    """File and open reports of grown-ups, with no reply owed, and return their references."""
    references = [loop.send_public(under_18="no").reference for _ in range(count)]
    loop.collect()
    for reference in references:
        open_case(loop.desk, reference, actor=ACTOR)
    return references


def close(loop: Loop, reference: str, same_as: str | None = None) -> None:
    assess_and_close(loop.desk, reference, dataclasses.replace(CLOSING, same_as=same_as), actor=ACTOR)


def get_id(loop: Loop, reference: str) -> str:
    with loop.desk.store.read() as connection:
        return get_case(connection, reference).case_id


def list_references(loop: Loop, reference: str) -> set[str]:
    """Return the references of a case's cluster."""
    with loop.desk.store.read() as connection:
        cluster = list_cluster(connection, get_case(connection, reference).case_id)
        return {get_case(connection, case_id).reference for case_id in cluster}


def test_closing_two_as_one_and_then_one_as_zero_makes_one_cluster(loop: Loop) -> None:
    zero, one, two, alone = read(loop, 4)
    close(loop, two, same_as=one)
    close(loop, one, same_as=zero)
    close(loop, zero)
    close(loop, alone)
    for reference in (zero, one, two):
        assert list_references(loop, reference) == {zero, one, two}
    assert list_references(loop, alone) == {alone}


def test_closed_cases_are_linked_and_parted_again_with_reasons_that_stay(loop: Loop) -> None:
    first, second, third = read(loop, 3)
    close(loop, first)
    close(loop, second)
    link_cases(loop.desk, first, second, reason=WHY, actor=ACTOR)
    link_cases(loop.desk, second, third, reason=WHY, actor=ACTOR)
    with loop.desk.store.read() as connection:
        linked = list_linked(connection, get_case(connection, first))
    assert [(one.case.reference, one.record and one.record.by) for one in linked] == [(second, ACTOR), (third, None)]
    with refused("no-link"):  # only the second connects them
        unlink_cases(loop.desk, first, third, reason=WHY, actor=ACTOR)
    unlink_cases(loop.desk, first, second, reason=WHY, actor=ACTOR)
    assert list_references(loop, first) == {first}
    assert list_references(loop, second) == {second, third}
    with loop.desk.store.read() as connection:
        actions = connection.execute(select(AUDIT.c.action).where(AUDIT.c.action.like("%link-case"))).scalars().all()
    # One for each of the two cases.
    assert actions == ["link-case"] * 4 + ["unlink-case"] * 2


def test_supplement_is_linked_by_the_desk_and_stays_apart_once_a_person_has_parted_it(loop: Loop) -> None:
    first = loop.send_industry().reference
    loop.collect()
    later = loop.send_industry(kind="supplement", earlier_reference=first).reference
    loop.collect()
    with loop.desk.store.read() as connection:
        (linked,) = list_linked(connection, get_case(connection, first))
    assert linked.record is not None
    assert (linked.case.reference, linked.record.by) == (later, BY_THE_DESK)
    unlink_cases(loop.desk, later, first, reason=WHY, actor=ACTOR)
    page = Browser(loop.desk).sign_in().get(f"/cases/{get_id(loop, first)}").text
    assert page.count(f"ended the link of the case with another: {later}") == 1
    another = loop.send_industry(kind="supplement", earlier_reference=first).reference
    loop.collect()
    assert list_references(loop, first) == {first, another}


@pytest.mark.parametrize(
    ("other", "reason", "refusal"),
    [
        ("nothing", WHY, "unknown-case"),
        ("", WHY, "unknown-case"),
        (None, WHY, "own-case"),
        (None, " ", "reason-missing"),
    ],
)
def test_link_to_nothing_to_itself_or_without_a_reason_is_refused(
    loop: Loop, other: str | None, reason: str, refusal: str
) -> None:
    (case,) = read(loop, 1)
    with refused(refusal):
        link_cases(loop.desk, case, case if other is None else other, reason=reason, actor=ACTOR)


def test_page_links_two_closed_cases_and_ends_their_link(loop: Loop) -> None:
    first, second = read(loop, 2)
    for reference in (first, second):
        close(loop, reference)
    case_id = get_id(loop, first)
    browser = Browser(loop.desk).sign_in()
    browser.get(f"/cases/{case_id}")
    refused = browser.post(f"/cases/{case_id}/link", linked_case=second, link_reason="")
    assert refused.status_code == 409
    assert "Give the reason." in refused.text
    assert f'value="{second}"' in refused.text
    assert browser.post(f"/cases/{case_id}/link", linked_case=second, link_reason=f"<b>{WHY}").status_code == 303
    for one, other in ((first, second), (second, first)):
        page = browser.get(f"/cases/{get_id(loop, one)}").text
        assert f"linked the case with another: {other}" in page
        assert WHY not in page
        opened = browser.post(f"/cases/{get_id(loop, one)}/read").text
        assert f"linked the case with another: {other}" in opened
        assert f"&lt;b&gt;{WHY}" in opened
    assert [path for path in list_files(loop.desk.paths.state) if WHY.encode() in path.read_bytes()] == []
    assert browser.post(f"/cases/{case_id}/unlink", linked_case=second, link_reason=WHY).status_code == 303
    assert list_references(loop, first) == {first}
