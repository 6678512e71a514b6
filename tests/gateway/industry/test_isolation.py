"""A partner's data is its own: every route below `/v1`, run as its owner, as others and without a key.

An outsider cannot even learn that an item is there: answers are the same, bytes and headers, but for the id of the
request. Time is not measured. R42: a child's report is out of every partner's reach.
"""

import functools
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from gateway.config import LimitsConfig
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, make_report_id
from partner_sdk.wire.evidence import EvidenceState
from tests.builders import (
    NOW,
    PUBLIC_ORIGIN,
    Agency,
    Door,
    House,
    Partner,
    SealedReport,
    make_box,
    make_house,
    seal_report,
)
from tests.gateway.industry.kept_state import read_kept
from tests.gateway.industry.partner_calls import (
    EVIDENCE_ID,
    REPORT_ID,
    UNKNOWN_ID,
    PartnerCall,
    check_every_route_has_a_call,
    invite_newcomer,
    make_calls,
    put_message,
    send_call,
)
from tests.gateway.public.fixtures import make_public_house
from tests.gateway.store_builders import new_public_report
from tests.problem_shape import check_problem

OWNER = Partner()
OTHERS = (Partner("second-service"), Partner("third-service"))
SUSPENDED = Partner("suspended-service")
OTHER_ENVIRONMENT = Partner(OWNER.partner, environment="sandbox")

# What another active partner gets at the address of something that is the owner's.
SAME_FOR_ALL = "open"  # the same bytes as the owner, or anybody
NOT_FOUND = "404"  # as if it did not exist
OWN_SPACE = "own"  # ids are each partner's own: it meets nothing of the owner's
OWN_LIST = "list"  # an own list, without anything of the owner's
SENDER_ONLY = "422"  # the owner's own signed statement, which nobody else may send
TABLE: Mapping[str, str] = {
    "get_docs": SAME_FOR_ALL,
    "get_docs_file": SAME_FOR_ALL,
    "get_evidence": NOT_FOUND,
    "get_keys": SAME_FOR_ALL,
    "get_mailbox": OWN_LIST,
    "get_mailbox_schema": SAME_FOR_ALL,
    "get_openapi": SAME_FOR_ALL,
    "get_report": NOT_FOUND,
    "get_schema": SAME_FOR_ALL,
    "get_status": SAME_FOR_ALL,
    "post_account": OWN_SPACE,
    "post_adoption": SAME_FOR_ALL,
    "post_enrol": SAME_FOR_ALL,
    "post_evidence_complete": NOT_FOUND,
    "post_mailbox_ack": NOT_FOUND,
    "post_mailbox_entry": NOT_FOUND,
    "post_report": SENDER_ONLY,
    "put_evidence_part": OWN_SPACE,
}
CLOSED = sorted(name for name, kind in TABLE.items() if kind != SAME_FOR_ALL)
# What differs between two answers to the same question.
OF_THE_REQUEST = {"x-request-id", "ratelimit", "date"}


def shape_of(answer: Response) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    """Return an answer without the parts that belong to this one request."""
    request_id = answer.headers["X-Request-Id"]
    headers = sorted((name, value) for name, value in answer.headers.items() if name.lower() not in OF_THE_REQUEST)
    return answer.status_code, answer.data.replace(request_id.encode(), b"REQUEST"), tuple(headers)


@dataclass
class Street:
    """A gateway with several partners; `owner` has one of everything once `fill` was called."""

    house: House
    app: Flask
    calls: Mapping[str, PartnerCall]
    first_answers: dict[str, TestResponse] = field(default_factory=dict)

    def door(self, partner: Partner | None) -> Door:
        """Return the same app, called by a partner or without a key."""
        key = None if partner is None else partner.submission_key
        return Door(self.app, PUBLIC_ORIGIN, self.house.clock, key)

    def outsiders(self) -> dict[str, Door]:
        """Return every outsider that a closed call must refuse."""
        return {
            "nobody": self.door(None),
            "a suspended partner": self.door(SUSPENDED),
            "a partner of the other environment": self.door(OTHER_ENVIRONMENT),
            "a stranger": self.door(Partner("stranger")),
            "the desk": Door(self.app, PUBLIC_ORIGIN, self.house.clock, self.house.agency.feed_key),
        }

    def fill(self) -> "Street":
        """Let the owner send, hand over and receive one of everything."""
        put_message(self.house, OWNER)
        owner = self.door(OWNER)
        for name in ("post_report", "put_evidence_part", "post_evidence_complete", "post_account"):
            answer = send_call(owner, self.calls[name])
            assert answer.status_code in {200, 201, 202}, (name, answer.data)
        return self


