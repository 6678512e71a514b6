"""Puts passphrases over the private key files, or changes them; safe to interrupt at any write.

After each step the files open under one set of passphrases: the former ones until `protection.json` is replaced, then
the new ones.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from gateway.desk import audit
from gateway.desk.vault import VaultError
from gateway.desk.vault.key_folder import KeyFolder
from gateway.desk.vault.protection import (
    MOST_CUSTODIANS,
    Secrets,
    add_new_key,
    check_passphrase,
    drop_older_keys,
    write_protection,
)
from gateway.desk.wiring import Desk


def protect_keys(
    desk: Desk,
    *,
    secrets: Secrets | None,
    passphrases: Mapping[str, str],
    actor: str,
    root_folder: Path | None = None,
) -> int:
    """Seal every key file under a new key, that one under these passphrases by custodian; return the number of files.

    The files are those in daily use, or the roots in `root_folder`. `secrets` are the keys in force, None before the
    first time. Raises `VaultError` (`weak-passphrase`, `wrong-custodians`), `LocalStateError` for a file that cannot be
    read or written.
    """
    check_custodians(passphrases)
    for passphrase in passphrases.values():
        check_passphrase(passphrase)
    both = add_new_key(secrets)
    # The files still open: the new passphrases lead to their former key as well.
    path = desk.paths.keys if root_folder is None else root_folder
    write_protection(path, both, passphrases=passphrases)
    KeyFolder(path, both).protect()
    # A former passphrase, with an old copy of protection.json, opens no file that is made from now on.
    write_protection(path, drop_older_keys(both), passphrases=passphrases)
    with desk.store.write() as connection:
        audit.append_entry(
            connection,
            "protect-keys",
            " ".join(passphrases),
            at=desk.clock(),
            actor=actor,
            custodians=len(passphrases),
            keys="daily" if root_folder is None else "root",
        )
    return len(list(path.glob("*.key")))


def check_custodians(names: Collection[str]) -> None:
    """Raise `VaultError` (`wrong-custodians`) unless these are one name or two different ones, before anyone types."""
    is_once = len(set(names)) == len(names)
    if not is_once or not 1 <= len(names) <= MOST_CUSTODIANS or any(not 1 <= len(name) <= 80 for name in names):
        raise VaultError("Name one custodian, or two different ones.", reason="wrong-custodians")
