"""The desk as one value: settings, files, store, clock, randomness and feed, passed to every function that acts."""

import functools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.desk.office.config import OFF, DeskConfig, DeskPaths, load_config
from gateway.desk.office.escalation import Escalation, load_escalation
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.store import DeskStore, open_store
from gateway.desk.vault import Ask, PublicKey, Reason
from gateway.desk.vault.case_keys import CASE_KEYS_FILE, CaseKeys
from gateway.desk.vault.destructions import Destructions
from gateway.desk.vault.doors import Signer, Vault
from gateway.desk.vault.holder import Holder, WatchedKeys
from gateway.desk.vault.key_folder import find_protection
from gateway.desk.vault.process import VaultClient
from gateway.desk.vault.record import OPENINGS_FILE, OpeningRecord
from gateway.guidance.agency import Agency, load_agency
from partner_sdk.key_files import KeyRole
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
    """One desk. `open_session` makes the HTTP session on first use, always the same one.

    `find_holder` returns the holder of the private keys: ask it through `load_vault` and `load_signer`.
    """

    config: DeskConfig
    agency: Agency
    escalation: Escalation
    paths: DeskPaths
    store: DeskStore
    clock: Clock
    random: Random
    open_session: "Callable[[], requests.Session]"
    find_holder: Callable[[], Ask]

    @property
    def session(self) -> "requests.Session":
        """The HTTP session for this desk's requests."""
        return self.open_session()

    def read_key(self, role: KeyRole) -> PublicKey:
        """Return the public part of a key in daily use. Raises `LocalStateError`, `VaultError`."""
        return self.load_signer().read_key(role.value)

    def load_vault(self, *, actor: str, reason: Reason) -> Vault:
        """Return the vault's doors for one person and one reason, which the vault records with each opening."""
        return Vault(self.find_holder(), actor=actor, reason=reason)

    def load_signer(self) -> Signer:
        """Return the signer with every private key that this desk still has."""
        return Signer(self.find_holder())

    def make_feed(self) -> FeedClient:
        """Return a client of the gateway's feed, signing with the feed key."""
        return FeedClient(
            origin=self.config.feed_url,
            private_key=self.load_signer().load_feed_key(),
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
    may_hold_keys: bool = True,
) -> Desk:
    """Open the desk of a state folder. Raises `DeskConfigError`, `SettingsError` or `DeskStoreError`.

    With `may_hold_keys` False this process never reads a private key: it always asks the vault.
    """
    paths = DeskPaths(state)
    config = load_config(paths)
    return Desk(
        config=config,
        agency=load_agency(paths.agency),
        escalation=load_escalation(paths.escalation, has_mail=config.carriers.mail != OFF),
        paths=paths,
        store=open_store(paths.database, uri=config.database_uri),
        clock=clock,
        random=random,
        open_session=functools.cache(_make_session) if session is None else lambda: session,
        find_holder=_make_finder(paths, config=config, clock=clock, random=random, may_hold_keys=may_hold_keys),
    )


def make_holder(
    keys: WatchedKeys,
    *,
    folder: Path,
    config: DeskConfig,
    clock: Clock = utc_now,
    random: Random = secrets.token_bytes,
) -> Holder:
    """Return a holder of a desk's private keys in this process; `folder` is the vault's own."""
    case_keys = CaseKeys(folder / CASE_KEYS_FILE)
    return Holder(
        keys=keys,
        record=OpeningRecord(folder / OPENINGS_FILE),
        case_keys=case_keys,
        destructions=Destructions(folder, case_keys),
        environment=config.environment,
        feed_url=config.feed_url,
        clock=clock,
        random=random,
    )


def _make_finder(
    paths: DeskPaths, *, config: DeskConfig, clock: Clock, random: Random, may_hold_keys: bool
) -> Callable[[], Ask]:
    """Return a function that finds the holder: a vault that runs, or else this process, for keys without passphrase."""
    client, keys = VaultClient(paths.vault), WatchedKeys(paths.keys)
    holder = make_holder(keys, folder=paths.vault, config=config, clock=clock, random=random)

    def find() -> Ask:
        # Keys under a passphrase are in the vault alone, which asked for it once.
        if not may_hold_keys or client.is_there() or find_protection(paths.keys) is not None:
            return client.ask
        return holder.answer

    return find


def _make_session() -> "requests.Session":
    # Imported here: it brings `requests`, a tenth of a second that commands without a request do not need.
    from partner_sdk.client.transport import make_session

    return make_session()