def open_street(folder: Path, *, chance: Callable[[int], bytes] = secrets.token_bytes) -> Street:
    house = make_house(folder / "gateway")
    house.chance = chance
    house.publish(OWNER.entry(), *(other.entry() for other in OTHERS), SUSPENDED.entry(state="suspended"))
    invite_newcomer(house)
    return Street(house, house.open_app("industry"), make_calls(house.agency.sealing_key, OWNER))


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return open_street(tmp_path).fill()


def test_table_has_every_route_below_v1(street: Street):
    check_every_route_has_a_call(street.door(None), street.calls)
    assert set(TABLE) == set(street.calls)


@pytest.mark.parametrize("name", TABLE)
def test_owner_gets_what_is_its_own(name: str, street: Street):
    call = street.calls[name]
    door = street.door(None if name == "post_enrol" else OWNER)

    assert send_call(door, call).status_code in {200, 202}


@pytest.mark.parametrize("name", CLOSED)
def test_outsiders_get_401_whatever_is_there(name: str, street: Street):
    call = street.calls[name]
    before = read_kept(street.house)
    shapes = set()
    for who, door in street.outsiders().items():
        for asked in (call, call.at(UNKNOWN_ID)):
            answer = send_call(door, asked)
            assert answer.status_code == 401, who
            check_problem(answer, problems.NOT_AUTHORISED)
            shapes.add(shape_of(answer))

    assert len(shapes) == 1
    assert read_kept(street.house) == before


@pytest.mark.parametrize("name", [name for name, kind in TABLE.items() if kind == NOT_FOUND])
def test_other_partners_get_the_404_of_what_does_not_exist(name: str, street: Street):
    call = street.calls[name]
    before = read_kept(street.house)
    shapes = set()
    for other in OTHERS:
        for asked in (call, call.at(UNKNOWN_ID)):
            answer = send_call(street.door(other), asked)
            check_problem(answer, problems.NOT_FOUND)
            shapes.add(shape_of(answer))

    assert len(shapes) == 1
    assert read_kept(street.house) == before


@pytest.mark.parametrize("name", CLOSED)
def test_what_another_partner_gets_is_the_same_whether_the_owner_has_anything_or_not(name: str, tmp_path: Path):
    """The strongest form: two gateways, one with and one without the owner's things, answer the others alike."""
    empty, filled = open_street(tmp_path / "empty"), open_street(tmp_path / "filled").fill()
    for other in OTHERS:
        answers = [send_call(street.door(other), street.calls[name]) for street in (empty, filled)]
        assert answers[0].status_code == answers[1].status_code
        assert shape_of(answers[0]) == shape_of(answers[1])


def send_in_turn(street: Street, *, between: Callable[[], None]) -> list[tuple[int, bytes, dict[str, str]]]:
    """Return every answer to the owner, who sends three reports and then makes each call; others act `between`."""
    owner, chance, answers = street.door(OWNER), street.house.chance, []
    assert isinstance(chance, ChanceOfOne)
    later = [seal_once(street.house.agency, report_id=make_report_id(NOW, b"%d-of-three" % turn)) for turn in (2, 3)]
    posts = [PartnerCall("POST", "/v1/reports", report.body) for report in later]
    put_message(street.house, OWNER, envelope=box_once(OWNER))
    for turn, call in enumerate([street.calls["post_report"], *posts, *street.calls.values(), *street.calls.values()]):
        between()
        # A reference is drawn at random: here each of the owner's has its own, whatever the others drew.
        chance.now = b"owner%d" % turn
        answer = send_call(owner, call)
        headers = {name: value for name, value in answer.headers.items() if name not in {"X-Request-Id", "Date"}}
        answers.append((answer.status_code, answer.data.replace(answer.headers["X-Request-Id"].encode(), b""), headers))
        chance.now = None
    return answers


