"""The desk's settings (`desk.toml`) and the paths of its files. Never holds a secret: keys and logins are elsewhere."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.databases.database import check_database_uri
from gateway.desk.office.addresses import find_email_address, is_safe_url
from gateway.desk.office.suggestions import DEFAULT_PORT
from gateway.guidance.agency import AGENCY_FILE
from gateway.web.settings import SettingsError, check_origin, is_loopback, read_settings
from partner_sdk.errors import RefusalError
from partner_sdk.wire.signing import Environment

# `serve` passes them to its workers.
STATE_VARIABLE: Final = "REPORT_ABUSE_DESK_STATE"
ORIGIN_VARIABLE: Final = "REPORT_ABUSE_DESK_ORIGIN"
OFF: Final = "off"
SIGNIFICANT_INCIDENTS: Final = 60  # in a quarter
MOST_SENDER_CHARACTERS: Final = 11  # an alphanumeric sender has at most 11 characters (3GPP TS 23.040 §9.1.2.5)

_SENDER: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ]*[A-Za-z0-9])?")
# A country code, or a longer prefix for a part of a country.
_COUNTRY_CODE: Final = re.compile(r"[1-9][0-9]{0,6}")
# +1 is the United States and Canada, and also twenty countries of the Caribbean with prices of their own: list it with
# the area codes to allow.
_SHARED_CODE: Final = "1"
_SHORTEST_SHARED: Final = 4


class CarriersConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[carriers]`: whether short notes are sent, and the carriers of mails and text messages."""

    notes: Literal["off", "on"] = "off"
    mail: Literal["off", "smtp", "folder"] = "off"
    mail_from: str = ""
    mail_name: str = ""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_login_file: str = ""
    sms: Literal["off", "webhook", "folder"] = "off"
    sms_sender: str = ""
    sms_url: str = ""
    sms_token_file: str = ""
    sms_country_codes: tuple[str, ...] = ("44",)
    # A text message costs money, and a stranger can enter any number: this many a day, to all together.
    sms_most_a_day: int = 200
    # One note a day to a mailbox does not limit the owner of a domain. The large providers need room: most mailboxes
    # are at a few of them.
    mail_most_a_day_per_domain: int = 200
    folder: str = ""


def check_carriers(carriers: CarriersConfig) -> None:
    """Raise `SettingsError` (`bad-settings`) naming the first key that does not fit the others."""
    for name in ("sms_most_a_day", "mail_most_a_day_per_domain"):
        if getattr(carriers, name) < 1:
            raise _bad(f"carriers.{name}", "must be 1 or more")
    if carriers.mail != OFF:
        _check_mail(carriers)
    if carriers.sms != OFF:
        _check_sms(carriers)
    if "folder" in {carriers.mail, carriers.sms} and not Path(carriers.folder).is_absolute():
        raise _bad("carriers.folder", "must be the absolute path of a folder that `folder` writes to")


def _check_mail(carriers: CarriersConfig) -> None:
    if find_email_address(carriers.mail_from) != carriers.mail_from:
        raise _bad("carriers.mail_from", "must be one plain address, its domain in lower case")
    if not carriers.mail_name.isprintable():
        raise _bad("carriers.mail_name", "must be one line")
    if carriers.mail != "smtp":
        return
    if not carriers.smtp_host or not 1 <= carriers.smtp_port <= 65_535:
        raise _bad("carriers.smtp_host and smtp_port", "must name the mail server")
    if carriers.smtp_security == "none" and not is_loopback(carriers.smtp_host):
        raise _bad("carriers.smtp_security", "must be starttls or tls: none is only for a server on this machine")


def _check_sms(carriers: CarriersConfig) -> None:
    if not _SENDER.fullmatch(carriers.sms_sender) or len(carriers.sms_sender) > MOST_SENDER_CHARACTERS:
        raise _bad("carriers.sms_sender", f"must be 1 to {MOST_SENDER_CHARACTERS} letters, digits and spaces")
    if not carriers.sms_country_codes or not all(map(_COUNTRY_CODE.fullmatch, carriers.sms_country_codes)):
        raise _bad("carriers.sms_country_codes", 'must list country codes such as "44"')
    if any(code.startswith(_SHARED_CODE) and len(code) < _SHORTEST_SHARED for code in carriers.sms_country_codes):
        raise _bad(
            "carriers.sms_country_codes",
            'must not allow all of "1", which many countries share: list 1 with an area code, such as "1202"',
        )
    if carriers.sms == "webhook" and not is_safe_url(carriers.sms_url):
        raise _bad("carriers.sms_url", "must be an https address")


