"""What the tests are made of: an agency with all its keys, partners, a gateway on a real folder, signed requests.

Everything is the project's own code at work; only the clock stands still, and the keys come from fixed seeds.
"""

import base64
import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from werkzeug.test import TestResponse

from gateway.app import make_app
from gateway.config import GatewayConfig, LimitsConfig, ListenerConfig, Role, StateFolder, write_config
from gateway.key_folder import make_keys
from gateway.store.creation import make_store
from gateway.wiring import Gateway, make_gateway
from partner_sdk.canonical import encode, format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.envelope import Envelope
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key, new_key
from partner_sdk.keys import (
    Delegation,
    Environment,
    KeySet,
    Pin,
    SealingKey,
    VerifyKey,
    fingerprint_of,
    make_sealing_key,
    sign_bundle,
)
from partner_sdk.register import PartnerRegister, RegisterEntry, sign_register
from partner_sdk.report import IndustryReport, SealedIndustryReport, encode_sealed_report
from partner_sdk.sealing import seal
from partner_sdk.signature_profile import CONTENT_TYPE, content_digest
from partner_sdk.statements import StatementKind, key_id_of, parse_statement, public_bytes, sign_statement
from partner_sdk.submission import (
    ClearFields,
    ReportPost,
    SubmissionStatement,
    report_context,
    sign_submission,
)

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PUBLIC_ORIGIN = "https://report.example"
FEED_ORIGIN = "https://feed.example"
EXAMPLE_REPORT = Path(__file__).parents[1] / "partner_sdk" / "examples" / "report.json"

_nonces = itertools.count()


class StillClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **step: float) -> None:
        """Move the clock, as `timedelta` names its steps."""
        self.now += timedelta(**step)


def make_key(role: KeyRole, *, name: str, environment: Environment = "live") -> KeyFile:
    """Make the key of this name: the same one in every run."""
    seed = hashlib.sha256(f"{role.value} {name} {environment}".encode()).digest()
    return new_key(role, environment=environment, created_at=format_time(NOW), seed=seed)


def raw_public_key(key_file: KeyFile) -> bytes:
    """Return the public half of a key file."""
    return parse_base64url(key_file.public_key)


def verify_key_of(key_file: KeyFile) -> VerifyKey:
    """Return the public entry of a signing key that is in force."""
    return VerifyKey(
        key_id=key_file.key_id,
        public_key=key_file.public_key,
        not_before=format_time(NOW - DAY),
        use_until=format_time(NOW + 400 * DAY),
        verify_until=format_time(NOW + 2500 * DAY),
    )


def sealing_key_of(key_file: KeyFile, **changes: Any) -> SealingKey:
    """Return the public entry of a sealing key: active, sealing for 90 days and opening for 400."""
    settings = {
        "not_before": NOW - DAY,
        "seal_until": NOW + 90 * DAY,
        "open_until": NOW + 400 * DAY,
        "state": "active",
        **changes,
    }
    return make_sealing_key(raw_public_key(key_file), **settings)


@dataclass(frozen=True)
class Partner:
    """An online service with its keys."""

    partner: str = "example-chat"
    environment: Environment = "live"

    def key(self, role: KeyRole) -> KeyFile:
        """Return one of the partner's keys."""
        return make_key(role, name=self.partner, environment=self.environment)

    @property
    def submission_key(self) -> Ed25519PrivateKey:
        """Return the key that signs its requests and submissions."""
        return load_signing_key(self.key(KeyRole.SUBMISSION))

    def entry(self, *, state: str = "active") -> RegisterEntry:
        """Return its line in the register."""
        submission = self.key(KeyRole.SUBMISSION)
        return RegisterEntry(
            context_key=self.key(KeyRole.CONTEXT).public_key,
            environment=self.environment,
            key_id=submission.key_id,
            mailbox_key=sealing_key_of(self.key(KeyRole.MAILBOX)),
            name=self.partner.replace("-", " ").title(),
            partner=self.partner,
            state=state,  # type: ignore[arg-type]  # tests name states that a register does not have
            submission_key=submission.public_key,
        )


