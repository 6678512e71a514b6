"""A partner of the SDK with a folder of its own, at a real gateway and a real desk, in one process."""

from dataclasses import dataclass, field
from pathlib import Path

import requests

from gateway.desk.keyring.publication import publish
from gateway.desk.office.wiring import open_desk
from gateway.desk.partners.account_changes import ChangesTaken, accept_change, collect_account_changes
from gateway.desk.partners.enrolments import approve_partner, collect_enrolments, invite_partner, publish_invitations
from gateway.desk.partners.mailbox import write_message
from gateway.testing.transport import WsgiTransport
from partner_sdk.client.account import Rotation, enrol, rotate_keys
from partner_sdk.client.exchange import RetryPolicy
from partner_sdk.client.partner import Partner
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.enrolment import Invitation, Registration
from tests.builders import EXAMPLE_REPORT, PUBLIC_ORIGIN
from tests.desk.desk_loop import ACTOR, Loop, make_loop
from tests.desk.loop_model import close_loop, open_loop
from tests.desk.made_models import copy_model, hold_open
from tests.desk.outbox_builders import send_out
from tests.sdk.sdk_builders import session_for

REPORT = EXAMPLE_REPORT.read_bytes()
ONCE = RetryPolicy(tries=1)


def copy_enrolled_service(folder: Path) -> "Service":
    """Put into `folder` a desk, a gateway and an enrolled service, made once in a process, and open them."""
    copy_model("enrolled service", _fill, into=folder)
    loop = open_loop(folder)
    hold_open(loop.desk.store)
    return Service(loop, folder / "partner")


def _fill(folder: Path) -> None:
    made = make_loop(folder)
    Service(made, folder / "partner").enrol()
    close_loop(made)


@dataclass
class Service:
    """One online service; `folder` is where its keys and reports are."""

    loop: Loop
    folder: Path
    partner: str = "example-chat"
    adapter: WsgiTransport = field(init=False)

    def __post_init__(self) -> None:
        self.adapter = WsgiTransport(self.loop.open_app("industry"))

    @property
    def session(self) -> requests.Session:
        """A new session that reaches the gateway."""
        return session_for(self.adapter, PUBLIC_ORIGIN)

    def open(self) -> Partner:
        """Open the folder as a new process does."""
        return Partner.open(self.folder, session=self.session, clock=self.loop.clock, policy=ONCE)

    def enrol(self, *, approve: bool = True, registration: Registration | None = None) -> None:
        """Answer an invitation from this folder, and have it approved and published."""
        desk = self.loop.desk
        invitation = invite_partner(desk, partner=self.partner, name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR)
        self.answer(invitation, approve=approve, registration=registration)

    def answer(self, invitation: Invitation, *, approve: bool = True, registration: Registration | None = None) -> None:
        """Answer this invitation from this folder, and have it approved and published."""
        desk = self.loop.desk
        publish_invitations(desk, desk.make_feed())
        enrol(invitation, folder=self.folder, session=self.session, clock=self.loop.clock, registration=registration)
        collect_enrolments(desk, desk.make_feed(), actor=ACTOR)
        if approve:
            approve_partner(desk, partner=self.partner, actor=ACTOR)
            self.loop.publish()

    def rotate(self, *, ask_again: bool = False) -> Rotation:
        """Run `keys rotate` once, as a new process does."""
        return rotate_keys(self.open(), now=self.loop.clock(), ask_again=ask_again)

    def take_changes(self) -> ChangesTaken:
        """Let the desk collect everything that waits."""
        return collect_account_changes(self.loop.desk, self.loop.desk.make_feed(), actor=ACTOR)

    def accept(self, change_id: str | None) -> None:
        """Let a person at the desk accept a change, and publish."""
        accept_change(self.loop.desk, change_id=change_id or "", actor=ACTOR)
        self.loop.publish()

    def change_keys(self) -> Rotation:
        """Ask for new keys, and let a person accept them."""
        rotation = self.rotate()
        self.take_changes()
        self.accept(rotation.change_id)
        return rotation

    def tell(self, text: str) -> None:
        """Let the desk write to this partner."""
        write_message(self.loop.desk, partner=self.partner, kind="welcome", body=encode({"text": text}), actor=ACTOR)
        send_out(self.loop.desk, "message")

    def read(self) -> list[bytes]:
        """Collect the mailbox without an alarm, and return the bodies of new messages."""
        delivery = self.open().collect_mailbox()
        assert delivery.alarms == ()
        return [message.body for message in delivery.messages]


def write_invitation(state: Path, partner: str) -> Path:
    """Invite a partner at the desk of a folder, and save the line that its page shows, e.g. as `other.invitation`."""
    desk, path = open_desk(state), Path(f"{partner}.invitation")
    origin = desk.config.gateway_origin
    invitation = invite_partner(desk, partner=partner, name=partner.title(), origin=origin, actor=ACTOR)
    path.write_bytes(encode(invitation) + b"\n")
    publish_invitations(desk, desk.make_feed())
    return path


def approve_as_on_page(state: Path, partner: str) -> None:
    """Approve the enrolment of a partner at the desk of a folder, and publish."""
    desk = open_desk(state)
    approve_partner(desk, partner=partner, actor=ACTOR)
    publish(desk, actor=ACTOR)
