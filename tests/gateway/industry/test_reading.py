"""Readable documents at `/v1`, the environment that each answer names, and the answer to every wrong call."""

import hashlib
from pathlib import Path
from typing import get_args

import pytest

from gateway.exchange.feed import MAILBOX_MESSAGE, StageItem
from gateway.industry import mailbox_schema, report_schema
from gateway.store.items import put_item
from gateway.store.reports import set_stage
from gateway.web.rules import ENVIRONMENT_HEADER
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, make_report_id, to_base64url
from partner_sdk.wire.mailbox import MessageKind
from partner_sdk.wire.signing import Environment, verify_bundle
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES
from tests.builders import NOW, Agency, Door, House, Partner, make_box, make_house, seal_report
from tests.problem_shape import check_problem

OTHER = Partner("second-service")
MESSAGE_ID = make_report_id(NOW, bytes(10))


def put_message(house: House, recipient: Partner, *, message_id: str = MESSAGE_ID) -> bytes:
    envelope = make_box(recipient.entry().mailbox_key)
    with house.open_gateway().store.write() as connection:
        put_item(connection, MAILBOX_MESSAGE, address=recipient.partner, item_id=message_id, envelope=envelope, now=NOW)
    return envelope


def test_keys_are_served_byte_for_byte_with_a_tag(house: House, partner: Partner):
    raw = house.agency.bundle(serial=7)
    house.open_gateway().key_state.accept_key_set(raw)
    door = house.open_industry()

    answer = door.get("/v1/keys")

    assert (answer.status_code, answer.data, answer.content_type) == (200, raw, "application/json")
    assert answer.headers["ETag"] == f'"{hashlib.sha256(raw).hexdigest()}"'
    assert verify_bundle(answer.data, pin=house.agency.pin(), now=NOW).serial == 7
    unchanged = door.get("/v1/keys", headers={"If-None-Match": answer.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert door.get("/v1/keys", headers={"If-None-Match": '"older"'}).status_code == 200


def test_schema_of_the_mailbox_is_that_of_the_sdk(house: House):
    answer = house.open_industry().get("/v1/schema/mailbox.json")

    assert (answer.status_code, answer.data) == (200, encode(mailbox_schema()))
    assert set(answer.json["properties"]) == set(get_args(MessageKind))


def test_own_report_shows_receipt_stage_and_outcome(house: House, industry: Door, partner: Partner):
    report = seal_report(partner, key=house.agency.sealing_key)
    receipt = industry.post("/v1/reports", report.body).data
    path = f"/v1/reports/{report.clear.report_id}"

    first = industry.get(path)
    with house.open_gateway().store.write() as connection:
        item = StageItem(partner=partner.partner, report_id=report.clear.report_id, stage="opened", outcome="actioned")
        set_stage(connection, item)
    second = industry.get(path)

    assert first.data == b'{"outcome":null,"receipt":%s,"set_aside_reason":null,"stage":"received"}' % receipt
    assert second.data == b'{"outcome":"actioned","receipt":%s,"set_aside_reason":null,"stage":"opened"}' % receipt


def test_mailbox_holds_own_messages_until_they_are_acknowledged(house: House, industry: Door, partner: Partner):
    assert industry.get("/v1/mailbox").data == b'{"messages":[]}'
    envelope = put_message(house, partner)
    item = {"envelope": to_base64url(envelope), "message_id": MESSAGE_ID}

    assert industry.get("/v1/mailbox").json == {"messages": [item]}
    assert industry.get("/v1/mailbox").json == {"messages": [item]}
    for _ in range(2):
        acknowledged = industry.post(f"/v1/mailbox/{MESSAGE_ID}/ack", {})
        assert (acknowledged.status_code, acknowledged.data) == (200, b"{}")
    assert industry.get("/v1/mailbox").json == {"messages": []}


@pytest.mark.parametrize("body", [b"", b'{ "a": 1 }', b'{"a":1}', b"[]", b"null", b"{}" + b" " * 100])
def test_acknowledgement_takes_only_the_empty_object(body: bytes, house: House, industry: Door, partner: Partner):
    put_message(house, partner)

    assert industry.post(f"/v1/mailbox/{MESSAGE_ID}/ack", body).status_code in {400, 413}
    assert len(industry.get("/v1/mailbox").json["messages"]) == 1


def test_acknowledgement_takes_the_empty_object_in_any_spelling(house: House, industry: Door, partner: Partner):
    put_message(house, partner)

    assert industry.post(f"/v1/mailbox/{MESSAGE_ID}/ack", b"{ }\n").status_code == 200
    assert industry.get("/v1/mailbox").json["messages"] == []


@pytest.mark.parametrize(
    "path", ["/v1/st%61tus", "/v1/reports/%30", "/v1/reports/caf\u00e9", "/v1/reports/a%2fb", "/v1/reports/a'b"]
)
def test_path_that_needs_encoding_is_refused(path: str, industry: Door):
    answer = industry.get(path)

    assert answer.status_code in {400, 404}
    if answer.status_code == 400:
        check_problem(answer, problems.MALFORMED_REQUEST)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/reports", "POST"),
        ("GET", "/v1/reports", "POST"),
        ("POST", "/v1/status", "GET"),
        ("PUT", "/v1/keys", "GET"),
        ("GET", f"/v1/mailbox/{MESSAGE_ID}/ack", "POST"),
    ],
)
def test_wrong_method_is_a_problem_that_names_the_right_one(method: str, path: str, allowed: str, industry: Door):
    answer = industry.send(method, path)

    check_problem(answer, problems.METHOD_NOT_ALLOWED)
    assert allowed in answer.headers["Allow"].split(", ")


