"""The desk as one value: settings, files, store, clock, randomness and the feed, passed to every function that acts."""

import functools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.config import DeskConfig, DeskPaths, load_config
from gateway.desk.feed_client import FeedClient
from gateway.desk.store import DeskStore, open_store
from gateway.desk.vault import Vault, load_vault
from gateway.guidance.agency import Agency, load_agency
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key, read_key_file
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id

if TYPE_CHECKING:
    import requests

Clock = Callable[[], datetime]
Random = Callable[[int], bytes]


def utc_now() -> datetime:
    """Return the current time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """One desk. `open_session` makes the HTTP session on first use, always the same one."""

    config: DeskConfig
    agency: Agency
    paths: DeskPaths
    store: DeskStore
    clock: Clock
    random: Random
    open_session: "Callable[[], requests.Session]"

    @property
    def session(self) -> "requests.Session":
        """The HTTP session for this desk's requests."""
        return self.open_session()

    def read_key(self, role: KeyRole) -> KeyFile:
        """Return one key file in daily use, e.g. `keys/register.key`. Raises `LocalStateError`."""
        return read_key_file(self.paths.keys / f"{role.value}.key", role=role)

    def load_private_key(self, role: KeyRole) -> Ed25519PrivateKey:
        """Return the private half of one signing key in daily use. Raises `LocalStateError`."""
        return load_signing_key(self.read_key(role))

    def load_vault(self) -> Vault:
        """Return the vault with every sealing key that this desk still has."""
        return load_vault(self.paths.keys)

    def make_feed(self) -> FeedClient:
        """Return a client of the gateway's feed, signing with the feed key."""
        return FeedClient(
            origin=self.config.feed_url,
            private_key=self.load_private_key(KeyRole.FEED),
            clock=self.clock,
            session=self.session,
        )

    def make_id(self) -> str:
        """Return a new id that sorts by time (UUIDv7)."""
        return make_report_id(self.clock(), self.random(REPORT_ID_RANDOM_BYTES))


def open_desk(
    state: Path,
    *,
    clock: Clock = utc_now,
    random: Random = secrets.token_bytes,
    session: "requests.Session | None" = None,
) -> Desk:
    """Open the desk of a state folder. Raises `DeskConfigError`, `SettingsError` or `DeskStoreError`."""
    paths = DeskPaths(state)
    config = load_config(paths)
    return Desk(
        config=config,
        agency=load_agency(paths.agency),
        paths=paths,
        store=open_store(paths.database, uri=config.database_uri),
        clock=clock,
        random=random,
        open_session=functools.cache(_make_session) if session is None else lambda: session,
    )


def _make_session() -> "requests.Session":
    # Imported here: it brings `requests`, a tenth of a second that commands without a request do not need.
    from partner_sdk.client.transport import make_session

    return make_session()
