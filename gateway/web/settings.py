"""Reads and writes a TOML settings file, strictly: an unknown key or a wrong type is an error that names the key.

Never holds a secret: keys have their own files.
"""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.canonical import convert

T = TypeVar("T")

MAX_SETTINGS_BYTES = 65_536
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\]")

_DEFAULT_PORTS = {"http": 80, "https": 443}


class SettingsError(ReportAbuseError):
    """A settings file cannot be used; the message names the file and the key, never a value."""


def read_settings(path: Path, *, kind: type[T]) -> T:
    """Read `path` into the Struct `kind`; raises `SettingsError`.

    `kind` must forbid unknown fields. Reasons: `no-settings`, `bad-settings`.
    """
    try:
        raw = read_bounded(path, max_bytes=MAX_SETTINGS_BYTES)
    except LocalStateError:
        raise SettingsError(
            f"Cannot read the settings file {path}: it is missing or unreadable.", reason="no-settings"
        ) from None
    if len(raw) > MAX_SETTINGS_BYTES:
        raise SettingsError(
            f"{path} is too large: a settings file has at most {MAX_SETTINGS_BYTES} bytes.", reason="bad-settings"
        )
    try:
        values = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text.", reason="bad-settings") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", reason="bad-settings") from None
    try:
        return convert(values, kind=kind)
    except msgspec.ValidationError as error:
        # msgspec names the key and the expected type, never the value.
        raise SettingsError(f"{path}: {error}", reason="bad-settings") from None


def format_settings(settings: msgspec.Struct) -> str:
    """Return settings as TOML that `read_settings` reads back to the same value."""
    lines, tables = [], list[tuple[str, msgspec.Struct]]()
    for name, value in msgspec.structs.asdict(settings).items():
        if isinstance(value, msgspec.Struct):
            tables.append((f"[{name}]", value))
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            tables += [(f"[[{name}]]", one) for one in value]
        else:
            # JSON text, numbers and flat lists are valid TOML too (TOML 1.0 §String: same escapes, but not \/).
            lines.append(f"{name} = {msgspec.json.encode(value).decode('utf-8')}".replace("\x7f", "\\u007f"))
    return "\n".join([*lines, *(f"\n{head}\n{format_settings(table)[:-1]}" for head, table in tables), ""])


def check_origin(origin: str, *, key: str) -> None:
    """Raise `SettingsError` unless `origin` is a bare origin: https anywhere, http only on loopback."""
    parts = urlsplit(origin)
    host = parts.netloc.rsplit(":", 1)[0] if not parts.netloc.endswith("]") else parts.netloc
    if (
        parts.scheme not in {"http", "https"}
        or "@" in parts.netloc  # a user name or password before the host could pass for the host
        or not _HOST.fullmatch(host)
        or origin != f"{parts.scheme}://{parts.netloc}"
    ):
        raise SettingsError(
            f"{key} must be an origin such as https://report.example: lower case, no user name, no path, "
            "no final slash.",
            reason="bad-origin",
        )
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise SettingsError(f"{key} has an invalid port.", reason="bad-origin")
    if port == _DEFAULT_PORTS[parts.scheme]:
        # Signatures cover the address as written, and browsers and clients leave out the default port.
        raise SettingsError(
            f"{key} must leave out the default port of its scheme (https: 443, http: 80).", reason="bad-origin"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise SettingsError(
            f"{key} must use https; http is allowed only for a loopback address.", reason="origin-not-https"
        )


def is_loopback(host: str) -> bool:
    """Return whether a host can be reached only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
