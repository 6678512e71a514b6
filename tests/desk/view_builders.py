"""A whole desk in a folder, cases with really sealed reports, and a browser without a socket."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from sqlalchemy import event, insert, select
from werkzeug.test import TestResponse

from gateway.demo.walks import SoftPasskey
from gateway.desk.collection.row_checks import assess
from gateway.desk.keyring.case_boxes import close_reports, make_keys
from gateway.desk.keyring.publication import make_desk
from gateway.desk.office.config import DeskConfig
from gateway.desk.office.people.passkeys import StartLink, get_link_folder, make_start_link
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.running.app import make_desk_app
from gateway.desk.store.agency_tables import PARTNERS, SEALING_KEYS
from gateway.desk.store.schema import CASES, REPORTS
from gateway.exchange.public_report import encode_public_report, reply_context
from partner_sdk.key_files import load_xwing_private_key, xwing_public_bytes
from partner_sdk.wire.canonical import format_time, make_reference, parse_time, to_base64url
from partner_sdk.wire.receipts import FIRST_PREVIOUS, SIGNED_INTAKE, IntakeStatement
from partner_sdk.wire.sealing import Envelope, make_suite, seal, unpad
from partner_sdk.wire.signing import make_sealing_key
from partner_sdk.wire.submission import ClearFields, report_context
from tests.builders.made_once import COMPILED_TEMPLATES, making_once
from tests.desk.digests.digest_builders import PARTNER
from tests.desk.made_models import copy_model, hold_open, move_to_server
from tests.desk.people_builders import ACTOR, ensure_person, give_every_role, make_first_person
from tests.public_report_builders import make_contact, make_public_report

ORIGIN = "http://localhost:8003"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
# The passkeys of each desk's people, as they would lie in drawers.
PASSKEYS: dict[tuple[Path, str], SoftPasskey] = {}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def make_test_desk(folder: Path, clock: Clock, *, database_uri: str = "") -> Desk:
    """Put a desk with one partner into a folder, and open it as a new process does."""
    copy_model(("desk", clock()), lambda model: _fill_desk(model, clock=clock), into=folder)
    move_to_server(folder, database_uri)
    desk = open_desk(folder, clock=clock)
    hold_open(desk.store)
    return desk


def _fill_desk(folder: Path, *, clock: Clock) -> None:
    config = DeskConfig(environment="live", gateway_origin="http://127.0.0.1:8000", feed_url="http://127.0.0.1:8001")
    make_desk(folder, config=config, now=clock(), random=secrets.token_bytes, first=make_first_person())
    desk = open_desk(folder, clock=clock)
    give_every_role(desk.store)
    with desk.store.write() as connection:
        connection.execute(
            insert(PARTNERS).values(
                partner=PARTNER,
                name="Example Chat",
                environment="live",
                state="active",
                key_id="key-of-example",
                submission_key=bytes(32),
                context_key=bytes(32),
                mailbox_key=bytes(1216),
                approved_at=format_time(clock()),
                approved_by="test",
            )
        )
    desk.store.close()


def make_code_seed(words: str) -> bytes:
    """Return the seed of a return code; the real one is derived slowly, and no test here needs that."""
    return hashlib.sha256(words.encode()).digest()


def make_code_key(seed: bytes) -> str:
    """Return the public half of a return code, as a report carries it."""
    return to_base64url(xwing_public_bytes(seed))


def open_by_code(raw: bytes, *, seed: bytes, reference: str, message_id: str) -> bytes:
    """Open the box of a reply as a returning person does; the gateway's own code is another room's."""
    envelope = Envelope.parse(raw)
    context = reply_context(environment="live", reference=reference, message_id=message_id)
    padded = make_suite().decrypt(envelope.box, load_xwing_private_key(seed), info=context.info(key_id=envelope.key_id))
    return unpad(padded, purpose="reply", sender="agency")


def add_sealed_case(
    desk: Desk, *, marker: str, under_18: str = "no", report: dict[str, Any] | None = None, **changes: Any
) -> str:
    """File a case with a report of the public, sealed to this desk, whose every text holds the marker.

    `report` changes its answers, `changes` the columns of the case.
    """
    clear = ClearFields(
        earlier_reference=None,
        environment="live",
        evidence_ids=(),
        kind="initial",
        partner="public",
        priority="P2",
        report_id=desk.make_id(),
        schema_version="1",
        way="plain",
    )
    values: dict[str, Any] = {
        "age_band": "13_15",
        "clear": clear,
        "contact": make_contact(
            may_say_who_we_are="yes",
            phone=f"0000 {marker}",
            safe_word=f"word {marker}",
            times=f"after four {marker}",
            ways=("call",),
            who_must_not_know=f"nobody {marker}",
            who_sees="yes",
        ),
        "danger": "no",
        "kinds": ("grooming",),
        "name": f"Sam {marker}",
        "story": f"Someone asks me to write elsewhere.\n{marker}",
        "submitted_at": format_time(desk.clock()),
        "under_18": under_18,
        "who": "me",
        **(report or {}),
    }
    answered = make_public_report(**values)
    case_id, moment = desk.make_id(), format_time(desk.clock())
    common = {
        "environment": "live",
        "partner": "public",
        "report_id": clear.report_id,
        "reference": make_reference("live", random=desk.random(6)),
        "door": "public",
        "priority": "P2",
        "received_at": moment,
        "collected_at": moment,
    }
    with desk.store.write() as connection:
        row = connection.execute(select(SEALING_KEYS).where(SEALING_KEYS.c.quarter == "2026-Q4")).one()
        key = make_sealing_key(
            bytes(row.public_key),
            not_before=parse_time(row.not_before),
            seal_until=parse_time(row.seal_until),
            open_until=parse_time(row.open_until),
            state="active",
        )
        envelope = seal(encode_public_report(answered), key=key, context=report_context(clear)).to_bytes()
        reference = str(common["reference"])
        intake = IntakeStatement(
            clear=clear,
            door="public",
            envelope_sha256=hashlib.sha256(envelope).hexdigest(),
            environment="live",
            epoch="epoch",
            instance="gateway-test",
            key_set_serial=1,
            placement=None,
            previous=FIRST_PREVIOUS,
            received_at=moment,
            reference=reference,
            sequence=1,
            submission_sha256=None,
        )
        (key,) = make_keys(desk.load_signer(), connection, [case_id])
        (closed,) = close_reports(desk.load_signer(), [(key, clear.report_id, envelope)], kind="report")
        connection.execute(
            insert(REPORTS).values(
                **common,
                kind="initial",
                schema_version="1",
                instance="gateway-test",
                epoch="epoch",
                sequence=1,
                intake_sha256=case_id.encode()[-32:],
                envelope_sha256=hashlib.sha256(envelope).digest(),
                intake=SIGNED_INTAKE.sign(intake, Ed25519PrivateKey.generate()),
                envelope=closed,
            )
        )
        risk = assess(answered, received_at=parse_time(moment))
        values = {
            **common,
            "case_id": case_id,
            "about": PARTNER,
            "key_number": key.number,
            "factors": risk.text,
            "crisis": risk.crisis,
            "score": risk.score,
            "reply_owed": under_18 != "no",
            "synthetic": False,
            "reply_by": answered.reply_by,
            "region": answered.region or None,
            "country": answered.country or None,
            "has_reply_key": answered.reply_key is not None,
            "flagged": any(not signal.startswith("danger-") for signal in answered.signals),
        }
        connection.execute(insert(CASES).values(values | changes))
    return case_id


def count_openings(desk: Desk, act: Callable[[], object]) -> int:
    """Return how often an act opens the database, in a thread of its own as the server's threads are."""
    opened: list[object] = []
    event.listen(desk.store.database.engine, "connect", lambda connection, _record: opened.append(connection))
    with ThreadPoolExecutor(1) as thread:
        thread.submit(act).result()
    return len(opened)


