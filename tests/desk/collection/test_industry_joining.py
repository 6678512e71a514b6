"""A partner's additions are one case with its first report, in any order and any batches of the gateway."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, select

from gateway.desk.cases.actions.model import list_actions, list_clocks
from gateway.desk.cases.model import CaseRow, get_case, to_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.cases.queue import list_queue
from gateway.desk.collection.filing import NewCase, file_cases
from gateway.desk.collection.joining import join_case, list_cluster, list_misjoined
from gateway.desk.collection.row_checks import BY_GATEWAY
from gateway.desk.store.schema import CASE_ACTIONS, CASES, METADATA
from partner_sdk.report import SealedIndustryReport, list_given
from partner_sdk.wire.canonical import format_time
from tests.builders import NOW, make_clear_fields
from tests.desk.cases.test_industry_cases import calm_report
from tests.desk.identifier_builders import INDEX_SIGNER

CALM = calm_report()
DANGER = msgspec.structs.replace(
    CALM, children=(msgspec.structs.replace(list_given(CALM.children)[0], at_risk_now="yes"),)
)
OTHER_NAME = "K7QF-2M9TX-D"
REQUEST = "0" * 26


@dataclass(frozen=True, slots=True)
class Said:
    """One report of a partner: its reference, the one that it names, and how urgent it is."""

    reference: str
    names: str | None = None
    priority: str = "P3"
    is_danger: bool = False


Page = tuple[Said, ...]

CHAIN: Page = (Said("A"), Said("S1", "A"), Said("S2", "S1", "P2"), Said("S3", "S2", "P1", is_danger=True))
# The most urgent one is at a branch, in the middle, at the beginning, and nearly at the end.
OTHER_SHAPES: dict[str, Page] = {
    "fork": (Said("A"), Said("S1", "A", "P2"), Said("S2", "S1", "P1"), Said("S3", "S1", is_danger=True)),
    "star": (Said("A"), Said("S1", "A"), Said("S2", "A", "P1", is_danger=True), Said("S3", "A", "P2")),
    "urgent first": (Said("A", None, "P1", is_danger=True), Said("S1", "A"), Said("S2", "S1"), Said("S3", "S2", "P2")),
    "longer chain": (*CHAIN, Said("S4", "S3")),
    "comb": (Said("A"), Said("S1", "A"), Said("S2", "A"), Said("S3", "S1", "P1"), Said("S4", "S2", is_danger=True)),
}
# A came as a file, and through the gateway too: OTHER_NAME is its second reference, which the gateway gave it.
TWO_NAMES: Page = (Said("A"), Said("S1", OTHER_NAME), Said("S2", "S1", "P1", is_danger=True))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An empty desk's tables in memory."""
    made = create_engine("sqlite://")
    METADATA.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A transaction of a desk that nothing has come to; it leaves nothing behind."""
    with engine.connect() as opened:
        yield opened


def list_splits(reports: Page) -> Iterator[list[Page]]:
    """Give every way to part a row of reports into pages."""
    for cuts in itertools.product((False, True), repeat=len(reports) - 1):
        places = [0, *(place for place, is_cut in enumerate(cuts, start=1) if is_cut), len(reports)]
        yield [reports[start:end] for start, end in itertools.pairwise(places)]


def hand_over(connection: Connection, pages: Sequence[Page], *, sent: Page) -> None:
    """File these pages as a collect does; a report was received in the order in which its partner sent it."""
    for page in pages:
        rows = [make_new_case(said, minutes=sent.index(said)) for said in page]
        case_ids = [case_id_of(said.reference) for said in page]
        file_cases(connection, rows, case_ids=case_ids, signer=INDEX_SIGNER, now=NOW)


def give_other_name(connection: Connection) -> None:
    """Note as `link_to_case` does that the first report has a second reference."""
    of_first = CASES.c.case_id == case_id_of("A")
    connection.execute(CASES.update().where(of_first).values(other_reference=OTHER_NAME))
    join_case(connection, case_id_of("A"), now=NOW)


def make_new_case(said: Said, *, minutes: int, **clear: Any) -> NewCase:
    fields = make_clear_fields(
        "example-chat",
        kind="initial" if said.names is None else "supplement",
        earlier_reference=said.names,
        priority=said.priority,
        **clear,
    )
    return NewCase(
        clear=fields,
        content=SealedIndustryReport(clear=fields, report=DANGER if said.is_danger else CALM),
        reference=said.reference,
        received_at=format_time(NOW + timedelta(minutes=minutes)),
        door="industry",
        placement=None,
        channel=BY_GATEWAY,
    )


def case_id_of(reference: str) -> str:
    # Neither in the order of sending nor of arrival: nothing may lean on it.
    return f"id-{reference[::-1]}"


def check_one_case(connection: Connection, sent: Page) -> None:
    """Hold everything that has to be true of a case, whichever way its reports came."""
    (first,) = list_queue(connection)
    assert first.reference == "A"
    assert [one.reference for one in list_reports(connection, first.first_id)] == [said.reference for said in sent]
    most = min(said.priority for said in sent)
    assert (first.priority, first.crisis) == (most, any(said.is_danger or said.priority == "P1" for said in sent))
    for later in all_cases(connection):
        assert later.joined_to == (None if later.reference == "A" else first.case_id)
        assert (later.priority, later.crisis, later.score) == (most, first.crisis, first.score)
        assert later.factors == first.factors
    assert list_misjoined(connection) == []
    assert list_cluster(connection, first.case_id) == {case_id_of(said.reference) for said in sent}


def all_cases(connection: Connection) -> list[CaseRow]:
    return [to_case(row) for row in connection.execute(select(CASES))]


def test_chain_of_reports_is_one_case_in_every_order_and_every_split_into_pages(engine: Engine) -> None:
    tried = 0
    for order in itertools.permutations(CHAIN):
        for pages in list_splits(order):
            with engine.connect() as connection:
                hand_over(connection, pages, sent=CHAIN)
                check_one_case(connection, CHAIN)
            tried += 1
    assert tried == 24 * 8


def test_reports_that_name_either_reference_are_one_case_whenever_the_second_is_known(engine: Engine) -> None:
    tried = 0
    for order in itertools.permutations(TWO_NAMES):
        for pages in list_splits(order):
            came = next(place for place, page in enumerate(pages, start=1) if TWO_NAMES[0] in page)
            for known in range(came, len(pages) + 1):
                with engine.connect() as connection:
                    hand_over(connection, pages[:known], sent=TWO_NAMES)
                    give_other_name(connection)
                    hand_over(connection, pages[known:], sent=TWO_NAMES)
                    check_one_case(connection, TWO_NAMES)
                tried += 1
    assert tried > 6 * 4


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_case_of_another_shape_is_one_case_in_any_order_the_operator_chooses(
    data: st.DataObject, engine: Engine
) -> None:
    sent = OTHER_SHAPES[data.draw(st.sampled_from(sorted(OTHER_SHAPES)))]
    order = tuple(data.draw(st.permutations(sent)))
    pages = data.draw(st.sampled_from(list(list_splits(order))))
    with engine.connect() as connection:
        hand_over(connection, pages, sent=sent)
        check_one_case(connection, sent)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_reports_that_name_each_other_in_a_circle_stay_in_the_queue_as_one_case(
    engine: Engine, order: tuple[int, ...]
) -> None:
    # Only a partner and its operator together can make one: nobody knows a reference before it is given.
    circle = (Said("A", "C"), Said("B", "A"), Said("C", "B", "P1"))
    for pages in list_splits(tuple(circle[place] for place in order)):
        with engine.connect() as connection:
            hand_over(connection, pages, sent=circle)
            (first,) = list_queue(connection)
            assert {one.reference for one in list_reports(connection, first.first_id)} == {"A", "B", "C"}
            assert (first.priority, list_misjoined(connection)) == ("P1", [])


def test_report_that_names_itself_is_a_case(connection: Connection) -> None:
    hand_over(connection, [(Said("A", "A", "P1"),)], sent=(Said("A", "A", "P1"),))
    assert [case.reference for case in list_queue(connection)] == ["A"]
    assert list_misjoined(connection) == []


@pytest.mark.parametrize("is_one_page", [True, False])
def test_another_partners_report_of_the_same_reference_joins_nothing(connection: Connection, is_one_page: bool) -> None:
    rows = [make_new_case(Said("A"), minutes=0), make_new_case(Said("S1", "A", "P1"), minutes=1)]
    theirs = make_new_case(Said("T1", "A", "P1"), minutes=2)
    fields = make_clear_fields("example-game", kind="supplement", earlier_reference="A", priority="P1")
    rows.append(NewCase(**{name: getattr(theirs, name) for name in NewCase.__slots__} | {"clear": fields}))
    batches = [rows] if is_one_page else [[row] for row in reversed(rows)]
    for batch in batches:
        case_ids = [case_id_of(row.reference) for row in batch]
        file_cases(connection, batch, case_ids=case_ids, signer=INDEX_SIGNER, now=NOW)
    assert get_case(connection, "T1").joined_to is None
    assert sorted(case.reference for case in list_queue(connection)) == ["A", "T1"]


def test_request_about_an_addition_is_found_at_the_first_report_once_that_came(connection: Connection) -> None:
    sent = (Said("A"), Said("S1", "A"))
    hand_over(connection, [sent[1:]], sent=sent)
    connection.execute(
        CASE_ACTIONS.insert().values(
            action_id=REQUEST,
            kind="information-request",
            case_id=case_id_of("S1"),
            recipient="example-chat",
            way="mailbox",
            state="sent",
            drafted_at=format_time(NOW),
            drafted_by="test-analyst",
            sent_at=format_time(NOW),
            due_at=format_time(NOW),
            protects=False,
            body_sha256="",
            box=b"",
        )
    )
    hand_over(connection, [sent[:1]], sent=sent)
    assert [one.action_id for one in list_actions(connection, case_id=case_id_of("A"))] == [REQUEST]
    assert list(list_clocks(connection, today=NOW.date())) == [case_id_of("A")]


def test_report_that_was_hidden_before_is_shown_again_once_its_case_is_added_to(connection: Connection) -> None:
    sent = CHAIN
    hand_over(connection, [sent], sent=sent)
    hidden = CASES.c.case_id == case_id_of("S3")
    connection.execute(CASES.update().where(hidden).values(joined_to=case_id_of("S1")))
    assert list_misjoined(connection) == ["S3"]
    later = (*sent, Said("S4", "A"))
    hand_over(connection, [later[-1:]], sent=later)
    check_one_case(connection, later)


def test_report_that_is_joined_to_a_missing_one_or_to_itself_is_listed(connection: Connection) -> None:
    sent = CHAIN
    hand_over(connection, [sent], sent=sent)
    for reference, wrong in (("S1", "no-such-case"), ("S2", case_id_of("S2"))):
        changed = CASES.c.case_id == case_id_of(reference)
        connection.execute(CASES.update().where(changed).values(joined_to=wrong))
    assert list_misjoined(connection) == ["S1", "S2"]
