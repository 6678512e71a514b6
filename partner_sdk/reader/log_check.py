"""`report-abuse-log-check`: checks the public log of a gateway from outside, as anyone can (WIRE.md §6.8), and whether
a site serves the scripts, styles and documents whose hashes the log holds.

Fetches the checkpoint and every entry since the last run, and computes all hashes from them. Of the gateway's own code
it shares nothing, and of this package only the formats of the log.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from partner_sdk.errors import LogError
from partner_sdk.wire.public_log import (
    CLOCK_SKEW_SECONDS,
    CONTRADICTION_FILE,
    ENTRY_BYTES,
    HASH_BYTES,
    MAX_CHECKPOINT_BYTES,
    MAX_TILE_BYTES,
    TILE_WIDTH,
    TIME_BYTES,
    Checkpoint,
    Fetch,
    GrowingTree,
    digest_release,
    find_contradiction_file,
    format_tile_path,
    format_verifier,
    hash_leaf,
    is_release,
    parse_bundle,
    peek_checkpoint,
    time_of,
    verify_checkpoint,
)

EXIT_WELL: Final = 0
EXIT_FAILED: Final = 1
EXIT_STANDS_STILL: Final = 3
EXIT_ALARM: Final = 4
# For one file, however slowly it comes, and for all of a run.
FETCH_SECONDS: Final = 30.0
RUN_SECONDS: Final = 24 * 3600.0
# A batch comes each 30 seconds.
LONGEST_STILL_SECONDS: Final = 300
MAX_STATE_BYTES: Final = 1024 * 1024
MANIFEST: Final = ".well-known/webcat/manifest.json"
MAX_FILE_BYTES: Final = 4 * 1024 * 1024  # of a site
# Of the manifest; such names go to a terminal when a file differs.
_FILE_NAME: Final = re.compile(r"/[A-Za-z0-9._/-]*")

_EPILOG: Final = """exit codes:
  0  the log is whole, and begins with everything that was seen before
  1  it could not be checked; the reason is on standard error
  2  wrong usage
  3  it stands still: no new batch for five minutes
  4  ALARM: entries are missing or changed, a signature, hash or time is wrong, or the site serves other files

example:
  report-abuse-log-check --url https://report.example/log --key report.example/log+1f0c6a5e+AeJp... --state log.json
  ... --site https://report.example

The state file has the newest checkpoint that was checked. On an alarm it stays as it is, and the signed checkpoint
that contradicts it is beside it, as log.json.contradiction-SIZE-ROOT: keep both, they are the proof.

With --site every script, style and document of the form is compared with the newest release in the log. It shows what
this computer gets: run it from several networks. A release within this minute is an alarm that ends with the next run.

