"""The gateway's settings: `gateway.toml` in the state folder, checked once at startup.

Never holds a secret or a path to a key: the gateway's own keys are in `keys/`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

import msgspec

from gateway.databases.database import check_database_uri
from gateway.exchange.feed import INSTANCE_PATTERN, parse_pin
from gateway.guidance.agency import AGENCY_FILE
from gateway.keys import check_no_foreign_keys
from gateway.web.serving import DEFAULT_BODY_SECONDS
from gateway.web.settings import SettingsError, check_origin, format_settings, is_loopback, read_settings
from partner_sdk.durable_files import write_new_durably
from partner_sdk.wire.signing import Environment, Pin

CONFIG_FILE = "gateway.toml"
PIN_FILE = "agency.pin"
EVIDENCE_FOLDER = "evidence"

Role = Literal["public", "industry", "feed"]
ROLES: tuple[Role, ...] = get_args(Role)

MAX_WORKERS = 64
MAX_THREADS = 64
MAX_BANNER_CHARACTERS = 300
MAX_CONTACT_CHARACTERS = 200
MAX_DRAFTS = 10_000_000
MAX_CAMPAIGNS = 200
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-]{1,64}){0,8}")
_REGION = re.compile(r"[a-z0-9-]{0,32}")
_CAMPAIGN = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
MEMORY_URI: Final = "memory://"
STORE_SCHEMES: Final = ("valkey", "valkeys", "valkey+unix")
_CA_OPTION: Final = "ssl_ca_certs"
_INSTANCE = re.compile(INSTANCE_PATTERN)
STATE_VARIABLE: Final = "REPORT_ABUSE_GATEWAY_STATE"
ROLES_VARIABLE: Final = "REPORT_ABUSE_GATEWAY_ROLES"


class ListenerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One listening address and its roles. Two workers of four threads suit two cores; the feed has a single caller.

    `metrics_port` answers Prometheus on 127.0.0.1; 0 is off.
    """

    host: str
    port: int
    roles: tuple[Role, ...]
    workers: int = 2
    threads: int = 4
    metrics_port: int = 0


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The store of limits and nonces, and the reports per minute for each partner (P1 has a second, equal quota).

    `storage_uri` is Valkey's address, which all gateways share, or `memory://`: then each worker counts for itself and
    keeps no nonces.
    """

    storage_uri: str = MEMORY_URI
    password_file: str = ""
    partner_reports_per_minute: int = 1200


class EvidenceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The evidence quota of a partner in GiB, the percentage of the disk to keep free, and the bucket if there is one.

    A file may have up to 10 GiB; it is stored until 30 days after the desk has collected it. `store_uri` is empty for
    `evidence/` in the state folder, or a bucket, e.g. `s3://reports-evidence/gateway-1`. `store_endpoint` and
    `store_region` are for a store other than AWS.
    """

    partner_gib: int = 200
    least_free_percent: int = 20
    store_uri: str = ""
    store_endpoint: str = ""
    store_region: str = ""


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contents of `gateway.toml`. `feed_origin` is the origin that the desk signs; `banner` is shown on every page.

    `agency_contact` is an e-mail or postal address for data-protection requests, shown on the privacy page. If it is
    empty, that page points to the form.

    `database_uri` is empty for `gateway.sqlite` in the state folder, or the address of a PostgreSQL database.

    `drafts_max_rows` caps the unfinished forms that are stored, 8 KiB each, or 64 KiB for a long story. At the cap no
    new form can be started; those in progress can be finished and sent. `drafts_max_rows_per_network` is the share of
    one network (/24 or /48), e.g. a school with thirty classes that start within an hour. `campaigns` lists the words a
    link may carry as `?c=`: the gateway counts visits per word and stores nothing else about them (R31).
    """

    environment: Environment
    instance: str
    public_origin: str
    feed_origin: str
    listeners: tuple[ListenerConfig, ...]
    agency_name: str = "The agency"
    agency_contact: str = ""
    banner: str = ""
    database_uri: str = ""
    lock_timeout_seconds: float = 5.0
    body_timeout_seconds: float = DEFAULT_BODY_SECONDS
    trusted_proxies: int = 0
    drafts_max_rows: int = 20_000
    drafts_max_rows_per_network: int = 1_000
    campaigns: tuple[str, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    evidence: EvidenceConfig = EvidenceConfig()

    @property
    def roles(self) -> tuple[Role, ...]:
        """Every role that a listener has."""
        return tuple(role for role in ROLES if any(role in one.roles for one in self.listeners))

    def origin_for(self, roles: Sequence[Role]) -> str:
        """Return the origin for a listener with these roles."""
        return self.feed_origin if set(roles) == {"feed"} else self.public_origin


class StateFolder:
    """The file paths of one gateway."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG_FILE
        self.agency = path / AGENCY_FILE  # the agency's opening hours and promises
        self.pin = path / PIN_FILE  # the agency's root fingerprint and feed key, written by the desk
        self.card = path / "gateway.card"  # the desk's record of this gateway; holds no secret
        self.database = path / "gateway.sqlite"
        self.lock = path / "gateway.lock"  # serialises writers
        self.evidence = path / EVIDENCE_FOLDER  # sealed parts; may be a separate disk


