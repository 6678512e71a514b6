"""A whole loop in one process with a clock of its own: gateway, desk with its pages served, and partners of the SDK."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import msgspec
import requests
from werkzeug.serving import make_server

from gateway.config import Role as Door
from gateway.desk.actions.inbox import collect_entries
from gateway.desk.app import make_desk_app
from gateway.desk.destinations.register import load_register
from gateway.desk.escalation import Rung
from gateway.desk.keyring.key_set import ensure_sealing_keys
from gateway.desk.outbox_run import send_due
from gateway.desk.partners.approval import approve_partner
from gateway.desk.partners.enrolments import collect_enrolments
from gateway.desk.partners.invitations import invite_partner, publish_invitations
from gateway.testing.transport import WsgiTransport
from partner_sdk import Partner
from partner_sdk.client.account import enrol
from tests.builders import PUBLIC_ORIGIN
from tests.builders.local_servers import find_free_port, run_server
from tests.desk.desk_loop import Loop, make_loop
from tests.desk.outbox_builders import set_ladder
from tests.desk.people_builders import ACTOR
from tests.whole.desk_browser import ServedDesk

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
class NightLoop:
    """All sides of one agency; `partners` are those of the SDK, by their id."""

    loop: Loop
    served: ServedDesk
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
        """Let time pass, and then the desk collect and send what is due."""
        self.loop.clock.advance(**time)
        self.loop.collect()
        collect_entries(self.loop.desk, self.loop.desk.make_feed(), actor=ACTOR)
        send_due(self.loop.desk).raise_first()

    def pass_to(self, moment: datetime) -> None:
        """Let time pass until a moment, with the keys that `publish` makes on its timer."""
        self.loop.clock.now = moment
        with self.loop.desk.store.write() as connection:
            ensure_sealing_keys(self.loop.desk, connection, now=moment)
        self.loop.publish()


def keep_cookies(session: requests.Session, answer: requests.Response) -> None:
    """Keep the cookie of an answer: `requests` reads them only from a socket."""
    for name, cookie in SimpleCookie(answer.headers.get("Set-Cookie", "")).items():
        session.cookies.set(name, cookie.value)


@contextmanager
def open_night_loop(folder: Path, *, rungs: Sequence[Rung] = ()) -> Iterator[NightLoop]:
    """Open a loop with this ladder, and serve the desk's pages until the block ends."""
    port, loop = find_free_port(), make_loop(folder)
    origin = f"http://localhost:{port}"
    loop.desk = replace(loop.desk, config=msgspec.structs.replace(loop.desk.config, pages_origin=origin))
    set_ladder(loop, *rungs)
    app = make_desk_app(loop.desk, origin=origin, secret_key=b"k" * 32)
    with run_server(make_server("127.0.0.1", port, app, threaded=True)):
        yield NightLoop(loop, ServedDesk(loop.desk, loop.clock, origin))
