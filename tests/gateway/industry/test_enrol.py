"""`POST /v1/enrol`: one sealed answer for each invitation, kept for the desk."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.exchange.feed import ENROLMENT
from gateway.store.items import put_invitation
from partner_sdk.key_files import KeyRole
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, to_base64url
from partner_sdk.wire.enrolment import (
    MAX_ENROLMENT_BODY_BYTES,
    MAX_ENROLMENT_BYTES,
    EnrolmentPost,
    Invitation,
    seal_enrolment,
    secret_sha256,
)
from partner_sdk.wire.problems import Problem
from partner_sdk.wire.sealing import SealingKey
from tests.builders import NOW, PUBLIC_ORIGIN, Agency, Door, House, Partner, make_box, make_house, raw_public_key
from tests.problem_shape import check_problem

NEWCOMER = Partner("new-service")
SECRET = bytes(range(32))
HASHED = to_base64url(secret_sha256(SECRET))


def answer_invitation(house: House, *, key: SealingKey | None = None) -> EnrolmentPost:
    """Seal an answer to the invitation as the SDK does."""
    invitation = Invitation(
        environment="live",
        expires_at=format_time(NOW + timedelta(days=7)),
        name="New Service",
        origin=PUBLIC_ORIGIN,
        partner=NEWCOMER.partner,
        next_root_fingerprint=house.agency.pin().next_root_fingerprint,
        root_fingerprint=house.agency.pin().root_fingerprint,
        secret=to_base64url(SECRET),
    )
    return seal_enrolment(
        invitation,
        submission_key=NEWCOMER.submission_key,
        context_key=Ed25519PrivateKey.from_private_bytes(bytes(32)),
        mailbox_key=raw_public_key(NEWCOMER.key(KeyRole.MAILBOX)),
        agency_key=key or house.agency.sealing_key,
    )


def invite(house: House, *, expires_in: timedelta = timedelta(days=7)) -> None:
    with house.open_gateway().store.write() as connection:
        put_invitation(
            connection,
            secret_sha256=secret_sha256(SECRET),
            partner=NEWCOMER.partner,
            expires_at=NOW + expires_in,
        )


@pytest.fixture
def anyone(house: House) -> Door:
    """A caller without a key, at a gateway where the newcomer is invited."""
    invite(house)
    return house.open_industry()


def test_answer_to_an_invitation_waits_for_the_desk(house: House, anyone: Door):
    post = answer_invitation(house)

    answer = anyone.post("/v1/enrol", post)

    assert (answer.status_code, answer.data) == (202, b'{"status":"waiting"}')
    (item,) = house.items(ENROLMENT)
    assert (item.address, item.acknowledged_at, item.envelope) == (HASHED, None, parse_base64url(post.envelope))


def test_same_box_again_is_no_fault_and_is_kept_once(house: House, anyone: Door):
    post = answer_invitation(house)

    assert [anyone.post("/v1/enrol", post).status_code for _ in range(3)] == [202, 202, 202]
    assert len(house.items(ENROLMENT)) == 1


def test_other_box_for_a_used_invitation_is_refused_and_the_first_stays(house: House, anyone: Door):
    anyone.post("/v1/enrol", answer_invitation(house))
    before = house.items(ENROLMENT)

    refused = anyone.post("/v1/enrol", answer_invitation(house))

    check_problem(refused, problems.UNKNOWN_INVITATION)
    assert house.items(ENROLMENT) == before


def test_unknown_and_expired_invitations_are_refused_alike(house: House):
    anyone = house.open_industry()
    post = answer_invitation(house)
    unknown = check_problem(anyone.post("/v1/enrol", post), problems.UNKNOWN_INVITATION)
    invite(house, expires_in=timedelta(0))

    expired = check_problem(anyone.post("/v1/enrol", post), problems.UNKNOWN_INVITATION)

    assert {**unknown, "instance": ""} == {**expired, "instance": ""}
    assert house.items(ENROLMENT) == []


def test_guessing_secrets_does_not_wait_for_the_writers(house: House):
    """An unsigned caller must not be able to stand in the queue of reports: the invitation is read first."""
    gateway = house.open_gateway()
    anyone = house.open_industry(gateway=gateway)
    with gateway.store.write():
        check_problem(anyone.post("/v1/enrol", answer_invitation(house)), problems.UNKNOWN_INVITATION)


def test_box_for_an_unknown_sealing_key_is_refused(house: House, anyone: Door):
    post = answer_invitation(house, key=Agency(name="another-agency").sealing_key)

    check_problem(anyone.post("/v1/enrol", post), problems.UNKNOWN_AGENCY_KEY)
    assert house.items(ENROLMENT) == []


# A key that comes twice: two readers would see two boxes.
TWICE = b'{"envelope":"A",'


def bad_bodies(house: House) -> list[tuple[bytes, Problem]]:
    envelope = to_base64url(make_box(house.agency.sealing_key))
    large = to_base64url(make_box(house.agency.sealing_key, size=MAX_ENROLMENT_BYTES))
    return [
        (b"", problems.MALFORMED_REQUEST),
        (b'{"envelope": "x"}', problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope, "secret_sha256": HASHED, "secret": "x"}), problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope, "secret_sha256": HASHED[:40]}), problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope, "secret_sha256": HASHED}).replace(b"{", TWICE, 1), problems.MALFORMED_REQUEST),
        (encode({"envelope": envelope[:100], "secret_sha256": HASHED}), problems.MALFORMED_ENVELOPE),
        (encode({"envelope": large, "secret_sha256": HASHED}), problems.BODY_TOO_LARGE),
        (b"x" * (MAX_ENROLMENT_BODY_BYTES + 1), problems.BODY_TOO_LARGE),
    ]


@pytest.mark.parametrize("case", range(8))
def test_bad_body_is_refused_and_nothing_is_kept(case: int, house: House, anyone: Door):
    body, problem = bad_bodies(house)[case]

    check_problem(anyone.post("/v1/enrol", body), problem)

    assert house.items(ENROLMENT) == []


def test_enrolments_are_limited_by_network(house: House, anyone: Door):
    post = answer_invitation(house)

    statuses = [anyone.post("/v1/enrol", post).status_code for _ in range(21)]

    assert statuses == [202] * 20 + [429]
    check_problem(anyone.post("/v1/enrol", post), problems.RATE_LIMITED)


def test_nobody_can_enrol_before_the_first_key_set(tmp_path):
    house = make_house(tmp_path / "new")
    invite(house)

    check_problem(house.open_industry().post("/v1/enrol", answer_invitation(house)), problems.NOT_READY)
    assert house.items(ENROLMENT) == []
