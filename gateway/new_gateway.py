"""Makes a gateway's state folder (keys, settings, empty store, card for the desk), and moves it to new keys.

Never leaves half a gateway: a failure removes everything already written. A new receipt or log key is made here,
published by the agency, then used: never signs with one that the agency has not published, because nobody could verify
its signatures.
"""

import shutil
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.config import (
    ROLES,
    GatewayConfig,
    ListenerConfig,
    Role,
    StateFolder,
    check_config,
    load_config,
    write_config,
)
from gateway.exchange.feed import GatewayCard, GatewayKey, parse_pin
from gateway.guidance.agency import write_agency_example
from gateway.key_state import KeyState
from gateway.keys import (
    SIGNING_ROLES,
    find_signing_key,
    list_signing_roles,
    make_keys,
    make_signing_key,
    read_receipt_key,
    use_next_key,
)
from gateway.store import StorageUnavailableError, Store
from gateway.store.connections import find_instance
from gateway.store.store import make_store
from gateway.web.settings import SettingsError
from partner_sdk.durable_files import read_bounded, write_durably, write_new_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.key_files import KeyFile, KeyRole
from partner_sdk.wire.canonical import encode, format_time
from partner_sdk.wire.signing import Environment, Pin

NEXT_CARD_FILE = "gateway.next.card"


def begin_key_change(state: Path, role: KeyRole, *, config: GatewayConfig, now: datetime) -> Path:
    """Make the next key of a role and a card with it; return the card's path. Safe to repeat.

    A gateway from a release without a public log gets its first log key, and its own card anew.
    """
    is_next = find_signing_key(state, role) is not None
    make_signing_key(state, role, environment=config.environment, created_at=format_time(now), is_next=is_next)
    path = state / NEXT_CARD_FILE if is_next else StateFolder(state).card
    write_durably(path, encode(make_card(config, state=state, has_next=is_next)) + b"\n")
    return path


def make_card(config: GatewayConfig, *, state: Path, has_next: bool = False) -> GatewayCard:
    """Return the card by which the desk verifies this gateway's signatures; it holds no secret.

    With `has_next` it names the next key in place of each that has one.
    """
    log_key = _find_key(state, KeyRole.LOG, has_next=has_next)
    return GatewayCard(
        environment=config.environment,
        instance=config.instance,
        origin=config.public_origin,
        receipt_key=_name_key(_find_key(state, KeyRole.RECEIPT, has_next=has_next) or read_receipt_key(state)),
        log_key=None if log_key is None else _name_key(log_key),
        type="report-abuse/gateway-card",
    )


def _find_key(state: Path, role: KeyRole, *, has_next: bool) -> KeyFile | None:
    following = find_signing_key(state, role, is_next=True) if has_next else None
    return following or find_signing_key(state, role)


def _name_key(key_file: KeyFile) -> GatewayKey:
    return GatewayKey(key_id=key_file.key_id, public_key=key_file.public_key)


def finish_key_changes(
    state: Path,
    *,
    config: GatewayConfig,
    store: Store,
    pin: Pin,
    clock: Callable[[], datetime],
    roles: Collection[Role] = ROLES,
) -> bool:
    """Switch to each next key that the agency has published; return whether it did.

    Call it before the servers start, because each server reads its key once. A service with some `roles` switches the
    keys that it reads, and leaves the cards, which name all of them.
    """
    own = list_signing_roles(roles)
    pending = [role for role in own if find_signing_key(state, role, is_next=True) is not None]
    keys = KeyState(store, pin=pin, clock=clock).find_keys() if pending else None
    done = [role for role in pending if keys is not None and keys.has_key(_get_next_id(state, role))]
    for role in done:
        use_next_key(state, role)
    if len(own) < len(SIGNING_ROLES):
        return bool(done)
    if done:
        write_durably(StateFolder(state).card, encode(make_card(config, state=state)) + b"\n")
    if done == pending:
        (state / NEXT_CARD_FILE).unlink(missing_ok=True)
    return bool(done)


