"""A rotation of a partner's keys that is stopped at any step goes on with the next command, and loses nothing."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from gateway.desk.vault import Vault
from gateway.store.mailbox import post_message
from partner_sdk.cli import main
from partner_sdk.client import pending_keys
from partner_sdk.client.key_rotation import describe_rotation, rotate_keys
from partner_sdk.client.partner import Partner
from partner_sdk.client.partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.pending_keys import find_pending, list_mailbox_keys
from partner_sdk.client.retrying import RetryPolicy
from partner_sdk.commands.surroundings import Surroundings
from partner_sdk.doctor import examine
from partner_sdk.errors import NotAuthorisedError
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key
from partner_sdk.report import parse_report
from partner_sdk.wire.account import AccountPost, account_context, check_account_change
from partner_sdk.wire.canonical import format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.keys import make_sealing_key
from partner_sdk.wire.mailbox_message import (
    FIRST_PREVIOUS,
    MailboxMessage,
    mailbox_context,
    message_sha256,
    sign_message,
)
from partner_sdk.wire.register import FormerKey, RegisterEntry
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import key_id_of
from tests.builders import DAY, EXAMPLE_REPORT, NOW, PUBLIC_ORIGIN, Agency, House, make_house
from tests.builders import Partner as Example
from tests.sdk.sdk_builders import make_invitation, session_for
from tests.wsgi_transport import WsgiTransport

AGENCY = Agency()
REPORT = parse_report(EXAMPLE_REPORT.read_bytes(), priority="P2")


class Crash(BaseException):
    """The power goes."""


class DatedTransport(WsgiTransport):
    """Names in each reply the time of the gateway's clock."""

    def __init__(self, house: House) -> None:
        super().__init__(house.open_app("industry"))
        self.clock = house.clock

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:  # type: ignore[override]  # whatever the session gives is handed on
        """Run one request through the app and return its answer."""
        response = super().send(request, **settings)
        response.headers["Date"] = format_datetime(self.clock(), usegmt=True)
        return response


class World:
    """A gateway, an agency that accepts changes by hand, and a partner's folder."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.adapter = DatedTransport(house)
        self.serials = count(1)
        self.folder = house.state
        self.entry: RegisterEntry | None = None
        self.last: bytes | None = None
        self.number = 0

    def enrol(self, folder: Path) -> None:
        """Make the folder of a partner with keys of its own, and register them."""
        self.adapter = DatedTransport(self.house)  # a new process of the gateway, whose limits begin at nought
        self.folder, self.last, self.number = folder, None, 0
        state = PartnerState.create(folder, invitation=make_invitation(AGENCY, Example()), now=NOW)
        keys = {role: state.read_key(role) for role in PARTNER_ROLES}
        self.entry = Example().entry()
        self.put(**{role.value: keys[role].public_key for role in PARTNER_ROLES})
        with self.house.open_gateway().store.write() as connection:
            connection.exec_driver_sql("DELETE FROM mailbox")
            connection.exec_driver_sql("DELETE FROM account_changes")

    def put(self, *, submission: str, context: str, mailbox: str, former: tuple[FormerKey, ...] = ()) -> None:
        """Publish a register with these keys of the partner."""
        far = {"not_before": NOW - DAY, "seal_until": NOW + 900 * DAY, "open_until": NOW + 900 * DAY}
        self.entry = msgspec.structs.replace(
            self.entry or Example().entry(),
            context_key=context,
            former_keys=former,
            key_id=key_id_of(parse_base64url(submission)),
            mailbox_key=make_sealing_key(parse_base64url(mailbox), state="active", **far),
            submission_key=submission,
        )
        self.house.publish(self.entry, serial=next(self.serials))

    def decide(self) -> bool:
        """Accept the change that waits for the register's key, as a person at the desk does; False if there is none."""
        assert self.entry is not None
        for _position, change_id, partner, _at, _ack, _digest, envelope in self.house.rows("account_changes"):
            raw = Vault([AGENCY.key(KeyRole.SEALING)]).open_enrolment(
                Envelope.parse(envelope),
                context=account_context(environment="live", partner=partner, change_id=change_id),
            )
            change = check_account_change(
                raw,
                environment="live",
                partner=partner,
                submission_keys={self.entry.key_id: parse_base64url(self.entry.submission_key)},
                change_id=change_id,
            )
            assert change.keys is not None
            former = FormerKey(
                key_id=self.entry.key_id,
                submission_key=self.entry.submission_key,
                until=format_time(NOW + 14 * DAY),
            )
            self.put(
                submission=change.keys.submission_key,
                context=change.keys.context_key,
                mailbox=change.keys.mailbox_key,
                former=(*self.entry.former_keys, former),
            )
            with self.house.open_gateway().store.write() as connection:
                connection.exec_driver_sql("DELETE FROM account_changes")
            return True
        return False

    def tell(self) -> None:
        """Post the next message of the agency, sealed to the mailbox key of the register."""
        assert self.entry is not None
        self.number += 1
        message = MailboxMessage(
            body=to_base64url(b"{}"),
            environment="live",
            issued_at=format_time(NOW),
            kind="welcome",
            message_id=make_report_id(NOW, os.urandom(10)),
            number=self.number,
            previous=FIRST_PREVIOUS if self.last is None else message_sha256(self.last),
            recipient="example-chat",
        )
        self.last = sign_message(message, mailbox_signing_key=load_signing_key(AGENCY.key(KeyRole.MAILBOX_SIGNING)))
        context = mailbox_context(environment="live", partner="example-chat", message_id=message.message_id)
        with self.house.open_gateway().store.write() as connection:
            post_message(
                connection,
                partner="example-chat",
                message_id=message.message_id,
                envelope=seal(self.last, key=self.entry.mailbox_key, context=context).to_bytes(),
                now=NOW,
            )

    def open(self) -> Partner:
        """Open the folder as a new process does."""
        session = session_for(self.adapter, PUBLIC_ORIGIN)
        return Partner.open(self.folder, session=session, clock=self.house.clock, policy=RetryPolicy(tries=1))

    def rotate(self, **settings: bool) -> bool:
        """Run `keys rotate` once; return whether the new keys are in force."""
        return rotate_keys(self.open(), now=NOW, **settings).is_done

    def run(self, *words: str) -> int:
        """Run a command."""
        surroundings = Surroundings(
            clock=self.house.clock,
            open_session=lambda: session_for(self.adapter),
            sleep=lambda _: None,
            environ={"REPORT_ABUSE_PARTNER_STATE": str(self.folder)},
        )
        return main(words, surroundings=surroundings)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(make_house(Path(tmp_path_factory.mktemp("house")), agency=AGENCY))