@dataclass(frozen=True)
class Agency:
    """An agency: its keys by role, and everything that they sign."""

    environment: Environment = "live"
    name: str = "agency"

    def key(self, role: KeyRole) -> KeyFile:
        """Return one of the agency's keys."""
        return make_key(role, name=self.name, environment=self.environment)

    @property
    def sealing_key(self) -> SealingKey:
        """Return the entry of the sealing key that is active."""
        return self.other_sealing_key(self.name)

    def other_sealing_key(self, name: str, **changes: Any) -> SealingKey:
        """Return the entry of a sealing key of this name."""
        return sealing_key_of(make_key(KeyRole.SEALING, name=name, environment=self.environment), **changes)

    @property
    def feed_key(self) -> Ed25519PrivateKey:
        """Return the key that signs the desk's requests."""
        return load_signing_key(self.key(KeyRole.FEED))

    def pin(self) -> Pin:
        """Return what a gateway pins."""
        return Pin(
            environment=self.environment,
            feed_key=self.key(KeyRole.FEED).public_key,
            next_root_fingerprint=fingerprint_of(raw_public_key(self.key(KeyRole.NEXT_ROOT))),
            root_fingerprint=fingerprint_of(raw_public_key(self.key(KeyRole.ROOT))),
        )

    def key_set(self, **changes: Any) -> KeySet:
        """Return a key set; `receipt_keys` name no gateway unless they are given."""
        settings: dict[str, Any] = {
            "environment": self.environment,
            "serial": 1,
            "issued_at": format_time(NOW),
            "expires_at": format_time(NOW + 90 * DAY),
            "sealing_keys": (self.sealing_key,),
            "receipt_keys": (),
            "mailbox_keys": (verify_key_of(self.key(KeyRole.MAILBOX_SIGNING)),),
            "register_keys": (verify_key_of(self.key(KeyRole.REGISTER)),),
            **changes,
        }
        return KeySet(**settings)

    def bundle(self, **changes: Any) -> bytes:
        """Sign a key set and return the bundle."""
        delegation = Delegation(
            environment=self.environment,
            root_key=self.key(KeyRole.ROOT).public_key,
            key_set_key=self.key(KeyRole.KEY_SET).public_key,
            not_before=format_time(NOW - DAY),
            not_after=format_time(NOW + 700 * DAY),
        )
        root_key = load_signing_key(self.key(KeyRole.ROOT))
        return sign_bundle(
            key_set=self.key_set(**changes),
            delegation=sign_statement(delegation, kind=StatementKind.DELEGATION, private_keys=(root_key,)),
            key_set_key=load_signing_key(self.key(KeyRole.KEY_SET)),
        )

    def register(self, *entries: RegisterEntry, serial: int = 1) -> bytes:
        """Sign a register of partners."""
        register = PartnerRegister(
            environment=self.environment,
            expires_at=format_time(NOW + 90 * DAY),
            issued_at=format_time(NOW),
            partners=entries,
            serial=serial,
        )
        return sign_register(register, register_key=load_signing_key(self.key(KeyRole.REGISTER)))


@dataclass(frozen=True)
class SealedReport:
    """A report on its way: what a partner signed, and the body that it posts."""

    clear: ClearFields
    envelope: bytes
    statement: bytes

    @property
    def body(self) -> bytes:
        """Return the body of `POST /v1/reports`."""
        return encode(ReportPost(envelope=to_base64url(self.envelope), statement=parse_statement(self.statement)))


def make_industry_report(**changes: Any) -> IndustryReport:
    """Return the example report, changed at the top level."""
    report = msgspec.json.decode(EXAMPLE_REPORT.read_bytes(), type=IndustryReport)
    return msgspec.structs.replace(report, **changes)


def make_clear_fields(partner: str, **changes: Any) -> ClearFields:
    """Return the clear fields of an initial P2 report with a new id."""
    settings: dict[str, Any] = {
        "earlier_reference": None,
        "environment": "live",
        "evidence_ids": (),
        "kind": "initial",
        "partner": partner,
        "priority": "P2",
        "report_id": make_report_id(NOW, os.urandom(10)),
        "schema_version": "1",
        **changes,
    }
    return ClearFields(**settings)


def seal_report(
    sender: Partner,
    *,
    key: SealingKey,
    report: IndustryReport | None = None,
    signed_by: Ed25519PrivateKey | None = None,
    created_at: datetime = NOW,
    **changes: Any,
) -> SealedReport:
    """Seal and sign a report as the SDK does; `changes` are clear fields, `signed_by` replaces the partner's key."""
    changes = {"environment": sender.environment, **changes}
    clear = make_clear_fields(changes.pop("partner", sender.partner), **changes)
    sealed = SealedIndustryReport(clear=clear, report=make_industry_report() if report is None else report)
    envelope = seal(encode_sealed_report(sealed), key=key, context=report_context(clear)).to_bytes()
    statement = sign_for_envelope(
        clear, envelope, private_key=signed_by or sender.submission_key, created_at=created_at
    )
    return SealedReport(clear=clear, envelope=envelope, statement=statement)


def sign_for_envelope(
    clear: ClearFields, envelope: bytes, *, private_key: Ed25519PrivateKey, created_at: datetime = NOW
) -> bytes:
    """Sign the submission statement of an envelope."""
    fields = {name: getattr(clear, name) for name in ClearFields.__struct_fields__}
    statement = SubmissionStatement(
        **fields, created_at=format_time(created_at), envelope_sha256=hashlib.sha256(envelope).hexdigest()
    )
    return sign_submission(statement, submission_key=private_key)


def make_box(key: SealingKey, *, size: int = 4096) -> bytes:
    """Return bytes in the shape of an envelope for `key`, where what is inside does not matter."""
    return Envelope(key_id=parse_base64url(key.key_id), box=os.urandom(1136 + size)).to_bytes()


