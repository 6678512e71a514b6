"""A desk and a real gateway in one process, put together by the bootstrap of WIRE.md §5.6, without a socket."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from sqlalchemy import Connection

from gateway.app import make_app
from gateway.config import Role, StateFolder, load_config
from gateway.desk.collection.collect import Collected, collect_reports
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.keyring.publication import add_gateway, make_desk, publish
from gateway.desk.office.config import DeskConfig, DeskPaths
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.partners.enrolments import approve_partner, collect_enrolments, invite_partner, publish_invitations
from gateway.exchange.feed import ItemPage, parse_gateway_card
from gateway.exchange.public_report import PublicReport, encode_public_report
from gateway.intake import Accepted, NewReport
from gateway.new_gateway import NewGateway, create_gateway
from gateway.public_log import publish_log
from gateway.testing.transport import WsgiTransport
from gateway.wiring import Gateway, make_gateway
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.enrolment import EnrolmentPost, Invitation, seal_enrolment
from partner_sdk.wire.public_log import origin_of
from partner_sdk.wire.sealing import SealingKey, seal
from partner_sdk.wire.signing import Environment, find_active_sealing_key
from partner_sdk.wire.submission import PUBLIC_SENDER, ClearFields, report_context
from tests.builders import (
    NOW,
    PUBLIC_ORIGIN,
    Door,
    Partner,
    SealedReport,
    StillClock,
    make_clear_fields,
    seal_report,
)
from tests.builders.local_servers import find_free_port
from tests.builders.made_once import COMPILED_TEMPLATES, making_once
from tests.desk.people_builders import ACTOR, give_every_role, make_first_person
from tests.public_report_builders import make_contact
from tests.public_report_builders import make_public_report as make_blank_report

DOORS_PORT = find_free_port()
FEED_PORT = find_free_port()
FEED_ORIGIN = f"http://127.0.0.1:{FEED_PORT}"


def page_of(*rows: object, last: int = 1, more: bool = False) -> ItemPage:
    """Return a page of the feed with these rows, as a gateway of ours or a lying one writes it."""
    return ItemPage(items=tuple(msgspec.Raw(encode(row)) for row in rows), last=last, more=more)


@dataclass
class Loop:
    """Both sides, and the traffic of the feed."""

    folder: Path
    desk: Desk
    gateway: Gateway
    feed_app: Flask
    transport: WsgiTransport
    clock: StillClock
    partner: Partner = field(default_factory=Partner)

    def publish(self) -> None:
        """Publish key set and register."""
        publish(self.desk, actor=ACTOR)

    def collect(self) -> Collected:
        """Collect once."""
        return collect_reports(self.desk, self.desk.make_feed(), actor=ACTOR)

    def publish_log(self, *, seconds: int = 30) -> None:
        """Add a batch to the gateway's public log, after so many seconds."""
        self.clock.advance(seconds=seconds)
        state, origin = self.folder / "gateway", origin_of(self.gateway.config.public_origin)
        assert publish_log(self.gateway.store, state=state, origin=origin, clock=self.clock, random=secrets.token_bytes)

    def make_feed(self, kind: type[FeedClient]) -> FeedClient:
        """Return a client of the feed that a test has changed."""
        return kind(
            origin=self.desk.config.feed_url,
            private_key=self.desk.load_signer().load_feed_key(),
            clock=self.clock,
            session=self.desk.session,
        )

    def open_app(self, *roles: Role) -> Flask:
        """Open a door of the gateway as a new process does."""
        with making_once(roles):
            app = make_app(self.gateway.config, roles, state=self.folder / "gateway", gateway=self.gateway)
        app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
        return app

    def restart_gateway(self) -> None:
        """Open the gateway's parts and its feed as new processes do."""
        state = self.folder / "gateway"
        self.gateway = make_gateway(load_config(state), state=state, clock=self.clock)
        self.feed_app = self.open_app("feed")
        self.transport = WsgiTransport(self.feed_app, https=False)
        self.desk.session.mount(FEED_ORIGIN, self.transport)

    def sealing_key(self) -> SealingKey:
        """Return the key that everybody seals to now."""
        with self.desk.store.read() as connection:
            key = find_active_sealing_key(make_key_set(connection, desk=self.desk, now=self.clock()), now=self.clock())
        assert key is not None
        return key

    def enrol(self, *, approve: bool = True, partner: Partner | None = None) -> Invitation:
        """Invite a partner, let it answer, and approve it."""
        partner = partner or self.partner
        feed = self.desk.make_feed()
        invitation = invite_partner(
            self.desk, partner=partner.partner, name="Example Chat", origin=PUBLIC_ORIGIN, actor=ACTOR
        )
        publish_invitations(self.desk, feed)
        self.answer(invitation, partner=partner)
        collect_enrolments(self.desk, feed, actor=ACTOR)
        if approve:
            approve_partner(self.desk, partner=partner.partner, actor=ACTOR)
            self.publish()
        return invitation

    def answer(self, invitation: Invitation, *, partner: Partner, context_key: Ed25519PrivateKey | None = None) -> None:
        """Post a partner's enrolment through the real industry door."""
        post = seal_enrolment(
            invitation,
            submission_key=partner.submission_key,
            context_key=context_key or load_signing_key(partner.key(KeyRole.CONTEXT)),
            mailbox_key=parse_base64url(partner.key(KeyRole.MAILBOX).public_key),
            agency_key=self.sealing_key(),
        )
        self.post_enrolment(post)

    def post_enrolment(self, post: EnrolmentPost) -> None:
        """Post a sealed enrolment through the industry door."""
        answer = Door(self.open_app("industry"), PUBLIC_ORIGIN, self.clock).post("/v1/enrol", post)
        assert answer.status_code == 202, answer.get_data(as_text=True)

    def send_industry(self, sealed: SealedReport | None = None, **changes: Any) -> Accepted:
        """Take in a partner's report."""
        sealed = sealed or seal_report(self.partner, key=self.sealing_key(), **changes)
        return self.gateway.intake.accept(
            NewReport(door="industry", envelope=sealed.envelope, submission=sealed.statement, clear=sealed.clear)
        )

    def send_public(self, *, placement: str | None = None, **changes: Any) -> Accepted:
        """Take in a report of the public; `changes` are its answers."""
        report = make_public_report(placement=placement, **changes)
        return self.gateway.intake.accept(
            NewReport(
                door="public",
                envelope=seal_public(report, key=self.sealing_key()),
                submission=None,
                clear=report.clear,
                placement=placement,
            )
        )

    def gateway_sql(self, statement: str, *values: Any) -> None:
        """Change the gateway's database by hand, as an attacker with its disk could, and empty its mark too."""
        with self.gateway.store.write() as connection:
            connection.exec_driver_sql(statement, values)
        self.gateway.store.path.with_suffix(".mark").write_bytes(b"")

    def count(self, table: str) -> int:
        """Return how many rows a table of the desk has."""
        with self.desk.store.read() as connection:
            return count_rows(connection, table)