@pytest.fixture
def enrolled(world: World, tmp_path: Path) -> World:
    world.enrol(tmp_path / "partner")
    return world


@contextmanager
def power_cut(monkeypatch: pytest.MonkeyPatch, folder: Path, *, after: int, is_half_done: bool) -> Iterator[list[str]]:
    """Stop this process at one change of the folder: before it, or with an opened file still empty."""
    done: list[str] = []

    def stopping(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def change(path: Any, *rest: Any, **settings: Any) -> Any:
            if not str(path).startswith(str(folder)) or (name == "open" and not rest[0] & os.O_CREAT):
                return real(path, *rest, **settings)
            if len(done) == after and not (is_half_done and name == "open"):
                raise Crash
            done.append(f"{name} {Path(path).name}")
            result = real(path, *rest, **settings)
            if len(done) == after + 1 and is_half_done and name == "open":
                os.close(result)
                raise Crash
            return result

        return change

    with monkeypatch.context() as patch:
        for name in ("open", "replace", "unlink", "rmdir", "mkdir"):
            patch.setattr(os, name, stopping(name))
        yield done


def go_over(world: World) -> str:
    """Ask, let the agency accept, and submit: the whole of a rotation."""
    world.rotate()
    world.decide()
    return world.open().submit(EXAMPLE_REPORT.read_bytes(), priority="P2").report_id


@pytest.mark.parametrize("is_half_done", [False, True])
def test_rotation_that_is_stopped_at_any_change_of_the_folder_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_half_done: bool
) -> None:
    for step in count():
        world.enrol(tmp_path / f"partner-{step}")
        world.tell()
        spooled = world.open().seal_report(REPORT, priority="P3")
        first_keys = {key.key_id for key in list_mailbox_keys(world.open().state)}
        is_stopped = False
        with power_cut(monkeypatch, world.folder / "keys", after=step, is_half_done=is_half_done):
            try:
                go_over(world)
            except Crash:
                is_stopped = True
        if not world.rotate():  # the next command, by another process
            world.decide()
        world.tell()
        partner = world.open()
        assert partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2").report_id
        assert [one.report_id for one in partner.resume() if one.receipt is None] == []
        assert partner.state.find_receipt(spooled) is not None
        assert partner.collect_mailbox().alarms == ()
        assert len(partner.messages()) == 2
        assert world.entry is not None
        assert partner.state.read_key(KeyRole.SUBMISSION).key_id == world.entry.key_id
        kept = {key.key_id for key in list_mailbox_keys(partner.state)}
        assert kept > first_keys
        if not is_stopped:
            break
    assert step >= (6 if is_half_done else 15)


