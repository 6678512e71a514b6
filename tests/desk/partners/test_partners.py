"""Enrolment at the desk: a one-time secret, self-signed keys, a person's approval, a signed register."""

from pathlib import Path

import msgspec
import pytest

from gateway.desk.office.organisations import PartnerError, list_partners
from gateway.desk.partners.account_changes import suspend_partner
from gateway.desk.partners.enrolments import (
    EnrolmentsTaken,
    approve_partner,
    collect_enrolments,
    invite_partner,
    publish_invitations,
)
from gateway.desk.store.agency_tables import ENROLMENTS, INVITATIONS
from gateway.exchange.feed import ENROLMENT, RegisterEntry
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.enrolment import (
    EnrolmentBox,
    EnrolmentPost,
    Invitation,
    enrolment_context,
    seal_enrolment,
    secret_sha256,
)
from partner_sdk.wire.sealing import Envelope, SealContext, seal
from tests.builders import PUBLIC_ORIGIN, Partner, raw_public_key
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.loop_model import copy_loop


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return copy_loop(tmp_path, is_enrolled=False)


def invite(loop: Loop, partner: str = "example-chat") -> Invitation:
    invitation = invite_partner(loop.desk, partner=partner, name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR)
    publish_invitations(loop.desk, loop.desk.make_feed())
    return invitation


def make_post(loop: Loop, invitation: Invitation, *, partner: Partner | None = None) -> EnrolmentPost:
    partner = partner or loop.partner
    return seal_enrolment(
        invitation,
        submission_key=partner.submission_key,
        context_key=load_signing_key(partner.key(KeyRole.CONTEXT)),
        mailbox_key=raw_public_key(partner.key(KeyRole.MAILBOX)),
        agency_key=loop.sealing_key(),
    )


def take(loop: Loop) -> EnrolmentsTaken:
    return collect_enrolments(loop.desk, loop.desk.make_feed(), actor=ACTOR)


def states(loop: Loop) -> list[tuple[str, str]]:
    with loop.desk.store.read() as connection:
        return [(row.partner, row.state) for row in list_partners(connection)]


def list_registered(loop: Loop) -> tuple[RegisterEntry, ...]:
    """Return the partners of the register that the gateway has."""
    keys = loop.gateway.key_state.find_keys()
    assert keys is not None
    assert keys.register is not None
    return keys.register.partners


def test_partner_is_registered_only_after_a_person_approves(loop: Loop) -> None:
    loop.answer(invite(loop), partner=loop.partner)
    assert take(loop) == EnrolmentsTaken(waiting=("example-chat",), refused={})
    loop.publish()
    assert list_registered(loop) == ()
    approve_partner(loop.desk, partner="example-chat", actor=ACTOR)
    loop.publish()
    (entry,) = list_registered(loop)
    assert (entry.partner, entry.name, entry.state) == ("example-chat", "Example Chat", "active")
    assert entry.submission_key == loop.partner.key(KeyRole.SUBMISSION).public_key
    assert entry.context_key == loop.partner.key(KeyRole.CONTEXT).public_key
    assert entry.mailbox_key.public_key == loop.partner.key(KeyRole.MAILBOX).public_key


def test_gateway_and_desk_keep_only_the_hash_of_the_secret(loop: Loop) -> None:
    secret = invite(loop).secret
    files = [path for path in loop.folder.rglob("*") if path.is_file()]
    assert len(files) >= 15
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert loop.count("invitations") == 1


def test_invitation_that_the_gateway_did_not_hear_of_goes_out_later(loop: Loop) -> None:
    invite_partner(loop.desk, partner="example-chat", name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR)
    feed = loop.desk.make_feed()
    assert publish_invitations(loop.desk, feed) == 1
    assert publish_invitations(loop.desk, feed) == 0


@pytest.mark.parametrize("partner", ["", "public", "agency", "Example", "a b", "-a", "a" * 65])
def test_partner_id_in_another_spelling_is_refused(loop: Loop, partner: str) -> None:
    with pytest.raises(PartnerError) as caught:
        invite(loop, partner)
    assert caught.value.reason == "bad-partner-id"
    assert loop.count("invitations") == 0


@pytest.mark.parametrize("name", ["", "…", "x" * 101])
def test_name_needs_a_letter_or_digit_and_an_end(loop: Loop, name: str) -> None:
    with pytest.raises(PartnerError) as caught:
        invite_partner(loop.desk, partner="example-chat", name=name, origin=PUBLIC_ORIGIN, actor=ACTOR)
    assert caught.value.reason == "bad-name"
    assert loop.count("invitations") == 0


def test_secret_is_good_for_one_enrolment(loop: Loop) -> None:
    invitation = invite(loop)
    loop.answer(invitation, partner=loop.partner)
    assert take(loop).waiting == ("example-chat",)
    # A gateway that hands over another box under the same hash.
    loop.gateway_sql("DELETE FROM items")
    loop.answer(invitation, partner=Partner("other-chat"))
    assert take(loop) == EnrolmentsTaken(waiting=(), refused={("example-chat", "invitation-used"): 1})
    assert states(loop) == [("example-chat", "waiting")]


