"""Bad submissions at `POST /v1/reports`: each its own problem, and nothing of it stored."""

from collections.abc import Callable

import msgspec
import pytest

from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, to_base64url
from partner_sdk.wire.problems import Problem
from partner_sdk.wire.signing import parse_statement
from partner_sdk.wire.submission import ReportPost
from tests.builders import Agency, Door, House, Partner, SealedReport, seal_report, sign_for_envelope, sign_request
from tests.problem_shape import check_problem

REPORTS = "/v1/reports"
STRANGER = Partner("stranger")


@pytest.fixture
def report(house: House, partner: Partner) -> SealedReport:
    return seal_report(partner, key=house.agency.sealing_key)


@pytest.fixture(autouse=True)
def nothing_is_stored(house: House):
    """The gateway keeps nothing of any request in this file."""
    yield
    for table in ("reports", "items", "evidence", "drafts"):
        assert house.rows(table) == []


def post_of(envelope: bytes, statement: bytes) -> bytes:
    return encode(ReportPost(envelope=to_base64url(envelope), statement=parse_statement(statement)))


def as_map(report: SealedReport) -> dict:
    return msgspec.json.decode(report.body)


BAD_BODIES: dict[str, tuple[Callable[[SealedReport], bytes], Problem]] = {
    "empty": (lambda _: b"", problems.MALFORMED_REQUEST),
    "not JSON": (lambda _: b"{", problems.MALFORMED_REQUEST),
    "not UTF-8": (lambda _: b'"\xff"', problems.MALFORMED_REQUEST),
    "a list": (lambda _: b"[]", problems.MALFORMED_REQUEST),
    "nested too deeply": (lambda _: b"[" * 100_000, problems.MALFORMED_REQUEST),
    "no statement": (lambda r: encode({"envelope": as_map(r)["envelope"]}), problems.MALFORMED_REQUEST),
    "no envelope": (lambda r: encode({"statement": as_map(r)["statement"]}), problems.MALFORMED_REQUEST),
    "a field more": (lambda r: encode({**as_map(r), "note": "x"}), problems.MALFORMED_REQUEST),
    "envelope is a number": (lambda r: encode({**as_map(r), "envelope": 1}), problems.MALFORMED_REQUEST),
    "envelope is not base64url": (lambda r: encode({**as_map(r), "envelope": "A"}), problems.MALFORMED_REQUEST),
    "envelope is padded": (
        lambda r: encode({**as_map(r), "envelope": to_base64url(r.envelope + b"x") + "="}),
        problems.NOT_CANONICAL,
    ),
    "a key twice": (
        lambda r: r.body.replace(b'{"envelope":', b'{"envelope":"","envelope":', 1),
        problems.MALFORMED_REQUEST,
    ),
    "a key twice, once with an escape": (
        lambda r: r.body.replace(b'{"envelope":', b'{"\\u0065nvelope":"","envelope":', 1),
        problems.MALFORMED_REQUEST,
    ),
    "half a character": (
        lambda r: r.body.replace(b'"payloadType":"', b'"payloadType":"\\ud800', 1),
        problems.MALFORMED_REQUEST,
    ),
    "UTF-16": (lambda r: r.body.decode().encode("utf-16"), problems.MALFORMED_REQUEST),
    "a byte order mark": (lambda r: b"\xef\xbb\xbf" + r.body, problems.MALFORMED_REQUEST),
    "words behind the end": (lambda r: r.body + b"{}", problems.MALFORMED_REQUEST),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_body_that_is_no_report_post_is_refused(case: str, industry: Door, report: SealedReport):
    make_body, problem = BAD_BODIES[case]

    check_problem(industry.post(REPORTS, make_body(report)), problem)


def test_missing_field_is_named_by_a_pointer(industry: Door, report: SealedReport):
    body = as_map(report)
    del body["statement"]["signatures"][0]["sig"]

    document = check_problem(industry.post(REPORTS, body), problems.MALFORMED_REQUEST)

    assert document["errors"] == [
        {"pointer": "#/statement/signatures/0/sig", "detail": "Add this field: it is required."}
    ]


def test_refusal_never_repeats_what_was_sent(industry: Door, report: SealedReport):
    marker = "marker-2f6c"
    bodies = [
        {**as_map(report), marker: marker},
        {**as_map(report), "envelope": marker},
        {**as_map(report), "statement": marker},
        {**as_map(report), "statement": {**as_map(report)["statement"], "payloadType": marker}},
    ]
    for body in bodies:
        response = industry.post(REPORTS, body)
        assert 400 <= response.status_code < 500
        assert marker not in response.text
        assert marker not in str(response.headers)


def test_request_that_claims_anothers_key_is_refused(house: House, partner: Partner, report: SealedReport):
    industry = house.open_industry()
    headers = sign_request("POST", industry.origin + REPORTS, body=report.body, private_key=STRANGER.submission_key)
    mine = sign_request("POST", industry.origin + REPORTS, body=report.body, private_key=partner.submission_key)
    headers["Signature-Input"] = mine["Signature-Input"]

    check_problem(industry.post(REPORTS, report.body, headers=headers), problems.NOT_AUTHORISED)


def test_every_401_is_the_same(house: House, industry: Door, partner: Partner, report: SealedReport):
    house.publish(partner.entry(), Partner("second-service").entry(state="suspended"), serial=2)
    suspended = Partner("second-service")
    answers = [
        house.open_industry(None).post(REPORTS, report.body),
        house.open_industry(STRANGER).post(REPORTS, report.body),
        house.open_industry(suspended).post(REPORTS, report.body),
        industry.post(REPORTS, report.body, headers={"Signature": "sig1=:AAAA:"}),
        industry.post(REPORTS, report.body, headers={"Content-Digest": "sha-256=:AAAA:"}),
    ]
    shapes = set()
    for answer in answers:
        document = check_problem(answer, problems.NOT_AUTHORISED)
        del document["instance"]
        shapes.add((msgspec.json.encode(document), tuple(sorted(set(answer.headers.keys()) - {"X-Request-Id"}))))
    assert len(shapes) == 1


@pytest.mark.parametrize("url", ["http://report.example/v1/reports", "https://feed.example/v1/reports"])
def test_signature_for_another_origin_is_refused(url: str, house: House, partner: Partner, report: SealedReport):
    headers = sign_request("POST", url, body=report.body, private_key=partner.submission_key)
    headers |= {"Host": url.split("/")[2], "X-Forwarded-Host": url.split("/")[2], "X-Forwarded-Proto": "http"}

    check_problem(house.open_industry().post(REPORTS, report.body, headers=headers), problems.NOT_AUTHORISED)


def test_statement_of_another_partner_signed_by_that_partner_is_refused(house: House, industry: Door, partner: Partner):
    other = Partner("second-service")
    house.publish(partner.entry(), other.entry(), serial=2)
    report = seal_report(other, key=house.agency.sealing_key)

    check_problem(industry.post(REPORTS, report.body), problems.STATEMENT_REFUSED)


@pytest.mark.parametrize("kept_bytes", [0, 1, 14, 15, 1150])
def test_truncated_envelope_is_refused(kept_bytes: int, industry: Door, partner: Partner, report: SealedReport):
    cut = report.envelope[:kept_bytes]
    statement = sign_for_envelope(report.clear, cut, private_key=partner.submission_key)

    check_problem(industry.post(REPORTS, post_of(cut, statement)), problems.MALFORMED_ENVELOPE)


def test_cut_envelope_under_the_old_statement_is_a_mismatch(industry: Door, report: SealedReport):
    check_problem(industry.post(REPORTS, post_of(report.envelope[:-1], report.statement)), problems.ENVELOPE_MISMATCH)


@pytest.mark.parametrize(("place", "value"), [(0, 2), (9, 0), (11, 9), (14, 9)])
def test_envelope_of_another_version_or_suite_is_refused(
    place: int, value: int, industry: Door, partner: Partner, report: SealedReport
):
    altered = report.envelope[:place] + bytes([value]) + report.envelope[place + 1 :]
    statement = sign_for_envelope(report.clear, altered, private_key=partner.submission_key)

    check_problem(industry.post(REPORTS, post_of(altered, statement)), problems.MALFORMED_ENVELOPE)


def test_envelope_for_an_unknown_sealing_key_is_refused(industry: Door, partner: Partner):
    report = seal_report(partner, key=Agency(name="another-agency").sealing_key)

    check_problem(industry.post(REPORTS, report.body), problems.UNKNOWN_AGENCY_KEY)


def test_envelope_for_a_destroyed_key_is_refused(house: House, industry: Door, partner: Partner):
    destroyed = house.agency.other_sealing_key("destroyed", state="destroyed")
    house.publish(partner.entry(), serial=2, sealing_keys=(house.agency.sealing_key, destroyed))

    check_problem(industry.post(REPORTS, seal_report(partner, key=destroyed).body), problems.UNKNOWN_AGENCY_KEY)