class Browser:
    """A person's browser at the desk: keeps cookies, fills in forms with the token of the page it has seen."""

    def __init__(self, desk: Desk, *, secret_key: bytes = b"k" * 32) -> None:
        self.desk = desk
        with making_once(()):
            app = make_desk_app(desk, origin=ORIGIN, secret_key=secret_key)
        app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
        self.client: FlaskClient = app.test_client()
        self.token = ""
        self.passkey: SoftPasskey

    def get(self, path: str, *, base_url: str = ORIGIN) -> TestResponse:
        response = self.client.get(path, base_url=base_url)
        found = _TOKEN.search(response.get_data(as_text=True))
        self.token = found[1] if found else self.token
        return response

    def post(
        self, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **fields: Any
    ) -> TestResponse:
        data = {"csrf_token": self.token if token is None else token, **fields}
        return self.client.post(path, base_url=ORIGIN, data=data, headers=headers or {})

    def begin(self, path: str, **fields: Any) -> Any:
        """Ask for a challenge as passkeys.js does: options and a statement."""
        answer = self.post(path, **fields)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text)

    def make_link(self, person: str, roles: Collection[Role] = tuple(Role)) -> str:
        with self.desk.store.write() as connection:
            ensure_person(connection, person, roles)
        folder, now = get_link_folder(self.desk.paths.state), self.desk.clock()
        link = StartLink.make(person, made_by=ACTOR, now=now)
        return f"/start/{make_start_link(folder, link, now=now, random=self.desk.random)}"

    def register(self, link: str, *, label: str = "blue key", **fields: Any) -> SoftPasskey:
        """Register a new passkey by a link; its person is signed in then."""
        assert self.get(link).status_code == 200
        passkey = SoftPasskey(ORIGIN, random=secrets.token_bytes)
        begun = self.begin(f"{link}/begin")
        form = {"statement": begun["statement"], "answer": passkey.register(begun["options"]), "label": label}
        sent = self.post(f"{link}/register", **form, **fields)
        assert sent.status_code == 303, sent.text
        assert self.get("/passkeys").status_code == 200
        return passkey

    def step_up(self, begin: str, path: str, **fields: Any) -> TestResponse:
        """Send a form with a step-up of this person's passkey, e.g. `step_up("/step-up/begin", "/step-up")`."""
        begun = self.begin(begin)
        return self.post(path, statement=begun["statement"], answer=self.passkey.step_up(begun["options"]), **fields)

    def sign_in(self, person: str = "a-assessor", roles: Collection[Role] = tuple(Role)) -> "Browser":
        """Sign in with the person's passkey; a new one is registered by a link first."""
        known = PASSKEYS.get((self.desk.paths.state, person))
        if known is None:
            PASSKEYS[self.desk.paths.state, person] = self.passkey = self.register(self.make_link(person, roles))
            return self
        self.passkey = known
        self.get("/sign-in")
        answer = self.step_up("/sign-in/begin", "/sign-in")
        assert answer.status_code == 303
        assert self.get(answer.location).status_code == 200
        return self


def has_fault_read_with(page: str, field: str) -> bool:
    """Return whether the summary links to a field, and a screen reader reads the field's fault with it."""
    control = re.search(rf'<\w+[^>]* id="{field}"[^>]*>', page)
    described = re.search(r'aria-describedby="([^"]+)"', control[0]) if control else None
    ids = described[1].split() if described else []
    has_every_id = all(f'id="{one}"' in page for one in ids)
    return f'<a href="#{field}">' in page and f"{field}-fault" in ids and has_every_id