def count_rows(connection: Connection, table: str) -> int:
    """Return how many rows a table has."""
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())  # noqa: S608 - our own name


def make_public_report(
    *, placement: str | None = None, clear: ClearFields | None = None, **changes: Any
) -> PublicReport:
    """Return a mild report of the public, with the answers that the form needs beside the changes."""
    values: dict[str, Any] = {
        "age_band": "13_15",
        "clear": clear or make_clear_fields(PUBLIC_SENDER, priority="P3"),
        "contact": make_contact(
            safe_word="blue door",
            times="after school",
            school="Mx Example, form tutor",
            ways=("school",),
        ),
        "danger": "no",
        "kinds": ("extra_nice",),
        "name": "Sam",
        "placement": placement,
        "region": "england",
        "story": "Somebody in a game asks me every day how old I am.",
        "under_18": "yes",
        "who": "another_child" if changes.get("under_18") == "no" else "me",
        **changes,
    }
    return make_blank_report(**{**values, "reporter_age_band": _find_own_age(values), **changes})


def _find_own_age(values: Mapping[str, Any]) -> str:
    if values["clear"].kind != "initial":
        return ""
    of_others = {"no": "18_plus", "rather_not_say": "rather_not_say"}.get(values["under_18"], "16_17")
    return values["age_band"] if values["who"] in {"", "me"} else of_others


def seal_public(report: PublicReport, *, key: SealingKey, clear: ClearFields | None = None) -> bytes:
    """Seal a report of the public as the form does."""
    return seal(encode_public_report(report), key=key, context=report_context(clear or report.clear)).to_bytes()


def make_loop(folder: Path, *, environment: Environment = "live", add_card: bool = True) -> Loop:
    """Make desk and gateway in the order of WIRE.md §5.6, and publish."""
    clock = StillClock(NOW)
    desk_state, gateway_state = folder / "desk", folder / "gateway"
    config = DeskConfig(environment=environment, gateway_origin=PUBLIC_ORIGIN, feed_url=FEED_ORIGIN)
    make_desk(desk_state, config=config, now=clock(), random=os.urandom, first=make_first_person())
    create_gateway(
        NewGateway(
            state=gateway_state,
            pin_file=DeskPaths(desk_state).pin,
            origin=PUBLIC_ORIGIN,
            host="127.0.0.1",
            port=DOORS_PORT,
            feed_port=FEED_PORT,
            instance="gateway-1",
            agency_name="The agency",
            banner="",
        ),
        clock=clock,
    )
    gateway = make_gateway(load_config(gateway_state), state=gateway_state, clock=clock)
    with making_once(("feed",)):
        feed_app = make_app(gateway.config, ("feed",), state=gateway_state, gateway=gateway)
    transport = WsgiTransport(feed_app, https=False)
    session = requests.Session()
    session.mount(FEED_ORIGIN, transport)
    desk = open_desk(desk_state, clock=clock, session=session)
    give_every_role(desk.store)
    loop = Loop(folder, desk, gateway, feed_app, transport, clock)
    if add_card:
        add_gateway(desk, parse_gateway_card(StateFolder(gateway_state).card.read_bytes()), actor=ACTOR)
        loop.publish()
    return loop
