"""A gateway on a real state folder, and the agency that it serves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask

from gateway.app import make_app
from gateway.config import GatewayConfig, LimitsConfig, ListenerConfig, Role, StateFolder, write_config
from gateway.key_folder import make_keys
from gateway.store.creation import make_store
from gateway.wiring import Gateway, make_gateway
from partner_sdk.key_files import KeyFile
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.register import RegisterEntry
from tests.builders.clock import NOW, StillClock
from tests.builders.doors import Door
from tests.builders.parties import Agency, Partner, verify_key_of

PUBLIC_ORIGIN = "https://report.example"
FEED_ORIGIN = "https://feed.example"


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
