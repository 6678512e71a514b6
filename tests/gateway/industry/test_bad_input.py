"""Clock skew, replay and wrong digests, at every signed call: one 401, and nothing of it kept."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta

import pytest

from gateway.exchange.request_signatures import MAX_AGE_SECONDS, MAX_SKEW_SECONDS
from gateway.web.rules import Login, find_rule
from partner_sdk.wire import problems
from tests.builders import Door, House, Partner, seal_report, sign_request
from tests.gateway.industry.kept_state import read_kept
from tests.gateway.industry.partner_calls import (
    PartnerCall,
    check_every_route_has_a_call,
    invite_newcomer,
    make_calls,
    put_message,
    send_call,
)
from tests.problem_shape import check_problem

REPORTS = "/v1/reports"


@pytest.fixture
def signed(house: House, industry: Door, partner: Partner) -> Mapping[str, PartnerCall]:
    """The good request of every call that must be signed, with the items it asks for."""
    calls = make_calls(house.agency.sealing_key, partner)
    check_every_route_has_a_call(industry, calls)
    invite_newcomer(house)
    put_message(house, partner)
    found = {
        name: call
        for name, call in calls.items()
        if (stated := find_rule(industry.app, f"industry.{name}")) and stated.login is Login.PARTNER
    }
    assert len(found) >= 8
    return found


def sign_for(call: PartnerCall, partner: Partner, house: House, *, seconds: float = 0, url: str = "") -> dict[str, str]:
    """Sign a call as its partner does, with a clock that is so many seconds behind."""
    return sign_request(
        call.method,
        url or f"https://report.example{call.path}",
        body=call.body,
        private_key=partner.submission_key,
        created=house.clock() - timedelta(seconds=seconds),
        content_type=call.content_type,
    )


@pytest.mark.parametrize("seconds", [MAX_AGE_SECONDS + 1, -MAX_SKEW_SECONDS - 1])
def test_clock_that_is_too_far_off_is_refused_at_every_call(
    seconds: int, house: House, industry: Door, partner: Partner, signed: Mapping[str, PartnerCall]
):
    before = read_kept(house)
    nobody = Door(industry.app, industry.origin, house.clock)
    for call in signed.values():
        answer = send_call(nobody, call, **sign_for(call, partner, house, seconds=seconds))
        check_problem(answer, problems.NOT_AUTHORISED)

    assert read_kept(house) == before


@pytest.mark.parametrize("seconds", [MAX_AGE_SECONDS, -MAX_SKEW_SECONDS])
def test_clock_within_the_window_is_no_fault_at_any_call(
    seconds: int, house: House, industry: Door, partner: Partner, signed: Mapping[str, PartnerCall]
):
    nobody = Door(industry.app, industry.origin, house.clock)
    order = sorted(signed, key=lambda name: name.startswith("get_"))
    for name in order:
        call = signed[name]
        answer = send_call(nobody, call, **sign_for(call, partner, house, seconds=seconds))
        assert answer.status_code in {200, 201, 202}, (name, answer.data)


def test_replay_inside_the_window_changes_nothing_at_any_call(
    house: House, industry: Door, partner: Partner, signed: Mapping[str, PartnerCall]
):
    nobody = Door(industry.app, industry.origin, house.clock)
    sent = {}
    for name in sorted(signed, key=lambda name: name.startswith("get_")):
        headers = sign_for(signed[name], partner, house)
        sent[name] = headers, send_call(nobody, signed[name], **headers)
        assert sent[name][1].status_code in {200, 201, 202}, name
    before = read_kept(house)

    house.clock.advance(seconds=MAX_AGE_SECONDS)
    for name, (headers, first) in sent.items():
        again = send_call(nobody, signed[name], **headers)
        assert again.status_code in {200, 202}, name
        if first.status_code != 200 or name == "get_report":
            assert again.data == first.data, name

    assert read_kept(house) == before


def test_signature_of_one_call_is_none_for_another(
    house: House, industry: Door, partner: Partner, signed: Mapping[str, PartnerCall]
):
    """An overheard signature opens no other address, and no other method."""
    nobody = Door(industry.app, industry.origin, house.clock)
    before = read_kept(house)
    for name, call in signed.items():
        for other_name, other in signed.items():
            if other_name == name:
                continue
            overheard = sign_for(other, partner, house)
            overheard.pop("Content-Type", None)
            check_problem(send_call(nobody, call, **overheard), problems.NOT_AUTHORISED)

    assert read_kept(house) == before


def digest_of(body: bytes, name: str = "sha256") -> str:
    return base64.b64encode(hashlib.new(name, body).digest()).decode()


WRONG_DIGESTS = {
    "of other bytes": lambda body: f"sha-256=:{digest_of(body + b'x')}:",
    "of nothing": lambda _: f"sha-256=:{digest_of(b'')}:",
    "by SHA-512": lambda body: f"sha-512=:{digest_of(body, 'sha512')}:",
    "two of them": lambda body: f"sha-256=:{digest_of(body)}:, sha-512=:{digest_of(body, 'sha512')}:",
    "the same twice": lambda body: f"sha-256=:{digest_of(body)}:,sha-256=:{digest_of(body)}:",
    "without colons": lambda body: f"sha-256={digest_of(body)}",
    "as hexadecimal": lambda body: f"sha-256=:{hashlib.sha256(body).hexdigest()}:",
    "with a parameter": lambda body: f"sha-256=:{digest_of(body)}:;a=1",
    "as one of old": lambda body: f"SHA-256={digest_of(body)}",
    "empty": lambda _: "",
}


@pytest.mark.parametrize("case", WRONG_DIGESTS)
def test_wrong_digest_is_refused_though_the_signature_covers_it(
    case: str, house: House, industry: Door, partner: Partner, signed: Mapping[str, PartnerCall]
):
    """The holder of a key may sign any digest: the body must still be the one that it names, in its one spelling."""
    nobody = Door(industry.app, industry.origin, house.clock)
    before = read_kept(house)
    bodies = {name: call for name, call in signed.items() if call.body is not None}
    assert len(bodies) >= 5
    for name, call in bodies.items():
        headers = sign_with_digest(call, WRONG_DIGESTS[case](call.body or b""), partner=partner, house=house)
        answer = send_call(nobody, call, **headers)
        assert answer.status_code == 401, (name, answer.data)
        check_problem(answer, problems.NOT_AUTHORISED)

    assert read_kept(house) == before


def sign_with_digest(call: PartnerCall, digest: str, *, partner: Partner, house: House) -> dict[str, str]:
    """Sign a call so that its signature covers this digest."""
    headers = sign_for(call, partner, house)
    base = (
        f'"@method": {call.method}\n"@target-uri": https://report.example{call.path}\n"content-type": '
        f'{call.content_type}\n"content-digest": {digest}\n"@signature-params": '
        f"{headers['Signature-Input'].removeprefix('sig1=')}"
    )
    signature = base64.b64encode(partner.submission_key.sign(base.encode())).decode()
    return {**headers, "Content-Digest": digest, "Signature": f"sig1=:{signature}:"}


def test_signature_over_a_chosen_digest_is_a_real_one(house: House, industry: Door, partner: Partner):
    """The test above proves nothing unless its signatures hold but for the digest."""
    call = PartnerCall("POST", REPORTS, seal_report(partner, key=house.agency.sealing_key).body)
    headers = sign_with_digest(call, f"sha-256=:{digest_of(call.body or b'')}:", partner=partner, house=house)

    answer = send_call(Door(industry.app, industry.origin, house.clock), call, **headers)

    assert answer.status_code == 201


@pytest.mark.parametrize("cut", [1, 100, -1])
def test_body_that_was_cut_or_has_grown_is_refused(
    cut: int, house: House, industry: Door, partner: Partner, signed: Mapping[str, PartnerCall]
):
    nobody = Door(industry.app, industry.origin, house.clock)
    call = signed["post_report"]
    body = call.body or b""
    changed = PartnerCall(call.method, call.path, body[:-cut] if cut > 0 else body + b" ")

    check_problem(send_call(nobody, changed, **sign_for(call, partner, house)), problems.NOT_AUTHORISED)
    assert house.rows("reports") == []


@pytest.mark.parametrize(
    "change",
    [
        {"Signature": ""},
        {"Signature-Input": ""},
        {"Signature": "sig1=:AAAA:, sig2=:AAAA:"},
        {"Signature-Input": "sig1=()"},
        {"Signature-Input": 'sig1=("@method");created=1;keyid="AAAAAAAAAAA";alg="ed25519";nonce="a";tag="x"'},
        {"Authorization": "Bearer x", "Signature": ""},
    ],
)
def test_signature_headers_in_any_other_spelling_are_refused(
    change: dict[str, str], house: House, industry: Door, partner: Partner, signed: Mapping[str, PartnerCall]
):
    before = read_kept(house)
    nobody = Door(industry.app, industry.origin, house.clock)
    for call in signed.values():
        answer = send_call(nobody, call, **{**sign_for(call, partner, house), **change})
        check_problem(answer, problems.NOT_AUTHORISED)

    assert read_kept(house) == before
