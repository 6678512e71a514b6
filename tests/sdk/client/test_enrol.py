"""The partner's half of enrolment: the agency is checked first, keys and box are made once."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from gateway.desk.partners.enrolments import check_enrolment
from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.account import enrol
from partner_sdk.errors import (
    EnrolmentError,
    KeySetError,
    LocalStateError,
    RefusedError,
    SealingError,
    UnavailableError,
)
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.enrolment import EnrolmentPost, Invitation, enrolment_context, parse_invitation, secret_sha256
from partner_sdk.wire.problems import MEDIA_TYPE, UNKNOWN_INVITATION
from partner_sdk.wire.sealing import Envelope
from tests.builders import DAY, NOW, Agency, Partner, StillClock
from tests.builders.vault import make_vault
from tests.sdk.sdk_builders import Answer, ScriptedGateway, make_invitation, session_for

AGENCY = Agency()
INVITATION = make_invitation(AGENCY, Partner())
WAITING: Answer = (202, {}, b'{"status":"waiting"}')
REFUSED: Answer = (422, {"Content-Type": MEDIA_TYPE}, encode({"type": UNKNOWN_INVITATION.slug}))
KEYS: Answer = (200, {}, AGENCY.bundle())


def run(folder: Path, gateway: ScriptedGateway, invitation: Invitation = INVITATION, clock: StillClock | None = None):
    return enrol(invitation, folder=folder, session=session_for(gateway), clock=clock or StillClock())


def test_box_opens_at_the_desk_and_names_the_keys_of_the_folder(tmp_path: Path) -> None:
    gateway = ScriptedGateway(KEYS, WAITING)
    made = run(tmp_path / "p", gateway)
    gateway.check_used(2)
    assert [request.path_url for request in gateway.requests] == ["/v1/keys", "/v1/enrol"]
    post = msgspec.json.decode(gateway.requests[1].body, type=EnrolmentPost)
    hashed = to_base64url(secret_sha256(bytes(32)))
    assert post.secret_sha256 == hashed
    opened = make_vault(AGENCY.key(KeyRole.SEALING)).open_enrolment(
        Envelope.parse(parse_base64url(post.envelope)),
        context=enrolment_context(environment="live", partner="example-chat", hashed_secret=hashed),
    )
    keys = check_enrolment(opened, environment="live", invited={hashed: "example-chat"})
    state = PartnerState.open(tmp_path / "p")
    kept = {role: state.read_key(role) for role in PARTNER_ROLES}
    assert keys.submission_key == kept[KeyRole.SUBMISSION].public_key
    assert keys.context_key == kept[KeyRole.CONTEXT].public_key
    assert keys.mailbox_key == kept[KeyRole.MAILBOX].public_key
    assert made.key_ids == {role.value: key.key_id for role, key in kept.items()}


def test_secret_goes_neither_into_the_folder_nor_over_the_wire_in_clear(tmp_path: Path) -> None:
    secret = to_base64url(bytes(range(32)))
    gateway = ScriptedGateway(KEYS, WAITING)
    run(tmp_path / "p", gateway, make_invitation(AGENCY, Partner(), secret=secret))
    files = [path for path in (tmp_path / "p").rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert not any(secret.encode() in path.read_bytes() for path in files)
    assert secret.encode() not in (gateway.requests[1].body or b"")


def test_impostor_gateway_gets_no_box_and_leaves_no_folder(tmp_path: Path) -> None:
    gateway = ScriptedGateway((200, {}, Agency(name="impostor").bundle()))
    with pytest.raises(KeySetError) as caught:
        run(tmp_path / "p", gateway)
    assert caught.value.reason == "wrong-root"
    assert not (tmp_path / "p").exists()
    gateway.check_used(1)


def test_lost_reply_is_repeated_with_the_same_keys_and_bytes(tmp_path: Path) -> None:
    gateway = ScriptedGateway(KEYS, (503, {}, b""), KEYS, WAITING)
    with pytest.raises(UnavailableError):
        run(tmp_path / "p", gateway)
    run(tmp_path / "p", gateway)
    gateway.check_used(4)
    assert gateway.requests[1].body == gateway.requests[3].body


def test_second_invitation_needs_a_new_folder_since_old_keys_may_have_leaked(tmp_path: Path) -> None:
    gateway = ScriptedGateway(KEYS, WAITING, KEYS, KEYS, WAITING)
    first = run(tmp_path / "p", gateway)
    second = make_invitation(AGENCY, Partner(), secret="B" * 42 + "A")
    box = (tmp_path / "p" / "enrolment.json").read_bytes()
    with pytest.raises(LocalStateError) as caught:
        run(tmp_path / "p", gateway, second)
    assert caught.value.reason == "already-enrolled"
    assert str(caught.value) == "This folder belongs to an earlier enrolment: give a new folder with --state."
    assert (tmp_path / "p" / "enrolment.json").read_bytes() == box
    made = run(tmp_path / "q", gateway, second)
    gateway.check_used(5)
    assert not set(made.key_ids.values()) & set(first.key_ids.values())


@pytest.mark.parametrize("is_there", [False, True])
def test_refused_invitation_leaves_no_folder_that_looks_enrolled(tmp_path: Path, is_there: bool) -> None:
    if is_there:
        (tmp_path / "p").mkdir(mode=0o700)
    with pytest.raises(RefusedError):
        run(tmp_path / "p", ScriptedGateway(KEYS, REFUSED))
    assert not (tmp_path / "p").exists()
    run(tmp_path / "p", ScriptedGateway(KEYS, WAITING), make_invitation(AGENCY, Partner(), secret="B" * 42 + "A"))


@pytest.mark.parametrize("first", [WAITING, (503, {}, b"")])
def test_refusal_after_an_earlier_post_keeps_the_keys(tmp_path: Path, first: Answer) -> None:
    """The earlier post may have been stored, and approved since: then these keys are in use."""
    with suppress(UnavailableError):
        run(tmp_path / "p", ScriptedGateway(KEYS, first))
    before = {path: path.read_bytes() for path in (tmp_path / "p").rglob("*") if path.is_file()}
    with pytest.raises(RefusedError):
        run(tmp_path / "p", ScriptedGateway(KEYS, REFUSED))
    assert len(before) >= 6
    assert {path: path.read_bytes() for path in before} == before


def test_refusal_of_something_before_the_gateway_keeps_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        run(tmp_path / "p", ScriptedGateway(KEYS, (403, {}, b"")))
    assert PartnerState.open(tmp_path / "p")


def test_folder_of_something_else_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir(mode=0o755)
    (tmp_path / "photos" / "cat.txt").write_bytes(b"cat")
    with pytest.raises(LocalStateError) as caught:
        run(tmp_path / "photos", ScriptedGateway(KEYS))
    assert caught.value.reason == "not-our-folder"
    assert "chmod" not in str(caught.value)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.txt"]


def test_empty_folder_that_others_can_enter_is_refused_without_advice_to_change_it(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    (tmp_path / "mount").chmod(0o755)
    with pytest.raises(LocalStateError) as caught:
        run(tmp_path / "mount", ScriptedGateway(KEYS))
    assert caught.value.reason == "open-to-others"
    assert "chmod" not in str(caught.value)
    assert list((tmp_path / "mount").iterdir()) == []


def test_expired_invitation_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    gateway = ScriptedGateway()
    with pytest.raises(EnrolmentError) as caught:
        run(tmp_path / "p", gateway, clock=StillClock(NOW + 30 * DAY))
    assert caught.value.reason == "expired-invitation"
    gateway.check_used(0)


def test_agency_without_an_active_key_is_named(tmp_path: Path) -> None:
    gateway = ScriptedGateway((200, {}, AGENCY.bundle(sealing_keys=())))
    with pytest.raises(SealingError) as caught:
        run(tmp_path / "p", gateway)
    assert caught.value.reason == "no-active-key"


def test_folder_of_another_enrolment_is_not_touched(tmp_path: Path) -> None:
    run(tmp_path / "p", ScriptedGateway(KEYS, WAITING))
    before = (tmp_path / "p" / "partner.json").read_bytes()
    with pytest.raises(LocalStateError) as caught:
        run(tmp_path / "p", ScriptedGateway(KEYS), make_invitation(AGENCY, Partner(partner="other-chat")))
    assert caught.value.reason == "already-enrolled"
    assert (tmp_path / "p" / "partner.json").read_bytes() == before


def test_invitation_parses_back_identically() -> None:
    assert parse_invitation(encode(INVITATION) + b"\n") == INVITATION


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"\xff",
        encode(msgspec.structs.replace(INVITATION, secret="A" * 42)),
        encode(msgspec.structs.replace(INVITATION, partner="agency")),
        encode(msgspec.structs.replace(INVITATION, expires_at="soon")),
        b" " + encode(INVITATION),
    ],
)
def test_other_bytes_are_not_an_invitation(raw: bytes) -> None:
    with pytest.raises(EnrolmentError) as caught:
        parse_invitation(raw)
    assert caught.value.reason == "bad-invitation"
    assert "another file, or it was edited" in str(caught.value)
    assert "Use the agency's file unchanged" in str(caught.value)


def test_repr_of_an_invitation_does_not_show_the_secret() -> None:
    assert INVITATION.secret not in repr(INVITATION)