def test_everything_answers_503_before_the_first_key_set_except_status(tmp_path, partner: Partner):
    house = make_house(tmp_path / "new")
    industry = house.open_industry(partner)
    report = seal_report(partner, key=house.agency.sealing_key)
    answers = [
        industry.get("/v1/keys"),
        industry.get("/v1/mailbox"),
        industry.get("/v1/status"),
        industry.post("/v1/reports", report.body),
    ]

    for answer in answers:
        check_problem(answer, problems.NOT_READY)
    assert house.open_industry().get("/v1/status").json == {"caller": None, "environment": "live", "ready": False}
    assert house.rows("reports") == []


def test_mailbox_of_large_messages_comes_in_parts(house: House, industry: Door, partner: Partner):
    ids = [make_report_id(NOW, bytes([number]) * 10) for number in range(1, 7)]
    with house.open_gateway().store.write() as connection:
        for message_id in ids:
            put_item(
                connection,
                MAILBOX_MESSAGE,
                address=partner.partner,
                item_id=message_id,
                envelope=make_box(partner.entry().mailbox_key, size=4 * 1024 * 1024),
                now=NOW,
            )

    first = [item["message_id"] for item in industry.get("/v1/mailbox").json["messages"]]
    for message_id in first:
        industry.post(f"/v1/mailbox/{message_id}/ack", {})
    second = [item["message_id"] for item in industry.get("/v1/mailbox").json["messages"]]

    assert (len(first), first + second) == (3, ids)


def test_mailbox_shows_fifty_messages_at_once_and_the_next_ones_after_them(
    house: House, industry: Door, partner: Partner
):
    ids = [make_report_id(NOW, bytes([number]) * 10) for number in range(1, 53)]
    box = make_box(partner.entry().mailbox_key)
    with house.open_gateway().store.write() as connection:
        for message_id in ids:
            put_item(connection, MAILBOX_MESSAGE, address=partner.partner, item_id=message_id, envelope=box, now=NOW)

    assert [item["message_id"] for item in industry.get("/v1/mailbox").json["messages"]] == ids[:50]
    industry.post(f"/v1/mailbox/{ids[0]}/ack", {})
    assert [item["message_id"] for item in industry.get("/v1/mailbox").json["messages"]] == ids[1:51]


def test_acknowledgement_over_its_ceiling_is_refused_unread(industry: Door):
    path = f"/v1/mailbox/{MESSAGE_ID}/ack"
    check_problem(industry.post(path, b" " * 64), problems.MALFORMED_REQUEST)
    check_problem(industry.post(path, b" " * 65), problems.BODY_TOO_LARGE)


SAID = {"live": "live", "sandbox": "sandbox; NOT A REPORT"}
PATHS = ("/v1/status", "/v1/keys", "/v1/schema/report.json", "/v1/docs", "/v1/nothing", "/v1", "/v1/mailbox", "/v1/%41")


def make(state: Path, environment: Environment) -> tuple[House, Partner]:
    house = make_house(state, agency=Agency(environment=environment))
    partner = Partner(environment=environment)
    house.publish(partner.entry())
    return house, partner


@pytest.mark.parametrize("environment", SAID)
def test_every_answer_names_the_environment(tmp_path: Path, environment: Environment) -> None:
    house, partner = make(tmp_path / "gateway", environment)
    door = house.open_industry(partner)
    good = door.post("/v1/reports", seal_report(partner, key=house.agency.sealing_key).body)
    answers = [
        good,
        door.post("/v1/reports", b"{"),
        door.post("/v1/reports", b"x" * (MAX_REPORT_BODY_BYTES + 1)),
        door.send("DELETE", "/v1/reports"),
        *(house.open_industry().get(path) for path in PATHS),
    ]
    assert good.status_code == 201
    assert {200, 201, 400, 401, 404, 405, 413} <= {answer.status_code for answer in answers}
    assert {answer.headers.get(ENVIRONMENT_HEADER) for answer in answers} == {SAID[environment]}


def test_crash_names_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house, partner = make(tmp_path / "gateway", "sandbox")
    gateway = house.open_gateway()

    def crash() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway.key_state, "find_keys", crash)
    answer = house.open_industry(partner, gateway=gateway).get("/v1/keys")
    assert answer.status_code == 500
    assert answer.headers[ENVIRONMENT_HEADER] == SAID["sandbox"]


def test_feed_and_health_do_not_name_it(house: House) -> None:
    feed = house.open_feed()
    assert ENVIRONMENT_HEADER not in feed.get("/feed/status").headers
    assert ENVIRONMENT_HEADER not in feed.get("/health/live").headers


def test_schema_is_that_of_the_sdk(house: House):
    answer = house.open_industry().get("/v1/schema/report.json")

    assert (answer.status_code, answer.data) == (200, encode(report_schema()))
