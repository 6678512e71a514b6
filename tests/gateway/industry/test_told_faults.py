"""A partner's own faults in its answers: each fault of a statement by its place, each rule of the signature."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import product
from typing import Any

import msgspec
import pytest

from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.signing import StatementKind, parse_statement, sign_statement
from tests.builders import Door, House, Partner, SealedReport, seal_report, sign_request
from tests.problem_shape import check_problem

REPORTS = "/v1/reports"
STRANGER = Partner("stranger")
MARKER = "marker-2f6c"
STATEMENT = "#/statement"
PAYLOAD = "#/statement/payload"

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def report(house: House, partner: Partner) -> SealedReport:
    return seal_report(partner, key=house.agency.sealing_key)


def sign(payload: object, *, by: Partner, kind: StatementKind = StatementKind.SUBMISSION) -> dict[str, Any]:
    signed: dict[str, Any] = msgspec.json.decode(sign_statement(payload, kind=kind, private_keys=(by.submission_key,)))
    return signed


def sign_raw(body: bytes, *, by: Partner) -> dict[str, Any]:
    """Sign bytes that are no canonical JSON."""
    return sign(msgspec.Raw(body), by=by)


def payload_of(report: SealedReport) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(parse_base64url(parse_statement(report.statement).payload))
    return found


def with_field(name: str, value: object) -> Callable[[SealedReport, Partner], dict[str, Any]]:
    return lambda report, partner: sign({**payload_of(report), name: value}, by=partner)


def without(name: str) -> Callable[[SealedReport, Partner], dict[str, Any]]:
    return lambda report, partner: sign({k: v for k, v in payload_of(report).items() if k != name}, by=partner)


def outside(**changes: object) -> Callable[[SealedReport, Partner], dict[str, Any]]:
    return lambda report, _: {**msgspec.json.decode(report.statement), **changes}


def with_signature(**changes: str) -> Callable[[SealedReport, Partner], dict[str, Any]]:
    def make(report: SealedReport, _: Partner) -> dict[str, Any]:
        signed: dict[str, Any] = msgspec.json.decode(report.statement)
        signed["signatures"][0] |= changes
        return signed

    return make


TIME = "Give a time in UTC and whole seconds, like 2026-11-25T08:30:00Z."
REFERENCE = "Give null, or the canonical reference of your own report, e.g. K7QF-2M9TX-D."
DIGEST = "Give the SHA-256 of the envelope in 64 lower-case hexadecimal digits."
IDS = "Give a list of at most 250 ids (UUIDv7), each once."
OWN_ID = "Give your own partner id, as in your invitation."
UUID7 = "Give a UUIDv7 in lower case with hyphens."
SPELLING = "Send canonical JSON (RFC 8785): sorted keys, no white space, each key once."
SIG_BYTES = "Give the 64 bytes of an Ed25519 signature in base64url, unpadded."
SIGN_THIS = "Sign DSSE's pre-authentication encoding of the payload's bytes, before base64url, with this key."
SIGN_WITH = "Sign with the key that signs the request, or with one that it replaced recently."
SOME_ID = "019ab3c5-7340-7ff3-b7d7-b412be473e63"

FIELDS = (
    "created_at, earlier_reference, environment, envelope_sha256, evidence_ids, kind, partner, priority, report_id, "
    "schema_version"
)
# One row for each fault: the statement, where the fault is, and what to do.
FAULTS: dict[str, tuple[Callable[[SealedReport, Partner], object], str, str]] = {
    "of another kind": (
        lambda report, partner: sign(payload_of(report), by=partner, kind=StatementKind.ENROLMENT),
        f"{STATEMENT}/payloadType",
        "Give application/vnd.report-abuse.submission.v1+json.",
    ),
    "not signed": (outside(signatures=[]), f"{STATEMENT}/signatures", "Give exactly one signature."),
    "signed by a stranger": (
        lambda report, _: sign(payload_of(report), by=STRANGER),
        f"{STATEMENT}/signatures/0/keyid",
        SIGN_WITH,
    ),
    "a signature that is cut": (
        with_signature(sig=to_base64url(bytes(63))),
        f"{STATEMENT}/signatures/0/sig",
        SIG_BYTES,
    ),
    "a signature of something else": (
        with_signature(sig=to_base64url(bytes(64))),
        f"{STATEMENT}/signatures/0/sig",
        SIGN_THIS,
    ),
    "a payload that is padded": (outside(payload="e30="), PAYLOAD, "Give the payload's bytes in base64url, unpadded."),
    "a payload that is no JSON": (
        lambda _, partner: sign_raw(b"{", by=partner),
        PAYLOAD,
        "Give one JSON object in UTF-8.",
    ),
    "a payload with white space": (
        lambda report, partner: sign_raw(b" " + encode(payload_of(report)), by=partner),
        PAYLOAD,
        SPELLING,
    ),
    "a payload with a key twice": (
        lambda report, partner: sign_raw(b'{"created_at":"x",' + encode(payload_of(report))[1:], by=partner),
        PAYLOAD,
        SPELLING,
    ),
    "a field too many": (
        with_field(MARKER, MARKER),
        PAYLOAD,
        f"Unknown field: number 7, counted from the top. Keep only {FIELDS}.",
    ),
    "no field kind": (
        without("kind"),
        f"{PAYLOAD}/kind",
        "Add this field. Give one of initial, supplement, correction, retraction, response.",
    ),
    "a time with a fraction": (
        with_field("created_at", "2026-11-25T08:30:00.5Z"),
        f"{PAYLOAD}/created_at",
        TIME,
    ),
    "a day that does not exist": (with_field("created_at", "2026-02-30T08:30:00Z"), f"{PAYLOAD}/created_at", TIME),
    "a reference with a slip": (
        with_field("earlier_reference", "K7QF-2M9TX-E"),
        f"{PAYLOAD}/earlier_reference",
        REFERENCE,
    ),
    "another environment": (
        with_field("environment", "sandbox"),
        f"{PAYLOAD}/environment",
        "Give the environment of your enrolment, live or sandbox.",
    ),
    "a digest in capitals": (with_field("envelope_sha256", "A" * 64), f"{PAYLOAD}/envelope_sha256", DIGEST),
    "an evidence id twice": (with_field("evidence_ids", [SOME_ID] * 2), f"{PAYLOAD}/evidence_ids", IDS),
    "an evidence id that is none": (with_field("evidence_ids", [MARKER]), f"{PAYLOAD}/evidence_ids", IDS),
    "another kind of report": (
        with_field("kind", MARKER),
        f"{PAYLOAD}/kind",
        "Give one of initial, supplement, correction, retraction, response.",
    ),
    "another partner": (with_field("partner", "second-service"), f"{PAYLOAD}/partner", OWN_ID),
    "another priority": (with_field("priority", "P0"), f"{PAYLOAD}/priority", "Give one of P1, P2, P3."),
    "a report id in capitals": (with_field("report_id", SOME_ID.upper()), f"{PAYLOAD}/report_id", UUID7),
    "another schema version": (with_field("schema_version", "2"), f"{PAYLOAD}/schema_version", 'Give "1".'),
    "too large": (
        lambda report, partner: sign({**payload_of(report), "evidence_ids": [SOME_ID] * 400}, by=partner),
        STATEMENT,
        "Give a statement of at most 16 KiB.",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault_of_a_statement_is_told_by_its_place(
    case: str, house: House, industry: Door, partner: Partner, report: SealedReport
):
    make, pointer, detail = FAULTS[case]
    body = {"envelope": to_base64url(report.envelope), "statement": make(report, partner)}

    answer = industry.post(REPORTS, body)

    document = check_problem(answer, problems.STATEMENT_REFUSED)
    assert document["errors"] == [{"pointer": pointer, "detail": detail}]
    assert MARKER not in answer.text
    assert MARKER.upper() not in answer.text
    assert house.rows("reports") == []


def test_all_faults_of_a_statement_are_told_at_once(industry: Door, partner: Partner, report: SealedReport):
    payload = {**payload_of(report), "kind": 1, "priority": None, "report_id": "x"}
    signed = sign(payload, by=STRANGER)

    document = check_problem(
        industry.post(REPORTS, {"envelope": to_base64url(report.envelope), "statement": signed}),
        problems.STATEMENT_REFUSED,
    )

    places = ["signatures/0/keyid", "payload/kind", "payload/priority", "payload/report_id"]
    assert [one["pointer"] for one in document["errors"]] == [f"{STATEMENT}/{place}" for place in places]


SPELLINGS: dict[str, Callable[[SealedReport], bytes]] = {
    "indented": lambda r: json.dumps(json.loads(r.body), indent=2).encode(),
    "keys in another order": lambda r: json.dumps(dict(reversed(json.loads(r.body).items()))).encode(),
    "a key with an escape": lambda r: r.body.replace(b'"envelope"', b'"\\u0065nvelope"', 1),
    "a slash with an escape": lambda r: r.body.replace(b"application/", b"application\\/", 1),
    "white space around": lambda r: b"\r\n\t " + r.body + b"\n",
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_any_spelling_of_the_outer_json_is_the_same_report(
    case: str, house: House, industry: Door, report: SealedReport
):
    body = SPELLINGS[case](report)
    assert body != report.body

    first = industry.post(REPORTS, body)
    again = industry.post(REPORTS, report.body)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.data == again.data
    assert len(house.rows("reports")) == 1


# Signed by the partner's own key, and each against one rule of the profile.
def sign_freely(
    partner: Partner,
    house: House,
    *,
    label: str = "sig1",
    covered: tuple[str, ...] = ("@method", "@target-uri", "content-type", "content-digest"),
    parameters: Mapping[str, object] | None = None,
    body: bytes,
    order: tuple[str, ...] = ("created", "keyid", "alg", "nonce", "tag"),
) -> dict[str, str]:
    good = sign_request(
        "POST",
        f"https://report.example{REPORTS}",
        body=body,
        private_key=partner.submission_key,
        created=house.clock(),
    )
    given = {
        "created": int(house.clock().timestamp()),
        "keyid": partner.entry().key_id,
        "alg": "ed25519",
        "nonce": "n" * 24,
        "tag": "report-abuse",
        **(parameters or {}),
    }
    spelled = "".join(f";{name}={json.dumps(given[name])}" for name in order)
    inner = f"({' '.join(json.dumps(name) for name in covered)}){spelled}"
    values = {
        "@method": "POST",
        "@target-uri": f"https://report.example{REPORTS}",
        "content-type": "application/json",
        "content-digest": good["Content-Digest"],
    }
    base = "\n".join([*(f'"{name}": {values[name]}' for name in covered), f'"@signature-params": {inner}'])
    signature = base64.b64encode(partner.submission_key.sign(base.encode())).decode()
    return {**good, "Signature-Input": f"{label}={inner}", "Signature": f"{label}=:{signature}:"}


ORDER = "Give the parameters created, keyid, alg, nonce, tag, in this order, and no other."
COVER = "Cover @method @target-uri, with a body @method @target-uri content-type content-digest, in this order."
CLOCK = "created may be 300 seconds past and 60 ahead: set this machine's clock."
RULES: dict[str, tuple[Callable[[House], dict[str, Any]], str]] = {
    "another label": (lambda _: {"label": "sig"}, "Name the signature sig1."),
    "the body not covered": (lambda _: {"covered": ("@method", "@target-uri")}, COVER),
    "the method alone": (lambda _: {"covered": ("@method",)}, COVER),
    "another order of components": (
        lambda _: {"covered": ("@target-uri", "@method", "content-type", "content-digest")},
        COVER,
    ),
    "another order of parameters": (lambda _: {"order": ("keyid", "created", "alg", "nonce", "tag")}, ORDER),
    "a parameter too many": (
        lambda house: {
            "order": ("created", "expires", "keyid", "alg", "nonce", "tag"),
            "parameters": {"expires": int(house.clock().timestamp()) + 60},
        },
        ORDER,
    ),
    "a parameter too few": (lambda _: {"order": ("created", "keyid", "alg", "tag")}, ORDER),
    "signed long ago": (
        lambda house: {"parameters": {"created": int((house.clock() - timedelta(hours=2)).timestamp())}},
        CLOCK,
    ),
    "signed in the future": (
        lambda house: {"parameters": {"created": int((house.clock() + timedelta(seconds=61)).timestamp())}},
        CLOCK,
    ),
    "another algorithm": (lambda _: {"parameters": {"alg": "ed448"}}, "Give ed25519 as alg."),
    "a short nonce": (lambda _: {"parameters": {"nonce": "n"}}, "Give 16 to 64 of A-Z a-z 0-9 _ - as nonce."),
    "another tag": (lambda _: {"parameters": {"tag": MARKER}}, "Give report-abuse as tag."),
}


@pytest.mark.parametrize("case", RULES)
def test_holder_of_a_key_is_told_which_rule_of_the_profile_it_broke(
    case: str, house: House, industry: Door, partner: Partner, report: SealedReport
):
    make, detail = RULES[case]
    headers = sign_freely(partner, house, body=report.body, **make(house))

    answer = industry.post(REPORTS, report.body, headers=headers)

    document = check_problem(answer, problems.NOT_AUTHORISED)
    assert document["detail"] == detail
    assert "errors" not in document
    assert MARKER not in answer.text


def test_whoever_holds_no_key_of_the_register_is_told_nothing(
    house: House, industry: Door, partner: Partner, report: SealedReport
):
    suspended = Partner("second-service")
    house.publish(partner.entry(), suspended.entry(state="suspended"), serial=2)
    own = {"keyid": partner.entry().key_id}
    senders: tuple[tuple[Partner, dict[str, object]], ...] = ((STRANGER, {}), (suspended, {}), (STRANGER, own))
    for (make, _), (sender, claimed) in product(RULES.values(), senders):
        changes = make(house)
        parameters = {**changes.pop("parameters", {}), **claimed}
        headers = sign_freely(sender, house, body=report.body, parameters=parameters, **changes)
        document = check_problem(industry.post(REPORTS, report.body, headers=headers), problems.NOT_AUTHORISED)
        assert document["detail"] == problems.NOT_AUTHORISED.advice


def test_body_that_was_not_signed_is_told_to_the_holder_of_the_key(
    house: House, industry: Door, partner: Partner, report: SealedReport
):
    headers = sign_freely(partner, house, body=report.body + b" ")
    document = check_problem(industry.post(REPORTS, report.body, headers=headers), problems.NOT_AUTHORISED)
    assert document["detail"].startswith("The body does not match its signed digest")