@functools.cache
def box_once(partner: Partner) -> bytes:
    return make_box(partner.entry().mailbox_key)


@functools.cache
def seal_once(agency: Agency, *, report_id: str) -> SealedReport:
    return seal_report(OWNER, key=agency.sealing_key, report_id=report_id)


class ChanceOfOne:
    """A random source that gives the values that a test has named, or any."""

    now: bytes | None = None

    def __call__(self, size: int) -> bytes:
        return secrets.token_bytes(size) if self.now is None else hashlib.sha256(self.now).digest()[:size]


def test_no_field_of_any_answer_changes_with_what_other_senders_do(tmp_path: Path):
    """Receipts, limits, states and lists: a partner that counts anything there counts its own alone."""
    alone, among = (open_street(tmp_path / name, chance=ChanceOfOne()) for name in ("alone", "among"))
    gateway = among.house.open_gateway()
    done = []

    def others_act() -> None:
        turn = len(done)
        gateway.intake.accept(new_public_report())
        door = among.door(OTHERS[turn % 2])
        report = seal_report(OTHERS[turn % 2], key=among.house.agency.sealing_key)
        assert door.post("/v1/reports", report.body).status_code == 201
        part = PartnerCall("PUT", f"/v1/evidence/{UNKNOWN_ID}/{turn}", bytes(65_552), "application/octet-stream")
        assert send_call(door, part).status_code == 201
        put_message(among.house, OTHERS[0], message_id=make_report_id(NOW, b"%010d" % turn))
        done.append(turn)

    quiet = send_in_turn(alone, between=lambda: None)
    busy = send_in_turn(among, between=others_act)

    assert len(done) == len(quiet) == 3 + 2 * len(TABLE)
    assert [status for status, *_ in quiet[:3]] == [201, 201, 201]
    for told, told_among in zip(quiet, busy, strict=True):
        assert told_among == told


def test_open_calls_answer_everybody_alike(street: Street):
    opened = [name for name, kind in TABLE.items() if kind == SAME_FOR_ALL and name not in {"get_status", "post_enrol"}]
    doors = [street.door(OWNER), *map(street.door, OTHERS), *street.outsiders().values()]

    assert len(opened) >= 5
    for name in opened:
        assert len({shape_of(send_call(door, street.calls[name])) for door in doors}) == 1, name


def test_status_tells_each_caller_of_itself_alone(street: Street):
    call = street.calls["get_status"]

    for partner in (OWNER, *OTHERS):
        assert send_call(street.door(partner), call).json["caller"]["partner"] == partner.partner
    outsiders = street.outsiders()
    assert send_call(outsiders.pop("nobody"), call).json["caller"] is None
    assert len({shape_of(send_call(door, call)) for door in outsiders.values()}) == 1
    assert {send_call(door, call).status_code for door in outsiders.values()} == {401}


def test_mailbox_of_another_is_empty_and_stays_full_for_its_owner(street: Street):
    for other in OTHERS:
        assert send_call(street.door(other), street.calls["get_mailbox"]).json == {"messages": []}
        check_problem(send_call(street.door(other), street.calls["post_mailbox_ack"]), problems.NOT_FOUND)

    assert len(send_call(street.door(OWNER), street.calls["get_mailbox"]).json["messages"]) == 1


