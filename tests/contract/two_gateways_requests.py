"""The table of requests for both gateways: each case sends some and returns what came back, in order."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec

from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.account import AccountChange, NewKeys, seal_account_change, sign_key_change
from partner_sdk.wire.adoption import MAX_ADOPTION_BODY_BYTES, AdoptionPost
from partner_sdk.wire.canonical import encode, format_time, make_report_id, to_base64url
from partner_sdk.wire.enrolment import MAX_ENROLMENT_BODY_BYTES, EnrolmentPost, seal_enrolment
from partner_sdk.wire.keys import SealingKey
from partner_sdk.wire.statements import StatementKind, key_id_of, parse_statement, public_bytes, sign_statement
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES, ReportPost
from tests.builders import (
    NOW,
    Agency,
    Partner,
    SealedReport,
    make_box,
    make_clear_fields,
    raw_public_key,
    sign_for_envelope,
)
from tests.contract.two_gateways import PARTNER, STRANGER, Asked, Side

Case = Callable[[Side], list[Asked]]
REPORTS = "/v1/reports"
SOME_ID = "019ab3c5-7340-7ff3-b7d7-b412be473e63"
FOREIGN_KEY: SealingKey = Agency(environment="sandbox", name="another agency").sealing_key


def post_of(envelope: bytes, statement: bytes) -> bytes:
    return encode(ReportPost(envelope=to_base64url(envelope), statement=parse_statement(statement)))


def as_map(report: SealedReport) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(report.body)
    return found


def post_body(change: Callable[[SealedReport], object]) -> Case:
    return lambda side: [side.ask("POST", REPORTS, change(side.seal()))]


def ask(method: str, path: str, body: object = None, **settings: object) -> Case:
    return lambda side: [side.ask(method, path, body, **settings)]  # type: ignore[arg-type]  # a row names any setting


def get_both_ways(path: str) -> Case:
    def case(side: Side) -> list[Asked]:
        return [side.ask("GET", path), side.ask("GET", path, key=None), side.ask("GET", path, b"{}")]

    return case


def send_a_report(**changes: object) -> Case:
    def case(side: Side) -> list[Asked]:
        report = side.seal(**changes)
        path = f"{REPORTS}/{report.clear.report_id}"
        return [side.ask("POST", REPORTS, report.body), side.ask("POST", REPORTS, report.body), side.ask("GET", path)]

    return case


def send_another_under_the_same_id(side: Side) -> list[Asked]:
    first = side.seal()
    second = side.seal(report_id=first.clear.report_id)
    return [side.ask("POST", REPORTS, one.body) for one in (first, second, first)]


def send_to_a_key_that_has_gone(side: Side) -> list[Asked]:
    before, waiting = side.seal(), side.seal()
    answers = [side.ask("POST", REPORTS, before.body)]
    side.rotate()
    asked = [before.body, waiting.body, side.seal().body]
    return [*answers, *(side.ask("POST", REPORTS, body) for body in asked)]


def send_while_suspended(side: Side) -> list[Asked]:
    body = side.seal().body
    side.suspend()
    return [side.ask("POST", REPORTS, body), side.ask("GET", "/v1/status"), side.ask("GET", "/v1/status", key=None)]


def sign_wrongly(side: Side) -> list[Asked]:
    body, late = side.seal().body, [-301, -300, 60, 61]
    answers = [
        side.ask("POST", REPORTS, body, key=None),
        side.ask("POST", REPORTS, body, key=STRANGER.submission_key),
        side.ask("POST", REPORTS, body, headers={"Signature": "sig1=:AAAA:"}),
        side.ask("POST", REPORTS, body, headers={"Content-Digest": "sha-256=:AAAA:"}),
        side.ask("POST", REPORTS, body, headers={"Content-Type": "application/json; charset=utf-8"}),
        side.ask("POST", REPORTS, body, headers={"Content-Type": "text/plain"}),
        side.ask("POST", REPORTS, body, headers={"Content-Encoding": "gzip"}),
        side.ask("POST", REPORTS, body, signed_path="/v1/report"),
        side.ask("GET", f"{REPORTS}/{SOME_ID}", headers={"Signature": "sig1=:AAAA:"}),
        side.ask("GET", "/v1/status", headers={"Signature": "sig1=:AAAA:"}),
        side.ask("GET", "/v1/status", headers={"Signature": ""}, key=None),
    ]
    return answers + [side.ask("GET", "/v1/mailbox", created=NOW + timedelta(seconds=second)) for second in late]


def state_wrongly(side: Side) -> list[Asked]:
    """Statements that do not hold, over envelopes that do."""
    report = side.seal()
    others = [
        side.seal(signed_by=STRANGER.submission_key).statement,
        side.seal(sender=STRANGER).statement,
        sign_for_envelope(replace_clear(report, environment="live"), report.envelope, private_key=side.key),
        sign_statement({"note": "x"}, kind=StatementKind.SUBMISSION, private_keys=(side.key,)),
        sign_statement({"note": "x"}, kind=StatementKind.ENROLMENT, private_keys=(side.key,)),
    ]
    answers = [side.ask("POST", REPORTS, post_of(report.envelope, other)) for other in others]
    mismatch = sign_for_envelope(report.clear, report.envelope + b"x", private_key=side.key)
    return [*answers, side.ask("POST", REPORTS, post_of(report.envelope, mismatch))]


def replace_clear(report: SealedReport, **changes: object) -> object:
    return msgspec.structs.replace(report.clear, **changes)


def seal_wrongly(side: Side) -> list[Asked]:
    """Boxes that cannot be, under statements that hold."""
    clear = make_clear_fields(PARTNER.partner, environment="sandbox")
    good = side.seal().envelope
    boxes = {
        "empty": b"",
        "cut": good[:100],
        "another version": b"\x02" + good[1:],
        "another suite": good[:9] + b"\x00\x20" + good[11:],
        "a key of another agency": make_box(FOREIGN_KEY),
        "nobody can open it": make_box(side.sealing_key),
    }
    answers = []
    for place, box in enumerate(boxes.values()):
        own = msgspec.structs.replace(clear, report_id=make_report_id(NOW, place.to_bytes(10, "big")))
        statement = sign_for_envelope(own, box, private_key=side.key)
        answers.append(side.ask("POST", REPORTS, post_of(box, statement)))
    return answers


def ask_for_reports(side: Side) -> list[Asked]:
    return [side.ask("GET", f"{REPORTS}/{name}") for name in (SOME_ID, "x", "%41", "a%2fb", SOME_ID.upper())]


def enrol_new(side: Side, **changes: object) -> EnrolmentPost:
    newcomer = Partner("new-chat", environment="sandbox")
    return seal_enrolment(
        side.invitation,
        submission_key=newcomer.submission_key,
        context_key=load_signing_key(newcomer.key(KeyRole.CONTEXT)),
        mailbox_key=raw_public_key(newcomer.key(KeyRole.MAILBOX)),
        agency_key=changes.get("agency_key", side.sealing_key),  # type: ignore[arg-type]  # a row names any setting
    )


def enrol_well_and_again(side: Side) -> list[Asked]:
    first, second = enrol_new(side), enrol_new(side)
    return [side.ask("POST", "/v1/enrol", post, key=None) for post in (first, first, second)]


def enrol_badly(side: Side) -> list[Asked]:
    post = enrol_new(side)
    bodies: list[object] = [
        b"{",
        {"envelope": post.envelope},
        msgspec.structs.replace(post, envelope="A"),
        msgspec.structs.replace(post, envelope="AQAA"),
        msgspec.structs.replace(post, secret_sha256="A" * 43),
        msgspec.structs.replace(post, secret_sha256="AQAA"),
        enrol_new(side, agency_key=FOREIGN_KEY),
        b"x" * (MAX_ENROLMENT_BODY_BYTES + 1),
        b" " + encode(post),
    ]
    return [side.ask("POST", "/v1/enrol", body, key=None) for body in bodies]


def change_account(side: Side) -> list[Asked]:
    keys = {role: load_signing_key(Partner("later").key(role)) for role in (KeyRole.SUBMISSION, KeyRole.CONTEXT)}
    change = AccountChange(
        change_id=SOME_ID,
        created_at=format_time(NOW),
        environment="sandbox",
        keys=NewKeys(
            context_key=to_base64url(public_bytes(keys[KeyRole.CONTEXT])),
            mailbox_key=Partner("later").key(KeyRole.MAILBOX).public_key,
            old_key_id=key_id_of(public_bytes(side.key)),
            submission_key=to_base64url(public_bytes(keys[KeyRole.SUBMISSION])),
        ),
        partner=PARTNER.partner,
        registration=None,
    )
    signed = sign_key_change(
        change, old_key=side.key, submission_key=keys[KeyRole.SUBMISSION], context_key=keys[KeyRole.CONTEXT]
    )
    unreadable = to_base64url(make_box(side.sealing_key))
    post = seal_account_change(signed, change=change, agency_key=side.sealing_key)
    bad: list[object] = [
        b"{}",
        msgspec.structs.replace(post, change_id="x"),
        msgspec.structs.replace(post, envelope="AQAA"),
        msgspec.structs.replace(post, envelope=to_base64url(make_box(FOREIGN_KEY))),
        {"change_id": "019ab3c5-7340-7ff3-b7d7-000000000000", "envelope": unreadable},
        {"change_id": "019ab3c5-7340-7ff3-b7d7-000000000000", "envelope": to_base64url(make_box(side.sealing_key))},
    ]
    answers = [side.ask("POST", "/v1/account", body) for body in bad]
    # The last, since the sandbox approves at once: from here on it believes the new key.
    return [*answers, side.ask("POST", "/v1/account", post, key=None), side.ask("POST", "/v1/account", post)]


def ask_for_the_button(side: Side) -> list[Asked]:
    post = AdoptionPost(envelope=to_base64url(make_box(side.sealing_key, size=4096)), request_id=SOME_ID)
    other = msgspec.structs.replace(post, envelope=to_base64url(make_box(side.sealing_key, size=4096)))
    bad: list[object] = [
        b"",
        b"{}",
        {"envelope": post.envelope},
        msgspec.structs.replace(post, request_id="x"),
        msgspec.structs.replace(post, envelope="A"),
        msgspec.structs.replace(post, envelope="AQAA"),
        msgspec.structs.replace(post, envelope=to_base64url(make_box(FOREIGN_KEY))),
        b"x" * (MAX_ADOPTION_BODY_BYTES + 1),
        b" " + encode(post),
    ]
    return [side.ask("POST", "/v1/adoption", body, key=None) for body in (*bad, post, post, other)]


def read_mailbox(side: Side) -> list[Asked]:
    message_id = side.put_message()
    path = f"/v1/mailbox/{message_id}/ack"
    return [
        side.ask("GET", "/v1/mailbox"),
        side.ask("POST", path, b"[]"),
        side.ask("POST", path, b""),
        side.ask("POST", path, b"{ }"),
        side.ask("POST", path, b'{"a":1}'),
        side.ask("POST", path, b"{" + b" " * 64 + b"}"),
        side.ask("POST", path, b"{}", key=None),
        side.ask("POST", path, b"{}"),
        side.ask("POST", path, b"{}"),
        side.ask("POST", f"/v1/mailbox/{SOME_ID}/ack", b"{}"),
        side.ask("GET", "/v1/mailbox"),
        side.ask("GET", "/v1/mailbox", key=None),
    ]


def walk_astray(side: Side) -> list[Asked]:
    places = ("/v1", "/v1/", "/v1/nothing", "/v1/reports/", "/v1//keys", "/v1/mailbox/x", "/v1/keys/%2e")
    wrong = (("POST", "/v1/keys"), ("DELETE", REPORTS), ("PUT", "/v1/enrol"), ("POST", "/v1/mailbox"))
    answers = [side.ask("GET", place, key=None) for place in places]
    return answers + [side.ask(method, place, b"{}", key=None) for method, place in wrong]


def sized(count: int) -> Case:
    return lambda side: [side.ask("POST", REPORTS, b"x" * count)]


CASES: Mapping[str, Case] = {
    "keys": get_both_ways("/v1/keys"),
    "schema": get_both_ways("/v1/schema/report.json"),
    "schema of the mailbox": get_both_ways("/v1/schema/mailbox.json"),
    "status": get_both_ways("/v1/status"),
    "a P1": send_a_report(priority="P1"),
    "a P2": send_a_report(),
    "a correction": send_a_report(kind="correction", earlier_reference="TEST-K7QF-2M9TX-D"),
    "a report with evidence that has not come": send_a_report(evidence_ids=(SOME_ID,)),
    "another report under the same id": send_another_under_the_same_id,
    "a key that has gone": send_to_a_key_that_has_gone,
    "a suspended partner": send_while_suspended,
    "bad signatures": sign_wrongly,
    "bad statements": state_wrongly,
    "bad boxes": seal_wrongly,
    "reports of nobody": ask_for_reports,
    "a good enrolment, and another box": enrol_well_and_again,
    "bad enrolments": enrol_badly,
    "account changes": change_account,
    "requests to show the button": ask_for_the_button,
    "the mailbox": read_mailbox,
    "wrong addresses and methods": walk_astray,
    "body: empty": ask("POST", REPORTS, b""),
    "body: none": ask("POST", REPORTS),
    "body: not JSON": ask("POST", REPORTS, b"{"),
    "body: not UTF-8": ask("POST", REPORTS, b'"\xff"'),
    "body: a list": ask("POST", REPORTS, b"[]"),
    "body: nested too deeply": ask("POST", REPORTS, b"[" * 100_000),
    "body: too large": sized(MAX_REPORT_BODY_BYTES + 1),
    "body: no statement": post_body(lambda r: {"envelope": as_map(r)["envelope"]}),
    "body: no envelope": post_body(lambda r: {"statement": as_map(r)["statement"]}),
    "body: a field more": post_body(lambda r: {**as_map(r), "note": "x"}),
    "body: envelope is a number": post_body(lambda r: {**as_map(r), "envelope": 1}),
    "body: envelope is not base64url": post_body(lambda r: {**as_map(r), "envelope": "A"}),
    "body: envelope is padded": post_body(lambda r: {**as_map(r), "envelope": f"{as_map(r)['envelope']}="}),
    "body: white space": post_body(lambda r: r.body.replace(b'{"', b'{ "', 1)),
    "body: a key twice": post_body(lambda r: r.body.replace(b'{"envelope":', b'{"envelope":"","envelope":', 1)),
    "body: bytes behind the end": post_body(lambda r: r.body + b"\n"),
}
