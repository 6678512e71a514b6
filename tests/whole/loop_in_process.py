"""Opens a loop for the tests that start from one, and does at its desk what people do on pages."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from gateway.demo.loop import MANAGER, PARTNER_ID, PARTNER_NAME, Loop, Site
from gateway.desk.cases.model import CaseRow, list_cases
from gateway.desk.keyring.publication import publish
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.partners.enrolments import approve_partner, collect_enrolments, invite_partner, publish_invitations
from partner_sdk.client.account import enrol
from partner_sdk.client.transport import make_session


@contextlib.contextmanager
def open_enrolled_loop(folder: Path, *, port: int, site: Site | None = None) -> Iterator[Loop]:
    """Yield a running loop with an enrolled partner: keys made, gateway served, lists published."""
    with running(Loop(folder, port=port, site=site)) as loop:
        loop.start_servers()
        loop.make_keys()
        loop.start_gateway()
        enrol_here(loop.desk_state, loop.partner_state)
        yield loop


def enrol_here(desk_state: Path, folder: Path, *, partner: str = PARTNER_ID, name: str = PARTNER_NAME) -> None:
    """Invite a partner, enrol it into `folder`, approve it and publish, as people do on the desk's pages."""
    with contextlib.closing(make_session()) as session, opened_desk(desk_state) as desk:
        feed = desk.make_feed()
        publish(desk, actor=MANAGER)
        origin = desk.config.gateway_origin
        invitation = invite_partner(desk, partner=partner, name=name, origin=origin, actor=MANAGER)
        publish_invitations(desk, feed)
        enrol(invitation, folder=folder, session=session)
        collect_enrolments(desk, feed, actor=MANAGER)
        approve_partner(desk, partner=partner, actor=MANAGER)
        publish(desk, actor=MANAGER)


def list_cases_here(desk_state: Path) -> list[CaseRow]:
    """Return the open cases of a desk."""
    with opened_desk(desk_state) as desk, desk.store.read() as connection:
        return list_cases(connection)


@contextlib.contextmanager
def opened_desk(desk_state: Path) -> Iterator[Desk]:
    """Yield the desk of a folder, opened in this process."""
    desk = open_desk(desk_state)
    try:
        yield desk
    finally:
        desk.store.close()


@contextlib.contextmanager
def running(loop: Loop) -> Iterator[Loop]:
    """Stop a loop's servers at the end, and forget what it named in this process's environment."""
    with mock.patch.dict(os.environ), contextlib.ExitStack() as stack:
        stack.callback(loop.stop)
        yield loop
