"""The desk's settings (`desk.toml`) and where its files are. Never holds a secret: keys are files of their own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.desk.carriers.settings import PagerConfig, PostRoomConfig, check_post_settings
from gateway.guidance.agency import AGENCY_FILE
from gateway.web.settings import check_origin, read_settings
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.keys import Environment


class DeskConfigError(ReportAbuseError):
    """There is no desk in the folder that was named."""


class WatchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[watch]`: how long it may take until reports are collected again, and until a person acknowledges an alert."""

    collect_within_minutes: Annotated[int, Meta(ge=1, le=1440)] = 3
    acknowledge_within_minutes: Annotated[int, Meta(ge=1, le=1440)] = 5


class DeskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`desk.toml`. The environment belongs to the desk: it is no option of any other command and has no default."""

    environment: Environment
    gateway_origin: str
    feed_url: str
    agency_name: str = "The agency"
    # Of the disk that evidence lies on: one partner's flood leaves room for the files of everybody else.
    evidence_share_of_one_partner: Annotated[float, Meta(gt=0, le=1)] = 0.25
    post_room: PostRoomConfig = PostRoomConfig()
    pager: PagerConfig = PagerConfig()
    watch: WatchConfig = WatchConfig()


@dataclass(frozen=True, slots=True)
class DeskPaths:
    """The files of one desk folder."""

    state: Path

    @property
    def config(self) -> Path:
        """The settings."""
        return self.state / "desk.toml"

    @property
    def agency(self) -> Path:
        """The agency's hours and promises."""
        return self.state / AGENCY_FILE

    @property
    def pin(self) -> Path:
        """What the gateway pins: it goes to the gateway's operator."""
        return self.state / "agency.pin"

    @property
    def next_pin(self) -> Path:
        """The pin with a feed key that waits: it goes to the gateway's operator too."""
        return self.state / "next.pin"

    @property
    def delegation(self) -> Path:
        """The root's signed word for the key-set key: public, needed at each publication."""
        return self.state / "delegation.json"

    @property
    def root_change(self) -> Path:
        """The step from the root before to the present one, signed by both; not there before the first."""
        return self.state / "root-change.json"

    @property
    def root(self) -> Path:
        """The root keys: only `init` and a change of keys need them, so this folder may be kept offline."""
        return self.state / "root"

    @property
    def keys(self) -> Path:
        """The keys of every day."""
        return self.state / "keys"

    @property
    def database(self) -> Path:
        """What was collected, and what the desk did."""
        return self.state / "desk.sqlite"

    @property
    def evidence(self) -> Path:
        """What partners handed over, still sealed."""
        return self.state / "evidence"

    def sealing_key(self, quarter: str) -> Path:
        """The private sealing key of one quarter, such as `2026-Q4`."""
        return self.keys / f"sealing-{quarter}.key"


def load_config(paths: DeskPaths) -> DeskConfig:
    """Read `desk.toml`, or raise `DeskConfigError` (`no-desk`) or `SettingsError` naming what to mend."""
    if not paths.config.is_file():
        raise DeskConfigError(
            f"There is no desk in {paths.state}. Run `report-abuse-desk init --state {paths.state} ...` first.",
            reason="no-desk",
        )
    config = read_settings(paths.config, kind=DeskConfig)
    check_config(config)
    return config


def check_config(config: DeskConfig) -> None:
    """Raise `SettingsError` when an address is not one the desk may use, or settings do not fit one another."""
    check_origin(config.gateway_origin, key="gateway_origin")
    check_origin(config.feed_url, key="feed_url")
    check_post_settings(config.post_room, pager=config.pager)


def encode_config(config: DeskConfig) -> str:
    """Return the text of `desk.toml`."""
    values = {name: getattr(config, name) for name in config.__struct_fields__}
    tables = {name: value for name, value in values.items() if isinstance(value, msgspec.Struct)}
    lines = [_line(name, value) for name, value in values.items() if name not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(_line(key, getattr(table, key)) for key in table.__struct_fields__)]
    return "\n".join(lines) + "\n"


def _line(name: str, value: object) -> str:
    # A JSON string is a TOML basic string, so that no value can break out of its line; so are numbers and lists.
    return f"{name} = {json.dumps(value)}"
