"""Turns a network address into keyed hashes of its network, which limits and rooms count by.

Never logs or stores an address. The hash key changes every day and is derived from the receipt key on the disk, so the
limiter's store alone does not reveal addresses; the store and that key together do.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

Tier = Literal["/24", "/64", "/56", "/48"]

_V4_TIERS: tuple[Tier, ...] = ("/24",)
_V6_TIERS: tuple[Tier, ...] = ("/64", "/56", "/48")
TIERS: tuple[Tier, ...] = (*_V4_TIERS, *_V6_TIERS)
_LABEL = b"report-abuse limit key v1|"
_HASH_BYTES = 16
SLOTS = 4096


@dataclass(frozen=True, slots=True)
class _DailyKey:
    day: date
    key: bytes


class BucketHasher:
    """Hashes networks and partner names under a key derived from a secret and the UTC date.

    All workers derive the same key (HMAC, RFC 2104).
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], datetime]) -> None:
        self._secret = secret
        self._clock = clock
        self._daily = self._make_key(clock().date())

    def hash_networks(self, address: str | None) -> list[tuple[Tier, str]]:
        """Return the hash of each tier of an address's network, widest last."""
        return [(tier, self.hash_text(network)) for tier, network in list_networks(address)]

    def pick_slot(self, address: str | None) -> int:
        """Return the slot (one of SLOTS) of an address's whole network (/24 or /48); many networks share it."""
        return int(self.hash_whole_network(address), 16) % SLOTS

    def hash_whole_network(self, address: str | None) -> str:
        """Return the hash of the widest network of an address: /24 or /48."""
        return self.hash_text(name_whole_network(address))

    def hash_text(self, text: str) -> str:
        """Return today's keyed hash of a text."""
        return hmac.digest(self._get_key(), text.encode("utf-8"), "sha256")[:_HASH_BYTES].hex()

    def _get_key(self) -> bytes:
        today = self._clock().date()
        if self._daily.day != today:
            self._daily = self._make_key(today)
        return self._daily.key

    def _make_key(self, day: date) -> _DailyKey:
        message = _LABEL + day.isoformat().encode("ascii")
        return _DailyKey(day=day, key=hmac.new(self._secret, message, hashlib.sha256).digest())


class CallerNetworks:
    """Hashes callers' networks for one process (BLAKE2, RFC 7693), with a key that is never stored."""

    def __init__(self, *, trusted_proxies: int) -> None:
        self._trusted_proxies = trusted_proxies
        self._key = secrets.token_bytes(_HASH_BYTES)

    def name_caller(self, environ: Mapping[str, Any]) -> bytes:
        """Return the hash of the caller's whole network (/24 or /48)."""
        address = find_caller(environ, trusted_proxies=self._trusted_proxies)
        return hashlib.blake2b(name_whole_network(address).encode(), key=self._key, digest_size=_HASH_BYTES).digest()


def find_caller(environ: Mapping[str, Any], *, trusted_proxies: int) -> str | None:
    """Return the caller's address behind `trusted_proxies` proxies, as Werkzeug's ProxyFix reads it."""
    if trusted_proxies:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= trusted_proxies and forwarded[-trusted_proxies].strip():
            return str(forwarded[-trusted_proxies].strip())
    address: str | None = environ.get("REMOTE_ADDR")
    return address


def name_whole_network(address: str | None) -> str:
    """Return the widest network of an address as text: /24 or /48."""
    return list_networks(address)[-1][1]


def list_networks(address: str | None) -> list[tuple[Tier, str]]:
    """List the tiers of an address with their networks as text, widest last. No address: one shared bucket."""
    text = (address or "").split("%", 1)[0]
    if text.count(".") == 3 and text.replace(".", "").isdecimal() and text.isascii():
        return [("/24", f"{text.rpartition('.')[0]}.0/24")]  # no parsing: runs for every request
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return [("/24", "unknown")]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv4Address):
        return [("/24", str(ipaddress.IPv4Network((int(parsed), 24), strict=False)))]
    return [(tier, str(ipaddress.IPv6Network((int(parsed), int(tier[1:])), strict=False))) for tier in _V6_TIERS]