def _bad(key: str, what: str) -> SettingsError:
    return SettingsError(f"{key} {what}.", reason="bad-settings")


class DeskConfigError(RefusalError[Literal["no-desk", "not-loopback"]]):
    """The named folder contains no desk."""


class ContactConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[contact]`: how officers and services outside reach this desk; a form of a package starts from it."""

    telephone: Annotated[str, Meta(max_length=80)] = ""
    email: Annotated[str, Meta(max_length=200)] = ""


class WatchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[watch]`: the longest time until reports are collected again."""

    collect_within_minutes: Annotated[int, Meta(ge=1, le=1440)] = 3


class DeskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`desk.toml`. The environment belongs to the desk: no command has an option for it, and it has no default."""

    environment: Environment
    gateway_origin: str
    feed_url: str
    agency_name: str = "The agency"
    # Empty for http://localhost and the port of `serve`, or the https address of the agency's own proxy. Passkeys are
    # bound to its name for good: at another one, every person registers anew.
    pages_origin: str = ""
    # A one-time link signs in without a passkey, and one person may have roles that exclude each other: `doctor` calls
    # it a fault.
    demonstration: bool = False
    # Empty for `desk.sqlite` in the state folder, or the address of a PostgreSQL database of the desk's own.
    database_uri: str = ""
    # Of the evidence disk: one partner's flood leaves room for the files of the others.
    evidence_share_of_one_partner: Annotated[float, Meta(gt=0, le=1)] = 0.25
    # From which a service without the button has many reports (R43), by the noisy count of a digest: noise alone often
    # reaches lower numbers.
    significant_incidents: Annotated[int, Meta(ge=30, le=1_000_000)] = SIGNIFICANT_INCIDENTS
    carriers: CarriersConfig = CarriersConfig()
    watch: WatchConfig = WatchConfig()
    contact: ContactConfig = ContactConfig()


class DeskPaths:
    """The files of one desk folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.config = state / "desk.toml"
        self.agency = state / AGENCY_FILE  # its hours and promises
        self.escalation = state / "escalation.toml"  # whom an alert calls, in which order
        self.destinations = state / "destinations.toml"  # the agency's own contacts and protocols, if it wrote any
        self.pin = state / "agency.pin"  # for the gateway's operator
        self.next_pin = state / "next.pin"  # with a pending feed key, also for the gateway's operator
        # The root's signed delegation to the key-set key: public, needed at each publication.
        self.delegation = state / "delegation.json"
        # The step from the previous root to the present one, signed by both; absent before the first change.
        self.root_change = state / "root-change.json"
        self.root = state / "root"  # the root keys: only `init` and a key change need them, so it may be offline
        self.keys = state / "keys"  # in daily use
        self.vault = state / "vault"  # its record of openings, and its socket while it runs
        self.database = state / "desk.sqlite"  # unless `database_uri` names a server
        self.evidence = state / "evidence"  # of partners, still sealed

    def sealing_key(self, quarter: str) -> Path:
        """Return the private sealing key of one quarter, e.g. `2026-Q4`."""
        return self.keys / f"sealing-{quarter}.key"


def load_config(paths: DeskPaths) -> DeskConfig:
    """Read `desk.toml`, or raise `DeskConfigError` (`no-desk`) or `SettingsError` naming the setting to fix."""
    if not paths.config.is_file():
        raise DeskConfigError(
            f"There is no desk in {paths.state}. Run `report-abuse-desk init --state {paths.state} ...` first.",
            reason="no-desk",
        )
    config = read_settings(paths.config, kind=DeskConfig)
    check_config(config)
    return config


def check_config(config: DeskConfig) -> None:
    """Raise `SettingsError` if an address is not allowed, or settings do not fit one another."""
    check_origin(config.gateway_origin, key="gateway_origin")
    check_origin(config.feed_url, key="feed_url")
    if config.pages_origin:
        check_origin(config.pages_origin, key="pages_origin")
        _check_has_name(config.pages_origin)
    check_database_uri(config.database_uri)
    check_carriers(config.carriers)


def _check_has_name(origin: str) -> None:
    host = urlsplit(origin).hostname or ""
    # WebAuthn binds passkeys to a name, never to a number (WebAuthn §5.1.3, "valid domain").
    if host.strip("[]").replace(".", "").isdigit() or ":" in host:
        raise _bad("pages_origin", "must have a name, e.g. https://desk.agency.example: passkeys need one")


def make_origin(config: DeskConfig, *, port: int = DEFAULT_PORT) -> str:
    """Return the address of the pages for browsers: a name, because passkeys are bound to one."""
    return config.pages_origin or f"http://localhost:{port}"
