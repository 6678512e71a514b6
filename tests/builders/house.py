"""A gateway on a real state folder, and the agency that it serves."""

import functools
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from flask import Flask

from gateway.app import make_app
from gateway.config import EvidenceConfig, GatewayConfig, LimitsConfig, ListenerConfig, Role, StateFolder, write_config
from gateway.exchange.feed import ItemKind, RegisterEntry
from gateway.guidance.agency import write_agency_example
from gateway.keys import make_keys
from gateway.public_log import publish_log
from gateway.store.store import make_store, move_store
from gateway.wiring import Gateway, make_gateway
from partner_sdk.key_files import KeyFile, KeyRole, read_key_file
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.public_log import origin_of
from tests.builders.clock import StillClock
from tests.builders.doors import Door
from tests.builders.made_once import COMPILED_TEMPLATES, making_once
from tests.builders.parties import Agency, Partner, verify_key_of
from tests.postgresql import connect

PUBLIC_ORIGIN = "https://report.example"
FEED_ORIGIN = "https://feed.example"


class KeptItem(NamedTuple):
    """A sealed item as the gateway's database keeps it; `envelope` is None once it has let go of the bytes."""

    address: str
    item_id: str
    put_at: int
    acknowledged_at: int | None
    sha256: bytes
    envelope: bytes | None


@dataclass
class House:
    """A gateway on a state folder of its own, and the agency that it serves."""

    state: Path
    agency: Agency
    config: GatewayConfig
    receipt_key: KeyFile
    first_database: bytes = field(default=b"", repr=False)
    clock: StillClock = field(default_factory=StillClock)
    free_share: float = 0.9
    chance: Callable[[int], bytes] = secrets.token_bytes

    def open_gateway(self) -> Gateway:
        """Open the parts of the gateway as a new process does."""
        return make_gateway(
            self.config,
            state=self.state,
            clock=self.clock,
            random=self.chance,
            measure=lambda _folder: self.free_share,
        )

    def open_app(self, *roles: Role, gateway: Gateway | None = None) -> Flask:
        """Open an app with these roles as a new process does."""
        with making_once(roles):
            app = make_app(self.config, roles, state=self.state, gateway=gateway or self.open_gateway())
        app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
        return app

    def open_industry(self, partner: Partner | None = None, *, gateway: Gateway | None = None) -> Door:
        """Open the industry door for a partner, or for a caller without a key."""
        key = None if partner is None else partner.submission_key
        return Door(self.open_app("industry", gateway=gateway), PUBLIC_ORIGIN, self.clock, key)

    def open_feed(self, *, gateway: Gateway | None = None) -> Door:
        """Open the feed for the desk."""
        return Door(self.open_app("feed", gateway=gateway), FEED_ORIGIN, self.clock, self.agency.feed_key)

    def publish(self, *entries: RegisterEntry, serial: int = 1, **key_set: Any) -> None:
        """Publish a key set that names this gateway's receipt key and log key, and a register of these partners."""
        key_state = self.open_gateway().key_state
        log_key = read_key_file(self.state / "keys" / "log.key", role=KeyRole.LOG)
        settings = {
            "receipt_keys": (verify_key_of(self.receipt_key, now=self.agency.now),),
            "log_keys": (verify_key_of(log_key, now=self.agency.now),),
            **key_set,
        }
        key_state.accept_key_set(self.agency.bundle(serial=serial, **settings))
        key_state.accept_register(self.agency.register(*entries, serial=serial))
        self.staff()

    def staff(self, **changes: Any) -> None:
        """Lay down a statement of staffing as of now; `changes` are its fields."""
        self.open_gateway().key_state.accept_staffing(self.agency.staffing(now=self.clock(), **changes))

    def publish_log(self, *, seconds: int = 0) -> None:
        """Add a batch to the public log, after so many seconds."""
        self.clock.advance(seconds=seconds)
        gateway = self.open_gateway()
        origin = origin_of(self.config.public_origin)
        assert publish_log(gateway.store, state=self.state, origin=origin, clock=self.clock, random=secrets.token_bytes)
        gateway.store.close()

    def is_new(self) -> bool:
        """Return whether nothing was stored since this house was made, and no time has gone by."""
        if self.config.database_uri:
            return False
        database = StateFolder(self.state).database
        log = database.with_name(f"{database.name}-wal")
        is_logged = log.exists() and log.stat().st_size > 0
        return self.clock() == self.agency.now and not is_logged and database.read_bytes() == self.first_database

    def items(self, kind: ItemKind) -> list[KeptItem]:
        """Return the items of a kind as the database keeps them, the oldest first."""
        columns = "address, item_id, put_at, acknowledged_at, envelope_sha256, envelope"
        rows = self.query(f"SELECT {columns} FROM items WHERE kind = '{kind.name}' ORDER BY position")  # noqa: S608 - our names
        return [KeptItem(*row) for row in rows]

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return all rows of a table of the database."""
        return self.query(f"SELECT * FROM {table}")  # noqa: S608 - our name

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, past our code."""
        if self.config.database_uri:
            with connect(self.config.database_uri) as server:
                return list(server.execute(text).fetchall())
        address = f"file:{quote(str(StateFolder(self.state).database.absolute()))}?mode=rw"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return list(connection.execute(text))