def load_config(state: Path, *, roles: Sequence[Role] = ROLES) -> GatewayConfig:
    """Read and check the settings of the gateway in `state`, for a process that has some of its roles.

    Raises `SettingsError` naming the key, or `ForeignKeyError` when the folder holds another party's private key.
    """
    check_no_foreign_keys(state, left_out=EVIDENCE_FOLDER, roles=roles)
    config = read_settings(state / CONFIG_FILE, kind=GatewayConfig)
    check_config(config)
    pin = load_pin(state)
    if pin.environment != config.environment:
        raise SettingsError("environment differs from the environment in agency.pin.", reason="wrong-environment")
    return config


def load_pin(state: Path) -> Pin:
    """Read the agency's pin; raises `SettingsError` or `KeySetError`."""
    try:
        raw = (state / PIN_FILE).read_bytes()
    except OSError:
        raise SettingsError(
            f"{PIN_FILE} is missing from the state folder. Copy it there from the desk.",
            reason="no-pin",
        ) from None
    return parse_pin(raw)


def check_config(config: GatewayConfig) -> None:
    """Raise `SettingsError`, naming the key, for invalid or conflicting values."""
    check_origin(config.public_origin, key="public_origin")
    check_origin(config.feed_origin, key="feed_origin")
    if config.feed_origin == config.public_origin:
        raise SettingsError(
            "feed_origin must differ from public_origin, because the feed is private.", reason="bad-origin"
        )
    check_database_uri(config.database_uri)
    evidence, limits = config.evidence, config.limits
    for key, number, least, most in (
        ("lock_timeout_seconds", config.lock_timeout_seconds, 0.1, 60),
        ("body_timeout_seconds", config.body_timeout_seconds, 1, 300),
        ("trusted_proxies", config.trusted_proxies, 0, 8),
        ("drafts_max_rows", config.drafts_max_rows, 1, MAX_DRAFTS),
        ("drafts_max_rows_per_network", config.drafts_max_rows_per_network, 1, MAX_DRAFTS),
        ("evidence.partner_gib", evidence.partner_gib, 1, 1_000_000),
        ("evidence.least_free_percent", evidence.least_free_percent, 5, 90),  # reports need room
    ):
        _refuse_first((not least <= number <= most, f"{key} must be between {least} and {most}."))
    are_campaigns = len(config.campaigns) <= MAX_CAMPAIGNS and all(map(_CAMPAIGN.fullmatch, config.campaigns))
    _refuse_first(
        (
            not _INSTANCE.fullmatch(config.instance),
            "instance must be 1 to 39 characters: a-z, 0-9 and hyphens, e.g. gateway-1.",
        ),
        (not config.agency_name.strip(), "agency_name must not be empty."),
        (
            len(config.banner) > MAX_BANNER_CHARACTERS,
            f"banner must be at most {MAX_BANNER_CHARACTERS} characters long.",
        ),
        (
            len(config.agency_contact) > MAX_CONTACT_CHARACTERS,
            f"agency_contact must be at most {MAX_CONTACT_CHARACTERS} characters long.",
        ),
        (limits.partner_reports_per_minute < 1, "limits.partner_reports_per_minute must be at least 1."),
        (
            not are_campaigns,
            f"campaigns must hold at most {MAX_CAMPAIGNS} words of 1 to 32 characters: a-z, 0-9 and hyphens.",
        ),
        (
            not evidence.store_uri and bool(evidence.store_endpoint or evidence.store_region),
            "evidence.store_endpoint and evidence.store_region need evidence.store_uri.",
        ),
        (
            bool(evidence.store_uri) and not _BUCKET.fullmatch(evidence.store_uri),
            "evidence.store_uri must be a bucket and a prefix without a password, e.g. s3://reports-evidence/gateway-1.",
        ),
        (not _REGION.fullmatch(evidence.store_region), "evidence.store_region must look like eu-west-2."),
    )
    if evidence.store_endpoint:
        check_origin(evidence.store_endpoint, key="evidence.store_endpoint")
    _check_store_uri(limits.storage_uri)
    _check_listeners(config)