def test_ids_are_each_partners_own_and_nothing_of_the_owner_changes(street: Street):
    owner = street.door(OWNER)
    seen = {name: send_call(owner, street.calls[name]).data for name in ("get_report", "get_evidence", "get_mailbox")}
    for other in OTHERS:
        door = street.door(other)
        report = seal_report(other, key=street.house.agency.sealing_key, report_id=REPORT_ID)
        assert door.post("/v1/reports", report.body).status_code == 201
        assert send_call(door, street.calls["post_account"]).status_code == 202
        other_part = PartnerCall("PUT", f"/v1/evidence/{EVIDENCE_ID}/0", b"x" * 65_552, "application/octet-stream")
        assert send_call(door, other_part).status_code == 201

    assert {name: send_call(owner, street.calls[name]).data for name in seen} == seen


def test_report_that_names_evidence_of_another_reaches_none_of_it(street: Street):
    """Naming locks evidence: the id that a partner names is its own, though another has used the same."""
    (other, *_) = OTHERS
    door = street.door(other)
    before = [row for row in street.house.rows("evidence") if OWNER.partner in row]
    naming = seal_report(other, key=street.house.agency.sealing_key, evidence_ids=(EVIDENCE_ID,))

    assert door.post("/v1/reports", naming.body).status_code == 201

    assert before != []
    assert [row for row in street.house.rows("evidence") if OWNER.partner in row] == before
    state = door.get(f"/v1/evidence/{EVIDENCE_ID}")
    assert state.data == encode(EvidenceState(digest=None, parts=()))


def test_no_partner_can_read_list_or_touch_what_a_child_sent(tmp_path: Path):
    """R42: with public reports there, and without, every call of every partner gets the same."""
    public = make_public_house(tmp_path)
    house, gateway = public.house, public.gateway
    put_message(house, OWNER)
    calls = make_calls(house.agency.sealing_key, OWNER)
    invite_newcomer(house)
    industry = Door(public.app, PUBLIC_ORIGIN, house.clock, OWNER.submission_key)
    # Twice at first, so that every later answer is that of a repeat: what was new is stored, what waited is taken.
    for name in (*calls, *calls):
        send_call(industry, calls[name])
    without = {name: shape_of(send_call(industry, calls[name])) for name in calls}
    for _ in range(3):
        public.person().start().walk_to("/14").send()
    sent = [row for row in house.rows("reports") if "public" in row]
    assert len(sent) == 3

    assert {name: shape_of(send_call(industry, calls[name])) for name in calls} == without
    with gateway.store.read() as connection:
        ids = connection.exec_driver_sql("SELECT report_id, reference FROM reports WHERE door = 'public'").all()
    for report_id, reference in ids:
        for asked in (report_id, reference):
            check_problem(industry.get(f"/v1/reports/{asked}"), problems.NOT_FOUND)
        taken = seal_report(OWNER, key=house.agency.sealing_key, report_id=report_id, kind="retraction")
        assert industry.post("/v1/reports", taken.body).status_code == 201
        named = seal_report(OWNER, key=house.agency.sealing_key, kind="correction", earlier_reference=reference)
        assert industry.post("/v1/reports", named.body).status_code == 201
        as_public = seal_report(OWNER, key=house.agency.sealing_key, partner="public-service", report_id=report_id)
        check_problem(industry.post("/v1/reports", as_public.body), problems.STATEMENT_REFUSED)
    assert [row for row in house.rows("reports") if "public" in row] == sent


def test_no_partner_can_delay_what_a_child_sends(tmp_path: Path):
    """R42: a partner over all of its limits delays no other sender."""
    public = make_public_house(tmp_path, limits=LimitsConfig(partner_reports_per_minute=1))
    house = public.house
    industry = Door(public.app, PUBLIC_ORIGIN, house.clock, OWNER.submission_key)
    key = house.agency.sealing_key
    for priority in ("P1", "P3") * 3:
        industry.post("/v1/reports", seal_report(OWNER, key=key, priority=priority).body)
    assert industry.post("/v1/reports", seal_report(OWNER, key=key).body).status_code == 429

    person = public.person().start().walk_to("/14").send()

    assert person.path == "/15"
    assert len([row for row in house.rows("reports") if "public" in row]) == 1
