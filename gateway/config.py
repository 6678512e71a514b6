"""The gateway's settings: `gateway.toml` in the state folder, checked once at the start.

Never holds a secret and never accepts a path to a key: the two keys of a gateway lie in its own `keys/` folder.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from gateway.guidance.agency import AGENCY_FILE
from gateway.key_folder import check_no_foreign_keys
from gateway.web.server_spec import DEFAULT_BODY_SECONDS
from gateway.web.settings import SettingsError, check_origin, read_settings
from partner_sdk.durable_files import write_new_durably
from partner_sdk.wire.intake import INSTANCE_PATTERN
from partner_sdk.wire.keys import Environment, Pin, parse_pin

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
_CAMPAIGN = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_INSTANCE = re.compile(INSTANCE_PATTERN)
STATE_VARIABLE: Final = "REPORT_ABUSE_GATEWAY_STATE"
ROLES_VARIABLE: Final = "REPORT_ABUSE_GATEWAY_ROLES"


class ListenerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One address with its roles. Two workers and four threads suit two cores; the feed has one caller."""

    host: str
    port: int
    roles: tuple[Role, ...]
    workers: int = 2
    threads: int = 4


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where limits are counted, and how many reports a minute one partner may send (P1 has as many again)."""

    storage_uri: str = "memory://"
    partner_reports_per_minute: int = 1200


class EvidenceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many GiB of sealed evidence one partner may hold here, and the percentage of the disk that stays free of it.

    One file has up to 10 GiB, and is held until 30 days after the desk has it.
    """

    partner_gib: int = 200
    least_free_percent: int = 20


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in `gateway.toml`. `feed_origin` is what the desk signs for; `banner` shows on every page.

    `agency_contact` is where people ask for what is kept about them: an e-mail or postal address, on the page that says
    who sees what. Empty: that page names the form.

    `drafts_max_rows` is how many half-filled forms are kept at once, at 8 KiB each, 64 KiB for a long story. At the
    ceiling nobody can start a new form; what was started can be finished and sent. `drafts_max_rows_per_network` is the
    share of one network (/24 or /48), e.g. a school with thirty classes that begin within one hour. `campaigns` are the
    words that a link may carry as `?c=`: how often each was followed is counted, and nothing else is kept of it (R31).
    """

    environment: Environment
    instance: str
    public_origin: str
    feed_origin: str
    listeners: tuple[ListenerConfig, ...]
    agency_name: str = "The agency"
    agency_contact: str = ""
    banner: str = ""
    lock_timeout_seconds: float = 5.0
    body_timeout_seconds: float = DEFAULT_BODY_SECONDS
    trusted_proxies: int = 0
    drafts_max_rows: int = 20_000
    drafts_max_rows_per_network: int = 1_000
    campaigns: tuple[str, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    evidence: EvidenceConfig = EvidenceConfig()

    def origin_for(self, roles: Sequence[Role]) -> str:
        """Return the origin that callers of a listener with these roles sign and see."""
        return self.feed_origin if set(roles) == {"feed"} else self.public_origin


class StateFolder:
    """The files of one gateway."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG_FILE
        self.agency = path / AGENCY_FILE  # the agency's hours and promises
        self.pin = path / PIN_FILE  # the agency's root fingerprint and feed key, as the desk made it
        self.card = path / "gateway.card"  # what the desk needs to know of this gateway; holds no secret
        self.database = path / "gateway.sqlite"
        self.lock = path / "gateway.lock"  # the queue of writers
        self.evidence = path / EVIDENCE_FOLDER  # sealed parts; may be a disk of its own


def load_config(state: Path) -> GatewayConfig:
    """Read and check the settings of the gateway in `state`, or raise.

    Raises `SettingsError` naming the key, or `ForeignKeyError` when a private key lies there that is not its own.
    """
    check_no_foreign_keys(state, left_out=EVIDENCE_FOLDER)
    config = read_settings(state / CONFIG_FILE, kind=GatewayConfig)
    check_config(config)
    pin = load_pin(state)
    if pin.environment != config.environment:
        raise SettingsError("environment is not the one of agency.pin.", reason="wrong-environment")
    return config


def load_pin(state: Path) -> Pin:
    """Read the agency's pin, or raise `SettingsError` or `KeySetError`."""
    try:
        raw = (state / PIN_FILE).read_bytes()
    except OSError:
        raise SettingsError(
            f"{PIN_FILE} is not in the state folder: `init --pin` puts it there.", reason="no-pin"
        ) from None
    return parse_pin(raw)


