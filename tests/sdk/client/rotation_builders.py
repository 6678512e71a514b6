"""A gateway, an agency that decides by hand, and a partner whose keys change; and a cut of the power."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.desk.partners.account_changes import check_account_change
from gateway.exchange.feed import ACCOUNT_CHANGE, MAILBOX_MESSAGE, FormerKey, RegisterEntry
from gateway.store.items import put_item
from gateway.testing.transport import WsgiTransport
from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.account import rotate_keys
from partner_sdk.client.exchange import RetryPolicy
from partner_sdk.client.partner import Partner
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.enrolment import account_context
from partner_sdk.wire.mailbox import FIRST_PREVIOUS, SIGNED_MESSAGE, MailboxMessage, mailbox_context, message_sha256
from partner_sdk.wire.sealing import Envelope, seal
from partner_sdk.wire.signing import key_id_of, make_sealing_key
from tests.builders import DAY, EXAMPLE_REPORT, NOW, PUBLIC_ORIGIN, Agency, House
from tests.builders import Partner as Example
from tests.builders.vault import make_vault
from tests.sdk.sdk_builders import make_invitation, run_partner, session_for

AGENCY = Agency()


class Crash(BaseException):
    """The power goes."""


class World:
    """A gateway, an agency that accepts changes by hand, and a partner's folder."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.adapter = WsgiTransport(house.open_app("industry"))
        self.serials = count(1)
        self.folder = house.state
        self.entry: RegisterEntry | None = None
        self.last: bytes | None = None
        self.number = 0

    def enrol(self, folder: Path) -> None:
        """Make the folder of a partner with keys of its own, and register them."""
        self.adapter = WsgiTransport(
            self.house.open_app("industry")
        )  # a new process of the gateway, whose limits begin at nought
        self.folder, self.last, self.number = folder, None, 0
        state = PartnerState.create(folder, invitation=make_invitation(AGENCY, Example()), now=NOW)
        keys = {role: state.read_key(role) for role in PARTNER_ROLES}
        self.entry = Example().entry()
        self.put(**{role.value: keys[role].public_key for role in PARTNER_ROLES})
        with self.house.open_gateway().store.write() as connection:
            connection.exec_driver_sql("DELETE FROM items")

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
        for item in self.house.items(ACCOUNT_CHANGE):
            assert item.envelope is not None
            raw = make_vault(AGENCY.key(KeyRole.SEALING)).open_enrolment(
                Envelope.parse(item.envelope),
                context=account_context(environment="live", partner=item.address, change_id=item.item_id),
            )
            change = check_account_change(
                raw,
                environment="live",
                partner=item.address,
                submission_keys={self.entry.key_id: parse_base64url(self.entry.submission_key)},
                change_id=item.item_id,
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
                connection.exec_driver_sql("DELETE FROM items WHERE kind = 'account-change'")
            return True
        return False

    def tell(self, *, body: bytes = b"{}", kind: str = "welcome", posted_as: str | None = None) -> None:
        """Post the next message of the agency, sealed to the mailbox key of the register."""
        assert self.entry is not None
        self.number += 1
        message = MailboxMessage(
            body=to_base64url(body),
            environment="live",
            issued_at=format_time(NOW),
            kind=kind,
            message_id=posted_as or make_report_id(NOW, os.urandom(10)),
            number=self.number,
            previous=FIRST_PREVIOUS if self.last is None else message_sha256(self.last),
            recipient="example-chat",
        )
        self.last = SIGNED_MESSAGE.sign(message, load_signing_key(AGENCY.key(KeyRole.MAILBOX_SIGNING)))
        context = mailbox_context(environment="live", partner="example-chat", message_id=message.message_id)
        with self.house.open_gateway().store.write() as connection:
            put_item(
                connection,
                MAILBOX_MESSAGE,
                address="example-chat",
                item_id=message.message_id,
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
        return run_partner(*words, folder=self.folder, adapter=self.adapter, clock=self.house.clock)


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