def test_old_keys_work_until_the_agency_has_accepted(enrolled: World) -> None:
    partner = enrolled.open()
    assert enrolled.rotate() is False
    assert enrolled.rotate() is False
    assert len(enrolled.house.rows("account_changes")) == 1
    assert partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2").report_id
    assert enrolled.decide()
    assert enrolled.rotate() is True
    assert describe_rotation(partner.state).new_key_ids == {}
    assert not (enrolled.folder / "keys" / "pending").exists()


def test_switch_of_another_process_at_this_moment_is_seen(enrolled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    partner, other = enrolled.open(), enrolled.open()
    enrolled.rotate()
    enrolled.decide()
    real, calls = pending_keys.read_key_file, []

    def read(path: Path, *, role: KeyRole) -> KeyFile:
        calls.append(path)
        if len(calls) == 1:
            other.status()  # goes over, between two looks of this process
        return real(path, role=role)

    with monkeypatch.context() as patch:
        patch.setattr(pending_keys, "read_key_file", read)
        caller = partner.status().caller
    assert caller is not None
    assert enrolled.entry is not None
    assert caller.key_id == enrolled.entry.key_id


def test_refused_change_is_asked_again_for_the_same_keys(enrolled: World) -> None:
    enrolled.rotate()
    before = describe_rotation(enrolled.open().state)
    assert enrolled.rotate(ask_again=True) is False
    after = describe_rotation(enrolled.open().state)
    assert after.new_key_ids == before.new_key_ids
    assert after.change_id != before.change_id
    assert len(enrolled.house.rows("account_changes")) == 2


def test_another_key_of_the_register_is_never_taken_for_the_pending_one(enrolled: World) -> None:
    enrolled.rotate()
    stranger = Example("stranger")
    enrolled.put(
        submission=stranger.key(KeyRole.SUBMISSION).public_key,
        context=stranger.key(KeyRole.CONTEXT).public_key,
        mailbox=stranger.key(KeyRole.MAILBOX).public_key,
    )
    with pytest.raises(NotAuthorisedError):
        enrolled.open().status()
    assert find_pending(enrolled.open().state) is not None


def test_key_files_of_a_rotation_are_closed_to_others_and_the_box_tells_nothing(enrolled: World) -> None:
    enrolled.rotate()
    files = [path for path in (enrolled.folder / "keys").rglob("*") if path.is_file()]
    assert len(files) == 7
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    raw = (enrolled.folder / "keys" / "pending" / "change.json").read_bytes()
    post = msgspec.json.decode(raw, type=AccountPost)
    pending = find_pending(enrolled.open().state)
    assert pending is not None
    for key in pending.keys.values():
        assert parse_base64url(key.public_key) not in parse_base64url(post.envelope)


def test_command_says_both_key_ids_and_lists_the_keys(enrolled: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert enrolled.run("keys", "rotate") == 0
    told = capsys.readouterr().out
    rotation = describe_rotation(enrolled.open().state)
    assert f"{rotation.key_ids['submission']} (old)" in told
    assert f"{rotation.new_key_ids['submission']} (new)" in told
    enrolled.decide()
    assert enrolled.run("keys", "rotate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "done"
    assert enrolled.run("keys", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["key_ids"] == rotation.new_key_ids
    assert listed["former_mailbox_keys"] == [rotation.key_ids["mailbox"]]


def test_doctor_tells_of_a_rotation_that_waits_and_of_old_keys(enrolled: World) -> None:
    partner = enrolled.open()
    names = {one.name: one for one in examine(partner, now=NOW, environ={})}
    assert "new keys" not in names
    assert names["submission key"].outcome == "ok"
    enrolled.rotate()
    names = {one.name: one for one in examine(partner, now=NOW + 366 * DAY, environ={})}
    assert names["new keys"].outcome == "look"
    assert {names[f"{role.value} key"].outcome for role in PARTNER_ROLES} == {"look"}