def check_config(config: GatewayConfig) -> None:
    """Raise `SettingsError`, naming the key, for values that cannot work together."""
    check_origin(config.public_origin, key="public_origin")
    check_origin(config.feed_origin, key="feed_origin")
    if config.feed_origin == config.public_origin:
        raise SettingsError("feed_origin must differ from public_origin: the feed is private.", reason="bad-origin")
    if not _INSTANCE.fullmatch(config.instance):
        raise SettingsError("instance must be 1 to 39 of a-z, 0-9 and hyphens.", reason="bad-settings")
    _check_shown_texts(config)
    for key, number, least, most in (
        ("lock_timeout_seconds", config.lock_timeout_seconds, 0.1, 60),
        ("body_timeout_seconds", config.body_timeout_seconds, 1, 300),
        ("trusted_proxies", config.trusted_proxies, 0, 8),
        ("drafts_max_rows", config.drafts_max_rows, 1, MAX_DRAFTS),
        ("drafts_max_rows_per_network", config.drafts_max_rows_per_network, 1, MAX_DRAFTS),
        ("evidence.partner_gib", config.evidence.partner_gib, 1, 1_000_000),
        ("evidence.least_free_percent", config.evidence.least_free_percent, 5, 90),  # reports need room
    ):
        if not least <= number <= most:
            raise SettingsError(f"{key} must be between {least} and {most}.", reason="bad-settings")
    if config.limits.partner_reports_per_minute < 1:
        raise SettingsError("limits.partner_reports_per_minute must be at least 1.", reason="bad-settings")
    _check_campaigns(config.campaigns)
    _check_listeners(config)


def _check_shown_texts(config: GatewayConfig) -> None:
    if not config.agency_name.strip():
        raise SettingsError("agency_name must not be empty.", reason="bad-settings")
    for key, most in (("banner", MAX_BANNER_CHARACTERS), ("agency_contact", MAX_CONTACT_CHARACTERS)):
        if len(getattr(config, key)) > most:
            raise SettingsError(f"{key} is longer than {most} characters.", reason="bad-settings")


def _check_campaigns(campaigns: Sequence[str]) -> None:
    if len(campaigns) > MAX_CAMPAIGNS or any(not _CAMPAIGN.fullmatch(word) for word in campaigns):
        raise SettingsError(
            f"campaigns must be at most {MAX_CAMPAIGNS} words of 1 to 32 of a-z, 0-9 and hyphens.",
            reason="bad-settings",
        )


def _check_listeners(config: GatewayConfig) -> None:
    if not config.listeners:
        raise SettingsError("listeners is empty: nothing would be served.", reason="bad-settings")
    addresses = set()
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
            raise SettingsError(f"{where} uses the address of another listener.", reason="bad-settings")
        addresses.add((listener.host, listener.port))
        check_roles(listener.roles, key=f"{where}.roles")


def check_roles(roles: Sequence[Role], *, key: str) -> None:
    """Raise `SettingsError` unless one process may have these roles together."""
    if not roles or len(set(roles)) != len(roles):
        raise SettingsError(
            f"{key} must name each role once, and at least one of {', '.join(ROLES)}.", reason="bad-roles"
        )
    if "feed" in roles and len(roles) > 1:
        # The feed is the desk's private door: a process that the internet reaches must not contain it.
        raise SettingsError(f"{key}: feed must be alone on its listener.", reason="bad-roles")


def write_config(path: Path, config: GatewayConfig) -> None:
    """Write settings as TOML that `load_config` reads back to the same value; never over another file."""
    tables = {"limits": config.limits, "evidence": config.evidence}
    plain = [key for key in GatewayConfig.__struct_fields__ if key not in {"listeners", *tables}]
    lines = ["# Settings of this gateway. Unknown keys are errors. No secret belongs here.", *_to_lines(config, plain)]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_to_lines(table, table.__struct_fields__)]
    for listener in config.listeners:
        lines += ["", "[[listeners]]", *_to_lines(listener, listener.__struct_fields__)]
    write_new_durably(path, "\n".join([*lines, ""]).encode())


def _to_lines(table: msgspec.Struct, keys: Sequence[str]) -> list[str]:
    return [f"{key} = {_to_toml(getattr(table, key))}" for key in keys]


def _to_toml(value: str | float | tuple[str, ...]) -> str:
    # JSON's spelling of text, numbers and flat lists is TOML's too (TOML 1.0 §String: same escapes, but not \/).
    return msgspec.json.encode(value).decode("utf-8").replace("\x7f", "\\u007f")


def parse_roles(text: str) -> tuple[Role, ...]:
    """Return the roles of a text like `public,industry`, or raise `SettingsError`."""
    by_name: dict[str, Role] = {role: role for role in ROLES}
    try:
        return tuple(by_name[name] for name in text.split(","))
    except KeyError:
        raise SettingsError(f"Roles are some of {', '.join(ROLES)}, with commas between.", reason="bad-roles") from None
