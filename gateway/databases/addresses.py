"""Checks the address of a PostgreSQL server, before anything connects to it."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from gateway.web.settings import SettingsError

# A host of database_uri on this machine, with or without a port.
_LOOPBACK: Final = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]|::1)(:\d+)?")
# The options of database_uri (https://www.postgresql.org/docs/15/libpq-connect.html): a closed list, because
# others would undo a check here, e.g. `ssl=true` undoes `sslmode=verify-full`, and `service` names another server.
DATABASE_OPTIONS: Final = frozenset(
    {
        *("host", "hostaddr", "port", "passfile"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "channel_binding"),
    }
)
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PASSWORDS: Final = frozenset({"password", "sslpassword"})


def check_database_uri(uri: str) -> None:
    """Raise `SettingsError` for an address with a password, or one over a network without proof of the server.

    The driver takes a password from its own file (https://www.postgresql.org/docs/15/libpq-pgpass.html). It reads an
    address by rules of its own, so forms that it and Python could read differently are refused (e.g. two `@`).
    """
    if not uri:
        return
    if not uri.startswith("postgresql://"):
        raise SettingsError("database_uri must begin with postgresql://, or be empty.", reason="bad-database")
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = None
    if parts is None or "#" in uri or " " in uri or not uri.isprintable() or parts.netloc.count("@") > 1:
        raise SettingsError(
            "database_uri must look like postgresql://gateway@db.example/reports?sslmode=verify-full.",
            reason="bad-database",
        )
    # Not parts.hostname: libpq takes several hosts, e.g. `postgresql://gateway@db-1,db-2:5433/reports`.
    user, _, hosts = parts.netloc.rpartition("@")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if ":" in user or _PASSWORDS & options.keys():
        raise SettingsError("database_uri must hold no password: put it into a .pgpass file.", reason="bad-database")
    if len(pairs) != len(options) or not options.keys() <= DATABASE_OPTIONS:
        raise SettingsError(
            f"database_uri takes these options, each at most once: {', '.join(sorted(DATABASE_OPTIONS))}.",
            reason="bad-database",
        )
    if options.get("sslmode", SSL_MODES[0]) not in SSL_MODES:
        raise SettingsError(f"sslmode in database_uri must be one of {', '.join(SSL_MODES)}.", reason="bad-database")
    named = [*hosts.split(","), *options.get("host", "").split(","), *options.get("hostaddr", "").split(",")]
    is_local = all(not host or host.startswith("/") or _LOOPBACK.fullmatch(host) for host in named)
    if not is_local and options.get("sslmode") != "verify-full":
        raise SettingsError(
            "database_uri leads to another machine: it needs sslmode=verify-full.", reason="bad-database"
        )
