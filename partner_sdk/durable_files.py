"""Writes files so that they are whole, on disk, and readable by their owner alone."""

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pwd import getpwuid

from partner_sdk.errors import LocalStateError


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter; an existing one must already be so."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise LocalStateError(f"Cannot create the folder {folder}.", reason="no-state") from None
    check_private_folder(folder)


def check_private_folder(folder: Path, *, marker: str | None = None) -> None:
    """Raise `LocalStateError` (`no-state`, `open-to-others`) unless only the owner can enter `folder`.

    Without the file `marker` it is not ours: its mode is left alone.
    """
    try:
        mode = folder.stat().st_mode
    except OSError:
        raise LocalStateError(
            f"There is no folder {folder}: enrol first, or give yours with --state.", reason="no-state"
        ) from None
    if not stat.S_ISDIR(mode):
        raise LocalStateError(f"{folder} is not a folder.", reason="no-state")
    if marker is not None and find_bytes(folder / marker) is None:
        raise LocalStateError(
            f"{folder} is not a partner folder: enrol first, or give yours with --state "
            "or in REPORT_ABUSE_PARTNER_STATE. The person who enrolled your organisation knows it.",
            reason="no-state",
        )
    if stat.S_IMODE(mode) & 0o077:
        raise LocalStateError(f"Other users can open {folder}: run chmod 700 on it.", reason="open-to-others")


def is_open_to_others(found: os.stat_result) -> bool:
    """Return whether other users can reach the file with this status, e.g. a private key with mode 0644.

    A secret that root hands to one service is not open (Kubernetes mounts keys so): root owns it, and the group of this
    process may read it and do nothing else.
    """
    mode = stat.S_IMODE(found.st_mode)
    is_roots = found.st_uid == 0 and os.geteuid() != 0
    return bool(mode & 0o077) and not (is_roots and found.st_gid == os.getegid() and mode & 0o037 == 0)


def check_owner(folder: Path) -> None:
    """Raise `LocalStateError` (`other-user`) for root in the folder of another user.

    The services of that user could not open the files that root would leave there.
    """
    try:
        owner = folder.stat().st_uid
    except OSError:
        return  # each command says itself that there is no folder
    if owner != 0 and os.geteuid() == 0:
        name = _get_user_name(owner)
        raise LocalStateError(
            f"{folder} belongs to {name}: run this as that user, e.g. with `runuser -u {name} --` before it. Files of "
            "root in there would stop the services.",
            reason="other-user",
        )


def _get_user_name(uid: int) -> str:
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def write_durably(path: Path, raw: bytes) -> None:
    """Replace `path` by `raw` (0600): after a crash the file holds the old bytes or the new, never a part.

    On return the bytes and the name are on disk. Raises `LocalStateError` (`not-saved`).
    """
    # Of this thread alone: another one may save the same file in the same moment.
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(raw)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise LocalStateError(f"Could not save {path}: {error.strerror}.", reason="not-saved") from None


def write_new_durably(path: Path, raw: bytes) -> None:
    """Write a file that is not there yet (0600); never over another one, nor through a link.

    On return the bytes and the name are on disk; a failure leaves no file. Raises `LocalStateError` (`file-exists`,
    `not-saved`). No file beside it and no hard link: it may lie on a memory stick.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise LocalStateError(f"{path} already exists: give a new file.", reason="file-exists") from None
    except OSError as error:
        raise LocalStateError(f"Could not save {path}: {error.strerror}.", reason="not-saved") from None
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(raw)
            handle.flush()
            os.fsync(handle.fileno())
        sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise LocalStateError(f"Could not save {path}: {error.strerror}.", reason="not-saved") from None


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def find_bytes(path: Path) -> bytes | None:
    """Return the bytes of a file, or None if there is none; raises `LocalStateError` (`unreadable`)."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalStateError(f"Cannot read {path}: {error.strerror}.", reason="unreadable") from None


def read_bounded(path: Path, *, max_bytes: int) -> bytes:
    """Return at most `max_bytes` + 1 bytes of a file: the extra byte lets the caller refuse a larger one.

    Raises `LocalStateError` (`unreadable`).
    """
    try:
        with path.open("rb") as handle:
            return handle.read(max_bytes + 1)
    except OSError as error:
        raise LocalStateError(f"Cannot read {path}: {error.strerror}.", reason="unreadable") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock against other processes of this machine (released when a process dies)."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LocalStateError(f"Cannot lock {folder}: {error.strerror}.", reason="not-saved") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock the name of a file against other processes and threads, even if the file is replaced meanwhile.

    A file beside it, `.NAME.lock`, is locked while it is held, and goes again. One that a killed process left is locked
    unlocked. Never lock the same name twice in one thread: it would wait for itself. On a full disk nothing is locked.
    """
    beside = path.with_name(f".{path.name}.lock")
    try:
        descriptor = _lock_name(beside)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise LocalStateError(f"Cannot lock {path}: {error.strerror}.", reason="not-saved") from None
        yield  # a report that goes out twice is stored once; one that does not go out protects no child
        return
    try:
        yield
    finally:
        beside.unlink(missing_ok=True)  # while it is locked: who waited for it looks again
        os.close(descriptor)


def _lock_name(beside: Path) -> int:
    while True:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if os.fstat(descriptor).st_ino == beside.stat().st_ino:
                    return descriptor
            except FileNotFoundError:
                pass  # who held it before took it away
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
