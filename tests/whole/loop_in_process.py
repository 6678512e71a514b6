"""Opens a loop for the tests that start from one: its servers are processes, its short commands run in this one.

The commands are the same, read the same words and write the same files, and a process for each takes half a second of a
core. They run one after another, because their output would mix. test_demo.py and test_documents_run.py start each
command as a process, as a person would.
"""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from unittest import mock

from gateway.demo.loop import MANAGER, PARTNER_ID, PARTNER_NAME, Loop, Site
from gateway.demo.processes import DemoError
from gateway.desk.cases.model import CaseRow, list_cases
from gateway.desk.keyring.publication import publish
from gateway.desk.partners.approval import approve_partner
from gateway.desk.partners.enrolments import collect_enrolments
from gateway.desk.partners.invitations import invite_partner, publish_invitations
from gateway.desk.wiring import Desk, open_desk
from partner_sdk.client.account import enrol
from partner_sdk.client.transport import make_session


@contextlib.contextmanager
def open_enrolled_loop(folder: Path, *, port: int, site: Site | None = None) -> Iterator[Loop]:
    """Yield a running loop with an enrolled partner: keys made, gateway served, lists published."""
    with running_here(Loop(folder, port=port, site=site)) as loop:
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
def running_here(loop: Loop) -> Iterator[Loop]:
    """Let the short commands of a loop run in this process; stop its servers at the end."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ))  # a cluster names its certificate there
        stack.callback(loop.stop)
        with (
            mock.patch.object(loop.processes, "run", run_here),
            mock.patch.object(loop.processes, "run_together", run_here_in_turn),
        ):
            yield loop


def run_here(module: str, *words: str) -> str:
    """Run a command in this process and return its output; raises `DemoError` if it fails."""
    said, complaint = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaint):
        code = import_module(module).main(words)
    if code != 0:
        raise DemoError(f"{module} {' '.join(words[:2])} ended with {code}: {complaint.getvalue()}")
    return said.getvalue()


def run_here_in_turn(commands: Sequence[Sequence[str]]) -> list[str]:
    """Run commands one after another, because their output would mix; results as from `run_here`."""
    return [run_here(*command) for command in commands]
