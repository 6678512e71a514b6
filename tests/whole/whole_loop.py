"""All sides in one process with one clock: the form, the gateway, partners of the SDK, and a desk that collects."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import requests

from gateway.config import Role as Door
from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.cases.actions.ledger import collect_entries
from gateway.desk.cases.outbox_run import send_due
from gateway.desk.partners.enrolments import approve_partner, collect_enrolments, invite_partner, publish_invitations
from gateway.testing.transport import WsgiTransport
from partner_sdk import Partner
from partner_sdk.client.account import enrol
from tests.builders import PUBLIC_ORIGIN
from tests.desk.desk_loop import Loop
from tests.desk.loop_model import copy_loop
from tests.desk.people_builders import ACTOR

DESTINATION = """
[{key}]
channel = "mailbox"
contact = "duty desk of the example force"
partner = "{partner}"
checked_on = 2026-11-25
source = "an example of a test"

[{key}.protocol]
version = "1.0"
agreed_on = 2026-10-01
review_on = 2027-10-01
may_pass = ["packages", "crisis cases"]
"""


@dataclass
class WholeLoop:
    """All sides of one agency; `partners` are those of the SDK, by their id."""

    loop: Loop
    partners: dict[str, Partner] = field(default_factory=dict)

    def session(self, *doors: Door) -> requests.Session:
        """Return a session that ends at doors of the gateway in this process."""
        session = requests.Session()
        session.trust_env = False
        session.mount(PUBLIC_ORIGIN, WsgiTransport(self.loop.open_app(*doors)))
        session.hooks["response"] = [lambda answer, **_: keep_cookies(session, answer)]
        return session

    def add_partner(self, partner: str, *, name: str, **kind: Any) -> Partner:
        """Enrol a partner with the SDK, and approve it; its folder is under the loop's."""
        desk, clock, folder = self.loop.desk, self.loop.clock, self.loop.folder / partner
        feed = desk.make_feed()
        invitation = invite_partner(desk, partner=partner, name=name, origin=PUBLIC_ORIGIN, actor=ACTOR, **kind)
        publish_invitations(desk, feed)
        enrol(invitation, folder=folder, session=self.session("industry"), clock=clock)
        collect_enrolments(desk, feed, actor=ACTOR)
        approve_partner(desk, partner=partner, actor=ACTOR)
        self.loop.publish()
        made = self.partners[partner] = Partner.open(folder, session=self.session("industry"), clock=clock)
        return made

    def agree_with(self, key: str, *, partner: str) -> None:
        """Let a body of the register take packages by the mailbox of a partner."""
        self.loop.desk.paths.destinations.write_text(DESTINATION.format(key=key, partner=partner), encoding="utf-8")
        load_register.cache_clear()

    def work(self, **time: float) -> None:
        """Let time pass, and then the desk collect and send all that is due."""
        self.loop.clock.advance(**time)
        self.loop.collect()
        collect_entries(self.loop.desk, self.loop.desk.make_feed(), actor=ACTOR)
        send_due(self.loop.desk).raise_first()


def make_whole_loop(folder: Path) -> WholeLoop:
    """Put a desk and a gateway without a partner into a folder."""
    return WholeLoop(copy_loop(folder, is_enrolled=False))


def keep_cookies(session: requests.Session, answer: requests.Response) -> None:
    """Keep the cookie of an answer: `requests` reads them only from a socket."""
    for name, cookie in SimpleCookie(answer.headers.get("Set-Cookie", "")).items():
        session.cookies.set(name, cookie.value)


def list_files(*folders: Path, but: Iterable[Path] = ()) -> list[Path]:
    """List every file below folders, except those below `but`."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if not any(path.is_relative_to(one) for one in but)]