def _refuse_first(*faults: tuple[bool, str]) -> None:
    """Raise `SettingsError` with the first of these texts whose fault is there."""
    for is_there, text in faults:
        if is_there:
            raise SettingsError(text, reason="bad-settings")


def _check_store_uri(uri: str) -> None:
    """Raise `SettingsError` for an address that is not Valkey's, holds a password, or leads over a network without TLS.

    A socket or a loopback address needs no TLS. e.g. `valkeys://gateway@limits.example:6379/0`.
    """
    if uri in ("", MEMORY_URI):
        return
    try:
        parts = urlsplit(uri)
        password, host, _port = parts.password, parts.hostname or "", parts.port
    except ValueError:
        raise SettingsError("limits.storage_uri is not an address.", reason="bad-settings") from None
    options = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    _refuse_first(
        (
            parts.scheme not in STORE_SCHEMES,
            "limits.storage_uri must be memory://, or begin with valkeys://, valkey:// or valkey+unix://.",
        ),
        (
            password is not None,
            "limits.storage_uri must hold no password: put it into the file of limits.password_file.",
        ),
        (
            bool(parts.fragment) or options not in ([], [_CA_OPTION]) or (options != [] and parts.scheme != "valkeys"),
            f"limits.storage_uri takes one option, for valkeys:// alone: {_CA_OPTION}, a file of certificates.",
        ),
        (
            parts.scheme == "valkey+unix" and bool(host or not parts.path),
            "limits.storage_uri must look like valkey+unix:///run/valkey/valkey.sock.",
        ),
        (
            parts.scheme == "valkey" and not is_loopback(host),
            "limits.storage_uri leads to another machine: it must begin with valkeys://.",
        ),
        (parts.scheme == "valkeys" and not host, "limits.storage_uri names no host."),
    )


def _check_listeners(config: GatewayConfig) -> None:
    if not config.listeners:
        raise SettingsError("listeners must name at least one listener.", reason="bad-settings")
    addresses, measured = set(), set()
    for number, listener in enumerate(config.listeners):
        where = f"listeners[{number}]"
        if not listener.host:
            raise SettingsError(f"{where}.host must not be empty.", reason="bad-settings")
        if not 1 <= listener.port <= 65_535:
            raise SettingsError(f"{where}.port must be between 1 and 65535.", reason="bad-settings")
        if not 1 <= listener.workers <= MAX_WORKERS or not 1 <= listener.threads <= MAX_THREADS:
            raise SettingsError(
                f"{where}.workers must be 1 to {MAX_WORKERS} and {where}.threads 1 to {MAX_THREADS}.",
                reason="bad-settings",
            )
        if (listener.host, listener.port) in addresses:
            raise SettingsError(f"{where} has the same host and port as another listener.", reason="bad-settings")
        addresses.add((listener.host, listener.port))
        if not 0 <= listener.metrics_port <= 65_535 or (listener.metrics_port and listener.metrics_port in measured):
            raise SettingsError(
                f"{where}.metrics_port must be 0 to 65535, and that of no other listener.", reason="bad-settings"
            )
        measured.add(listener.metrics_port)
        check_roles(listener.roles, key=f"{where}.roles")


def check_roles(roles: Sequence[Role], *, key: str) -> None:
    """Raise `SettingsError` unless one process may combine these roles."""
    if not roles or len(set(roles)) != len(roles):
        raise SettingsError(
            f"{key} must list one or more of {', '.join(ROLES)}, each at most once.", reason="bad-roles"
        )
    if "feed" in roles and len(roles) > 1:
        # The feed is the desk's private door: a process reachable from the internet must not serve it.
        raise SettingsError(f"{key}: the feed must have a listener of its own.", reason="bad-roles")


def write_config(path: Path, config: GatewayConfig) -> None:
    """Write settings that `load_config` reads back to the same value; never overwrites a file."""
    comment = "# Settings of this gateway. Unknown keys are errors. Put no secrets here.\n"
    write_new_durably(path, (comment + format_settings(config)).encode())


def parse_roles(text: str) -> tuple[Role, ...]:
    """Return the roles in a text such as `public,industry`; raises `SettingsError`."""
    by_name: dict[str, Role] = {role: role for role in ROLES}
    try:
        return tuple(by_name[name] for name in text.split(","))
    except KeyError:
        raise SettingsError(f"Give roles separated by commas, from: {', '.join(ROLES)}.", reason="bad-roles") from None


def utc_now() -> datetime:
    """Return the current time in aware UTC."""
    return datetime.now(UTC)