def sign_request(
    method: str, url: str, *, body: bytes | None, private_key: Ed25519PrivateKey, created: datetime = NOW
) -> dict[str, str]:
    """Return the headers of a signed request, written out by hand: an independent client of WIRE.md §7."""
    names, lines, headers = ['"@method"', '"@target-uri"'], [f'"@method": {method}', f'"@target-uri": {url}'], {}
    if body is not None:
        headers = {"Content-Type": CONTENT_TYPE, "Content-Digest": content_digest(body)}
        for name, value in headers.items():
            names.append(f'"{name.lower()}"')
            lines.append(f'"{name.lower()}": {value}')
    parameters = (
        f'({" ".join(names)});created={int(created.timestamp())};keyid="{key_id_of(public_bytes(private_key))}"'
        f';alg="ed25519";nonce="nonce-of-a-test-{next(_nonces)}";tag="report-abuse"'
    )
    lines.append(f'"@signature-params": {parameters}')
    signature = base64.b64encode(private_key.sign("\n".join(lines).encode())).decode()
    return {**headers, "Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:"}


@dataclass(frozen=True)
class Door:
    """One listener of a gateway, called without a socket. Requests are signed if a key is given."""

    app: Flask
    origin: str
    clock: StillClock
    key: Ed25519PrivateKey | None = None

    def send(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        """Send one request; `headers` come on top of the signature's, or in their place."""
        sent: dict[str, str] = {"Content-Type": CONTENT_TYPE} if body is not None else {}
        if self.key is not None:
            sent = sign_request(method, self.origin + path, body=body, private_key=self.key, created=self.clock())
        sent.update(headers or {})
        return self.app.test_client(use_cookies=False).open(
            path, method=method, base_url=self.origin, data=body, headers=list(sent.items())
        )

    def get(self, path: str, **settings: Any) -> TestResponse:
        """Send a GET."""
        return self.send("GET", path, **settings)

    def post(self, path: str, value: object, **settings: Any) -> TestResponse:
        """Post a value as canonical JSON, or bytes as they are."""
        return self.send("POST", path, body=value if isinstance(value, bytes) else encode(value), **settings)


@dataclass
class House:
    """A gateway on a state folder of its own, and the agency that it serves."""

    state: Path
    agency: Agency
    config: GatewayConfig
    receipt_key: KeyFile
    clock: StillClock = field(default_factory=StillClock)

    def open_gateway(self) -> Gateway:
        """Open the parts of the gateway as a new process does."""
        return make_gateway(self.config, state=self.state, clock=self.clock)

    def open_app(self, *roles: Role, gateway: Gateway | None = None) -> Flask:
        """Open an app with these roles as a new process does."""
        return make_app(self.config, roles, state=self.state, gateway=gateway or self.open_gateway())

    def open_industry(self, partner: Partner | None = None, *, gateway: Gateway | None = None) -> Door:
        """Open the industry door for a partner, or for a caller without a key."""
        key = None if partner is None else partner.submission_key
        return Door(self.open_app("industry", gateway=gateway), PUBLIC_ORIGIN, self.clock, key)

    def open_feed(self, *, gateway: Gateway | None = None) -> Door:
        """Open the feed for the desk."""
        return Door(self.open_app("feed", gateway=gateway), FEED_ORIGIN, self.clock, self.agency.feed_key)

    def publish(self, *entries: RegisterEntry, serial: int = 1, **key_set: Any) -> None:
        """Publish a key set that names this gateway's receipt key, and a register of these partners."""
        key_state = self.open_gateway().key_state
        settings = {"receipt_keys": (verify_key_of(self.receipt_key),), **key_set}
        key_state.accept_key_set(self.agency.bundle(serial=serial, **settings))
        key_state.accept_register(self.agency.register(*entries, serial=serial))

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return all rows of a table of the database."""
        with self.open_gateway().store.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]  # noqa: S608 - our name


def make_house(
    state: Path, *, agency: Agency | None = None, limits: LimitsConfig | None = None, roles: Sequence[Role] = ()
) -> House:
    """Make the state folder of a new gateway: settings, pin, keys, database. Nothing is published yet."""
    agency = Agency() if agency is None else agency
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = GatewayConfig(
        environment=agency.environment,
        instance="gateway-test",
        public_origin=PUBLIC_ORIGIN,
        feed_origin=FEED_ORIGIN,
        listeners=(ListenerConfig(host="127.0.0.1", port=8700, roles=tuple(roles) or ("industry",)),),
        lock_timeout_seconds=0.2,
        limits=limits or LimitsConfig(),
    )
    folder = StateFolder(state)
    write_config(folder.config, config)
    folder.pin.write_bytes(encode(agency.pin()) + b"\n")
    receipt_key = make_keys(state, environment=agency.environment, created_at=format_time(NOW))
    make_store(folder.database, lock_path=folder.lock, name=config.instance, epoch="epoch-of-tests", now=NOW).close()
    return House(state=state, agency=agency, config=config, receipt_key=receipt_key)