def test_invitation_that_this_desk_never_made_is_refused(loop: Loop) -> None:
    made_up = msgspec.structs.replace(invite(loop), secret=to_base64url(bytes(32)))
    post = make_post(loop, made_up)
    hashed = secret_sha256(bytes(32))
    loop.gateway_sql("INSERT INTO invitations VALUES (?, 'example-chat', 4102444800)", hashed)
    loop.post_enrolment(post)
    assert take(loop).refused == {("unknown", "unknown-invitation"): 1}


def test_box_for_another_partner_does_not_open(loop: Loop) -> None:
    invitation = invite(loop)
    post = make_post(loop, msgspec.structs.replace(invitation, partner="other-chat"))
    loop.post_enrolment(post)
    assert take(loop).refused == {("example-chat", "does-not-open"): 1}


def test_keys_that_are_not_signed_by_themselves_are_refused(loop: Loop) -> None:
    invitation = invite(loop)
    good = make_post(loop, invitation)
    context = enrolment_context(environment="live", partner=invitation.partner, hashed_secret=good.secret_sha256)
    other = make_post(loop, invitation, partner=Partner("other-chat"))
    assert other.secret_sha256 == good.secret_sha256
    keys, stranger = (_open_box(loop, post, context) for post in (good, other))
    mixed = EnrolmentBox(
        keys=msgspec.structs.replace(keys.keys, signatures=stranger.keys.signatures), secret=invitation.secret
    )
    envelope = seal(encode(mixed), key=loop.sealing_key(), context=context)
    loop.post_enrolment(EnrolmentPost(envelope=to_base64url(envelope.to_bytes()), secret_sha256=good.secret_sha256))
    assert take(loop).refused == {("example-chat", "bad-signature"): 1}
    with pytest.raises(PartnerError) as caught:
        approve_partner(loop.desk, partner="example-chat", actor=ACTOR)
    assert caught.value.reason == "nothing-to-approve"


def _open_box(loop: Loop, post: EnrolmentPost, context: SealContext) -> EnrolmentBox:
    vault = loop.desk.load_vault(actor="test", reason="check")
    plain = vault.open_enrolment(Envelope.parse(parse_base64url(post.envelope)), context=context)
    return parse_exact(plain, kind=EnrolmentBox, max_bytes=16_384)


def test_key_of_another_partner_is_refused(loop: Loop) -> None:
    loop.enrol()
    loop.answer(invite(loop, "copy-chat"), partner=loop.partner)
    assert take(loop).refused == {("copy-chat", "key-in-use"): 1}


def test_expired_invitation_is_refused_kept_and_acknowledged(loop: Loop) -> None:
    invitation = invite(loop)
    loop.answer(invitation, partner=loop.partner)
    loop.clock.advance(days=14)
    assert take(loop).refused == {("example-chat", "invitation-expired"): 1}
    assert loop.desk.make_feed().get_items(ENROLMENT).items == ()
    with loop.desk.store.read() as connection:
        row = connection.execute(ENROLMENTS.select()).one()
    assert (row.state, row.reason) == ("refused", "invitation-expired")
    assert bytes(row.envelope)


def test_enrolling_again_replaces_the_keys_and_keeps_the_former_one_for_proof(loop: Loop) -> None:
    loop.enrol()
    renewed = Partner("renewed")
    loop.answer(invite(loop), partner=renewed)
    take(loop)
    approve_partner(loop.desk, partner="example-chat", actor=ACTOR)
    loop.publish()
    assert states(loop) == [("example-chat", "active")]
    assert loop.count("former_partner_keys") == 1
    assert [entry.key_id for entry in list_registered(loop)] == [renewed.key(KeyRole.SUBMISSION).key_id]


def test_suspended_partner_is_published_as_such_and_its_reports_stay_provable(loop: Loop) -> None:
    loop.enrol()
    loop.send_industry()
    suspend_partner(loop.desk, partner="example-chat", actor=ACTOR)
    loop.publish()
    assert [entry.state for entry in list_registered(loop)] == ["suspended"]
    assert loop.collect().filed == 1
    with pytest.raises(PartnerError):
        suspend_partner(loop.desk, partner="nobody", actor=ACTOR)


def test_list_names_invited_waiting_and_active_partners(loop: Loop) -> None:
    invite(loop, "third-chat")
    loop.enrol(partner=Partner("second-chat"), approve=False)
    loop.enrol()
    assert states(loop) == [("example-chat", "active"), ("second-chat", "waiting"), ("third-chat", "invited")]
    with loop.desk.store.read() as connection:
        assert all(row.published_at for row in connection.execute(INVITATIONS.select()))