def _get_next_id(state: Path, role: KeyRole) -> str:
    following = find_signing_key(state, role, is_next=True)
    return "" if following is None else following.key_id  # another process has just used it


MAX_PIN_FILE_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGateway:
    """The options of `init`. The environment comes from the pin, so it is neither an option nor a default."""

    state: Path
    pin_file: Path
    origin: str
    host: str
    port: int
    feed_port: int
    instance: str
    agency_name: str
    banner: str
    feed_origin: str | None = None
    industry_port: int | None = None
    trusted_proxies: int = 0
    database_uri: str = ""


def create_gateway(asked: NewGateway, *, clock: Callable[[], datetime]) -> GatewayCard:
    """Make the gateway and return its card; raises `SettingsError`, `KeySetError` or `LocalStateError`."""
    if asked.state.exists() and any(asked.state.iterdir()):
        raise SettingsError(
            f"{asked.state} is not empty. Name a new or empty folder with --state.", reason="state-exists"
        )
    try:
        raw_pin = read_bounded(asked.pin_file, max_bytes=MAX_PIN_FILE_BYTES)
    except LocalStateError:
        raise SettingsError(f"Cannot read the pin {asked.pin_file}.", reason="no-pin") from None
    config = _make_config(asked, environment=parse_pin(raw_pin).environment)
    check_config(config)
    is_new = not asked.state.exists()
    asked.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _fill(asked.state, config=config, raw_pin=raw_pin, now=clock())
    except BaseException:
        _take_back(asked.state, is_new=is_new)
        raise


def _make_config(asked: NewGateway, *, environment: Environment) -> GatewayConfig:
    # In a sandbox the public door is the practice form: every page is marked, and nothing is sent.
    doors: list[tuple[tuple[Role, ...], int]] = [(("public", "industry"), asked.port)]
    if asked.industry_port is not None:
        doors = [(("public",), asked.port), (("industry",), asked.industry_port)]
    host = f"[{asked.host}]" if ":" in asked.host else asked.host
    return GatewayConfig(
        environment=environment,
        instance=asked.instance,
        public_origin=asked.origin,
        feed_origin=f"http://{host}:{asked.feed_port}" if asked.feed_origin is None else asked.feed_origin,
        trusted_proxies=asked.trusted_proxies,
        database_uri=asked.database_uri,
        agency_name=asked.agency_name,
        banner=asked.banner,
        listeners=(
            *(ListenerConfig(host=asked.host, port=port, roles=roles) for roles, port in doors),
            ListenerConfig(host=asked.host, port=asked.feed_port, roles=("feed",), workers=1, threads=2),
        ),
    )


def _fill(state: Path, *, config: GatewayConfig, raw_pin: bytes, now: datetime) -> GatewayCard:
    folder = StateFolder(state)
    folder.path.chmod(0o700)
    make_keys(state, environment=config.environment, created_at=format_time(now))
    folder.evidence.mkdir(mode=0o700)
    write_new_durably(folder.pin, raw_pin)
    write_agency_example(folder.agency)
    epoch = str(uuid.uuid4())
    try:
        store = make_store(
            folder.database,
            lock_path=folder.lock,
            name=config.instance,
            epoch=epoch,
            now=now,
            uri=config.database_uri,
            lock_timeout_seconds=config.lock_timeout_seconds,
        )
        with store.read() as connection:
            found = find_instance(connection)
        store.close()
    except StorageUnavailableError as error:
        raise SettingsError(f"The database cannot be used ({error.reason}).", reason="no-database") from error
    if found is None or found.epoch != epoch:
        # Another receipt key in its chains would have the desk refuse every report.
        raise SettingsError(
            "The database already belongs to a gateway. For a second gateway on it copy the first one's state folder "
            "(docs/operations.md, 6 Second gateway); for a new one make an empty database.",
            reason="database-taken",
        )
    card = make_card(config, state=state)
    write_new_durably(folder.card, encode(card) + b"\n")
    write_config(folder.config, config)
    load_config(state)
    return card


def _take_back(state: Path, *, is_new: bool) -> None:
    # The folder was empty before, so all its files are ours.
    for path in state.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if is_new:
        state.rmdir()