def make_house(
    state: Path,
    *,
    agency: Agency | None = None,
    limits: LimitsConfig | None = None,
    roles: Sequence[Role] = (),
    partners: tuple[Partner, ...] = (),
    database_uri: str = "",
    evidence_place: EvidenceConfig | None = None,
) -> House:
    """Make the state folder of a new gateway: settings, pin, keys, database. Unless `partners` name who stands in the
    register, nothing is published yet.

    Houses of one agency in one process are copies of one model, so they have the same keys and the same first rows.
    """
    agency = Agency() if agency is None else agency
    model = _get_model(agency, partners)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, raw in model.files.items():
        _put_file(state / name, raw)
    config = msgspec.structs.replace(
        _make_config(agency, limits=limits, roles=roles),
        database_uri=database_uri,
        evidence=evidence_place or EvidenceConfig(),
    )
    if database_uri:
        folder = StateFolder(state)
        move_store(folder.database, lock_path=folder.lock, uri=database_uri)
        folder.database.unlink()
    write_config(StateFolder(state).config, config)
    return House(
        state=state,
        agency=agency,
        config=config,
        receipt_key=model.receipt_key,
        first_database=model.files[StateFolder(state).database.name],
        clock=StillClock(agency.now),
    )


@dataclass(frozen=True, slots=True)
class _Model:
    """The files of a gateway at its first moment: keys, pin, and a database that every migration has run on."""

    files: Mapping[str, bytes]  # by their names under the state folder
    receipt_key: KeyFile


@functools.cache
def _get_model(agency: Agency, partners: tuple[Partner, ...]) -> _Model:
    """Make a house as the gateway's own code does, once in a process; without the settings, which differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = StateFolder(Path(name))
        config = _make_config(agency)
        write_agency_example(folder.agency)
        folder.pin.write_bytes(encode(agency.pin()) + b"\n")
        receipt_key = make_keys(folder.path, environment=agency.environment, created_at=format_time(agency.now))
        store = make_store(
            folder.database, lock_path=folder.lock, name=config.instance, epoch="epoch-of-tests", now=agency.now
        )
        store.close()
        if partners:
            house = House(
                state=folder.path, agency=agency, config=config, receipt_key=receipt_key, clock=StillClock(agency.now)
            )
            house.publish(*(partner.entry() for partner in partners))
        # The last connection is gone, so the database is whole in its one file, without a log.
        files = {str(path.relative_to(name)): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    return _Model(files, receipt_key)


def _make_config(agency: Agency, *, limits: LimitsConfig | None = None, roles: Sequence[Role] = ()) -> GatewayConfig:
    return GatewayConfig(
        environment=agency.environment,
        instance="gateway-test",
        public_origin=PUBLIC_ORIGIN,
        feed_origin=FEED_ORIGIN,
        listeners=(ListenerConfig(host="127.0.0.1", port=8700, roles=tuple(roles) or ("industry",)),),
        limits=limits or LimitsConfig(),
    )


def _put_file(path: Path, raw: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(raw)