A file may take 30 seconds, a run a day.
"""


class NotCheckedError(Exception):
    """The log could not be checked: no answer, or a state file that cannot be read."""


@dataclass(slots=True)
class LogState:
    """The part of the log that was checked before; `note` is its checkpoint as it was signed.

    `release` is the newest entry of a release of the form, and `new_releases` counts those of this run.
    """

    tree: GrowingTree = field(default_factory=GrowingTree)
    newest_at: int = 0
    note: str = ""
    release: bytes = b""
    new_releases: int = 0


def parse_state(raw: bytes) -> LogState:
    """Read a state file; raises `NotCheckedError`."""
    try:
        found = json.loads(raw)
        tree = GrowingTree(found["size"], [bytes.fromhex(hashes) for hashes in found["edge"]])
        state = LogState(tree, int(found["newest_at"]), found["note"], bytes.fromhex(found["release"]))
        is_release_whole = not state.release or (len(state.release) == ENTRY_BYTES and is_release(state.release))
        is_whole = is_release_whole and peek_checkpoint(state.note.encode()).root == tree.compute_root()
    except (ValueError, KeyError, TypeError, AttributeError, LogError):
        is_whole = False
    if not is_whole:
        raise NotCheckedError("The state file is damaged. Without it the log is checked from its beginning.")
    return state


def format_state(state: LogState) -> bytes:
    """Return the bytes of a state file."""
    edge = [hashes.hex() for hashes in state.tree.edge]
    found = {"edge": edge, "newest_at": state.newest_at, "note": state.note, "size": state.tree.size}
    found["release"] = state.release.hex()
    return json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n"


def check_log(state: LogState, checkpoint: Checkpoint, *, fetch: Fetch, now: int) -> None:
    """Bring the state up to a checkpoint whose signature holds; raises `LogError` and the errors of `fetch`."""
    tree = state.tree
    if checkpoint.size < tree.size:
        raise LogError(f"The log had {tree.size} entries, and has {checkpoint.size} now.", reason="rolled-back")
    for tile in range(tree.size // TILE_WIDTH, -(-checkpoint.size // TILE_WIDTH)):
        width = min(TILE_WIDTH, checkpoint.size - tile * TILE_WIDTH)
        entries = parse_bundle(fetch(format_tile_path(None, tile, width=width), MAX_TILE_BYTES), width=width)
        known = tree.size - tile * TILE_WIDTH
        if known and b"".join(map(hash_leaf, entries[:known])) != tree.edge[0]:
            raise LogError(f"The log has changed among its first {tree.size} entries.", reason="forked")
        for entry in entries[known:]:
            at = time_of(entry)
            if not state.newest_at <= at <= now + CLOCK_SKEW_SECONDS:
                raise LogError(f"Entry {tree.size} has a time that cannot be: {at}.", reason="wrong-time")
            tree.add_entry(entry)
            state.newest_at = at
            if is_release(entry):
                state.release = entry
                state.new_releases += 1
        _check_tiles(tree, fetch=fetch, is_end=False)
    if tree.compute_root() != checkpoint.root:
        raise LogError("The entries do not give the hash that the log has signed.", reason="forked")
    _check_tiles(tree, fetch=fetch, is_end=True)


def _check_tiles(tree: GrowingTree, *, fetch: Fetch, is_end: bool) -> None:
    """Compare the full tiles that the log serves, and at the end every tile, with the hashes of its entries.

    Others prove with them that a receipt is in the log.
    """
    for (level, tile), hashes in sorted(tree.changed.items()):
        width = len(hashes) // HASH_BYTES
        if width == TILE_WIDTH or is_end:
            del tree.changed[level, tile]
            if fetch(format_tile_path(level, tile, width=width), len(hashes)) != hashes:
                raise LogError(f"Tile {tile} of level {level} has other hashes than the entries.", reason="wrong-hash")


def compare_site(state: LogState, *, fetch: Fetch) -> int:
    """Compare all that a site serves to everybody with the newest release in the log; return how many files.

    Raises the errors of `fetch`, and `LogError`: `no-release`, `other-release` for a manifest that is not the newest in
    the log, `malformed`, and `other-files`, which names each.
    """
    if not state.release:
        raise LogError("The log holds no release of the form.", reason="no-release")
    manifest = fetch(MANIFEST, MAX_FILE_BYTES)
    if digest_release(manifest) != state.release[TIME_BYTES:]:
        raise LogError("The site's manifest is not the newest release in the log.", reason="other-release")
    try:
        files = json.loads(manifest)["manifest"]["files"]
        is_agreed = all(_FILE_NAME.fullmatch(name) and isinstance(digest, str) for name, digest in files.items())
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        is_agreed = False
    if not is_agreed:
        raise LogError("The site's manifest cannot be read.", reason="malformed")
    names = sorted(files)
    other = [name for name in names if _hash_file(fetch(name.lstrip("/"), MAX_FILE_BYTES)) != files[name]]
    if other:
        detail = f"The site serves other bytes than its release in the log: {', '.join(other)}."
        raise LogError(detail, reason="other-files")
    return len(names)


def _hash_file(raw: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def _explain(error: Exception) -> str:
    """Return the cause, and the way out of the two mistakes that are easily made."""
    cause = str(getattr(error, "reason", error))
    if isinstance(error, urllib.error.HTTPError):
        cause = f"{error.code} {cause}"
    advice = ""
    if cause.startswith("404 "):
        advice = " The address of a log ends in /log."
    elif "CERTIFICATE_VERIFY_FAILED" in cause:
        advice = " For a private certificate authority set SSL_CERT_FILE to its file."
    return f"{cause}.{advice}"


def make_fetch(url: str) -> Fetch:
    """Return the function that fetches a file of the log, all of them within a run; it raises `NotCheckedError`."""
    ends_at = time.monotonic() + RUN_SECONDS

    def fetch(path: str, max_bytes: int) -> bytes:
        address = f"{url.rstrip('/')}/{path}"
        found: list[bytes | NotCheckedError] = []
        # The timeout of a socket begins anew with each byte, so a server could keep us for ever: a thread is left.
        reader = threading.Thread(target=lambda: found.append(_read_address(address, max_bytes)), daemon=True)
        reader.start()
        reader.join(max(0.0, min(FETCH_SECONDS, ends_at - time.monotonic())))
        if not found:
            raise NotCheckedError(f"Cannot fetch {address}: it did not come in time.")
        if isinstance(found[0], NotCheckedError):
            raise found[0]
        return found[0]

    return fetch


def _read_address(address: str, max_bytes: int) -> bytes | NotCheckedError:
    try:
        with urllib.request.urlopen(address, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - checked by the parser
            raw: bytes = answer.read(max_bytes + 1)
            announced = answer.headers.get("Content-Length")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return NotCheckedError(f"Cannot fetch {address}: {_explain(error)}")
    if len(raw) > max_bytes:
        return NotCheckedError(f"{address} is too large.")
    # `read` with a limit does not notice a connection that was cut.
    if announced is not None and announced != str(len(raw)):
        return NotCheckedError(f"Cannot fetch {address}: the connection was cut.")
    return raw


def run(arguments: argparse.Namespace, *, clock: Callable[[], float]) -> tuple[int, dict[str, Any]]:
    """Check once; return the exit code and the result for machines."""
    state_file: Path = arguments.state
    origin, public_keys = arguments.key[0][0], [key for _, key in arguments.key]
    found: dict[str, Any] = {"origin": origin, "result": "well", "size": 0}
    notes: list[bytes] = []
    try:
        state = parse_state(_read(state_file)) if state_file.exists() else LogState()
        fetch = make_fetch(arguments.url)
        notes.append(fetch("checkpoint", MAX_CHECKPOINT_BYTES))
        checkpoint = verify_checkpoint(notes[0], origin=origin, public_keys=public_keys)
        found |= {"checked_before": state.tree.size, "root": checkpoint.root.hex(), "size": checkpoint.size}
        check_log(state, checkpoint, fetch=fetch, now=int(clock()))
        state.note = notes[0].decode()
        _write(state_file, format_state(state))
    except LogError as error:
        beside = state_file.with_name(state_file.name + CONTRADICTION_FILE.removeprefix("log"))
        proof = find_contradiction_file(beside, notes[0], origin=origin, public_keys=public_keys)
        if proof is not None:
            with suppress(NotCheckedError):  # the alarm counts more
                _write(proof, notes[0])
        return EXIT_ALARM, found | {"detail": str(error), "reason": error.reason, "result": "alarm"}
    except NotCheckedError as error:
        return EXIT_FAILED, found | {"detail": str(error), "result": "not-checked"}
    found |= {"newest_at": state.newest_at, "new_releases": state.new_releases}
    if arguments.site is not None:
        try:
            found["files"] = compare_site(state, fetch=make_fetch(arguments.site))
        except LogError as error:
            return EXIT_ALARM, found | {"detail": str(error), "reason": error.reason, "result": "alarm"}
        except NotCheckedError as error:
            return EXIT_FAILED, found | {"detail": str(error), "result": "not-checked"}
    still = int(clock()) - state.newest_at
    if still > LONGEST_STILL_SECONDS:
        return EXIT_STANDS_STILL, found | {"detail": f"No new batch for {still} seconds.", "result": "stands-still"}
    return EXIT_WELL, found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_STATE_BYTES + 1)
    except OSError as error:
        raise NotCheckedError(f"Cannot read {path}: {error.strerror}.") from None
    return raw


def _write(path: Path, raw: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as handle:
            handle.write(raw)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise NotCheckedError(f"Cannot write {path}: {error.strerror}.") from None


def _parse_url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise argparse.ArgumentTypeError("an address begins with https://")
    return text


def _parse_key(text: str) -> tuple[str, bytes]:
    try:
        return parse_verifier(text)
    except LogError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(words: Sequence[str] | None = None, *, clock: Callable[[], float] = time.time) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="report-abuse-log-check",
        description="Check that the public log of a gateway is whole and keeps one history.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", type=_parse_url, required=True, help="the log's address")
    parser.add_argument(
        "--key", type=_parse_key, required=True, action="append", help="the log's public key; again for the next one"
    )
    parser.add_argument(
        "--state", type=Path, required=True, metavar="FILE", help="remembers the last check; made if missing"
    )
    parser.add_argument("--site", type=_parse_url, help="compare what this site serves with its release in the log")
    parser.add_argument("--json", action="store_true", help="print one JSON object for machines")
    arguments = parser.parse_args(words)
    if len({origin for origin, _ in arguments.key}) != 1:
        parser.error("The keys belong to two logs.")
    code, found = run(arguments, clock=clock)
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    elif code in {EXIT_WELL, EXIT_STANDS_STILL}:
        known = found["checked_before"]
        sys.stdout.write(f"{found['origin']}: {found['size']} entries are whole; {known} were checked before.\n")
        if found["new_releases"]:
            sys.stdout.write(f"New releases of the form since then: {found['new_releases']}.\n")
        if "files" in found:
            sys.stdout.write(f"{arguments.site}: {found['files']} files are as the log has them.\n")
    if code != EXIT_WELL:
        mark = "ALARM: " if code == EXIT_ALARM else ""
        sys.stderr.write(f"{mark}{found['detail']}\n")
    return code


def parse_verifier(line: str) -> tuple[str, bytes]:
    """Return the name of a log and its raw public key from such a line; raises `LogError` (`bad-key`)."""
    origin, _, rest = line.strip().partition("+")
    try:
        key = base64.b64decode(rest.partition("+")[2], validate=True)
    except ValueError:
        key = b""
    if len(key) != 1 + HASH_BYTES or format_verifier(origin, key[1:]) != line.strip():
        raise LogError("This is not the public key of a log.", reason="bad-key")
    return origin, key[1:]


if __name__ == "__main__":
    sys.exit(main())
