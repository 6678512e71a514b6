"""`POST /v1/adoption`: an unsigned sealed box, bounded, and deleted once the desk has it."""

from pathlib import Path
from typing import Any

import pytest

from gateway.exchange.feed import ADOPTION_REQUEST
from partner_sdk.wire import problems
from partner_sdk.wire.button import EXAMPLE, MAX_ADOPTION_BODY_BYTES, MAX_ADOPTION_ENVELOPE_BYTES
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.problems import Problem
from tests.builders import Agency, Door, House, Partner, make_box, make_house, seal_report
from tests.gateway.adoption_builders import MAX_WAITING, fill_up, make_id, make_post, open_waiting
from tests.gateway.public.person import list_files
from tests.gateway.web_builders import LogCatcher
from tests.problem_shape import check_problem

WAITING = b'{"status":"waiting"}'


@pytest.fixture
def nobody(house: House, partner: Partner) -> Door:
    house.publish(partner.entry(), serial=2)
    return house.open_industry(None)


def test_request_waits_for_the_desk_and_the_same_again_is_kept_once(house: House, nobody: Door):
    post = make_post(house.agency)

    answers = [nobody.post("/v1/adoption", post) for _ in range(3)]

    assert [(answer.status_code, answer.data) for answer in answers] == [(202, WAITING)] * 3
    (item,) = house.items(ADOPTION_REQUEST)
    assert (item.item_id, item.envelope) == (post.request_id, parse_base64url(post.envelope))
    assert [one.service for one in open_waiting(house)] == [EXAMPLE]


def test_other_box_under_the_same_id_is_refused_and_the_first_stays(house: House, nobody: Door):
    nobody.post("/v1/adoption", make_post(house.agency))
    before = house.items(ADOPTION_REQUEST)

    check_problem(nobody.post("/v1/adoption", make_post(house.agency)), problems.CONFLICTING_MESSAGE)

    assert house.items(ADOPTION_REQUEST) == before


# A key that comes twice: two readers would see two boxes.
TWICE = b'{"envelope":"A",'


def bad_bodies(house: House) -> list[tuple[Any, Problem]]:
    key, request_id = house.agency.sealing_key, make_id(1)
    envelope = to_base64url(make_box(key))
    large = to_base64url(make_box(key, size=MAX_ADOPTION_ENVELOPE_BYTES))
    return [
        (b"", problems.MALFORMED_REQUEST),
        (b'{"envelope": "x"}', problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope, "request_id": request_id, "who": "x"}), problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope, "request_id": "../other"}), problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope, "request_id": request_id}).replace(b"{", TWICE, 1), problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope[:100], "request_id": request_id}), problems.MALFORMED_ENVELOPE),
        (encode({"envelope": large, "request_id": request_id}), problems.BODY_TOO_LARGE),
        (b"x" * (MAX_ADOPTION_BODY_BYTES + 1), problems.BODY_TOO_LARGE),
        (make_post(Agency(name="another-agency")), problems.UNKNOWN_AGENCY_KEY),
    ]


@pytest.mark.parametrize("case", range(9))
def test_bad_body_is_refused_and_nothing_is_kept(case: int, house: House, nobody: Door):
    body, problem = bad_bodies(house)[case]

    check_problem(nobody.post("/v1/adoption", body), problem)

    assert house.items(ADOPTION_REQUEST) == []


def test_request_is_refused_before_the_agency_has_published_a_key(tmp_path: Path):
    house = make_house(tmp_path / "gateway")

    check_problem(house.open_industry(None).post("/v1/adoption", make_post(house.agency)), problems.NOT_READY)


def test_requests_are_limited_by_network_and_reports_are_not(house: House, nobody: Door, partner: Partner):
    post = make_post(house.agency)

    assert [nobody.post("/v1/adoption", post).status_code for _ in range(21)] == [202] * 20 + [429]

    report = seal_report(partner, key=house.agency.sealing_key)
    signing = Door(nobody.app, nobody.origin, nobody.clock, partner.submission_key)
    assert signing.post("/v1/reports", report.body).status_code == 201


def test_full_queue_is_a_503_with_another_way_and_keeps_no_report_out(house: House, partner: Partner):
    gateway = house.open_gateway()
    fill_up(gateway, MAX_WAITING - 1)
    app = house.open_app("industry", gateway=gateway)
    door = Door(app, "https://report.example", house.clock, partner.submission_key)
    last, late = make_post(house.agency, 1), make_post(house.agency, 2)
    assert door.post("/v1/adoption", last).status_code == 202

    answer = door.post("/v1/adoption", late)

    check_problem(answer, problems.ADOPTION_FULL)
    assert answer.headers["Retry-After"] == "3600"
    # A 5xx tells no detail; the page of its type does, and so does the client.
    assert "/for-services" in problems.ADOPTION_FULL.advice
    assert len(house.items(ADOPTION_REQUEST)) == MAX_WAITING
    assert door.post("/v1/adoption", last).status_code == 202  # what is here is here
    report = seal_report(partner, key=house.agency.sealing_key)
    assert door.post("/v1/reports", report.body).status_code == 201


def test_who_asks_stands_in_no_log_and_in_no_file(house: House, nobody: Door):
    with LogCatcher() as log:
        nobody.post("/v1/adoption", make_post(house.agency))

    words = [text.encode() for text in (EXAMPLE.organisation, EXAMPLE.contact_email, EXAMPLE.service_name)]
    files = list_files(house.state)
    assert len(house.items(ADOPTION_REQUEST)) == 1
    assert [path for path in files for word in words if word in path.read_bytes()] == []
    assert log.lines
    assert [line for line in log.lines if "example" in str(line).replace("report.example", "").lower()] == []
