"""Files of a draft that will be handed over as evidence: private copies on this machine until the agency has them.

A browser gives bytes and no path, and an interrupted handing over continues from a path: so each file is copied once,
into `console/files/`, and deleted as soon as it is handed over, or with its draft.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from mimetypes import guess_type
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, Final

from partner_sdk.client._evidence_upload import EvidenceJournal, measure_file
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.console.report_drafts import Owner
from partner_sdk.durable_files import make_private_folder
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.canonical import check_report_id

FILES: Final = "files"
_PART: Final = ".part-"
# Room for the sealed report, its receipt and the drafts beside the copies.
LEAST_FREE_BYTES: Final = 256 * 1024 * 1024
_NAME_CHARACTERS: Final = 300
BROKEN_OFF_AFTER_SECONDS: Final = 86_400


class DraftFiles:
    """The copies of one draft's files."""

    def __init__(self, folder: Path, *, draft_id: str) -> None:
        check_report_id(draft_id)  # a file name is never built from anything else
        self._folder = folder / FILES / draft_id

    def add(self, part: Path, *, name: str, root: Owner) -> str:
        """Take an uploaded file over and list it in the report with its size and hash; return its `file_id`."""
        make_private_folder(self._folder.parent)
        make_private_folder(self._folder)
        facts = measure_file(part)
        file_id = make_file_id(root)
        part.rename(self._folder / file_id)
        described: dict[str, Any] = {
            "file_id": file_id,
            "size_bytes": facts.size_bytes,
            "hashes": [{"type": "sha256", "value": facts.sha256.hex()}],
        }
        plain = "".join(one for one in Path(name).name if one.isprintable())[:_NAME_CHARACTERS]
        if plain:
            described["name"] = plain
        media_type = guess_type(plain)[0]
        if media_type is not None:
            described["media_type"] = media_type
        if not isinstance(root.get(FILES), list):
            root[FILES] = []
        root[FILES].append(described)
        return file_id

    def list_copies(self, root: Owner) -> dict[str, Path]:
        """Return the copies of the files that the report still lists, by `file_id`."""
        listed = {item.get("file_id") for item in root.get(FILES, []) if isinstance(item, dict)}
        found = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return {path.name: path for path in found if path.name in listed}

    def remove_unlisted(self, root: Owner) -> None:
        """Delete the copies of files that the report lists no more."""
        kept = self.list_copies(root)
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            if path.name not in kept:
                path.unlink()

    def delete(self) -> None:
        """Delete every copy."""
        shutil.rmtree(self._folder, ignore_errors=True)


def make_file_id(root: Owner) -> str:
    """Return an id that no file of the report has, e.g. `file-2`."""
    held = root.get(FILES)
    taken = {item.get("file_id") for item in held if isinstance(item, dict)} if isinstance(held, list) else set()
    return next(f"file-{number}" for number in range(1, len(taken) + 2) if f"file-{number}" not in taken)


def open_part(folder: Path) -> IO[bytes]:
    """Open a new private file for an upload; it has no other copy anywhere."""
    make_private_folder(folder / FILES)
    return NamedTemporaryFile(dir=folder / FILES, prefix=_PART, delete=False)


def check_room(folder: Path, *, size_bytes: int) -> None:
    """Raise `LocalStateError` (`disk-full`) if an upload of this size would fill the disk."""
    if shutil.disk_usage(folder).free - size_bytes < LEAST_FREE_BYTES:
        raise LocalStateError("There is not enough room on this machine's disk for a copy.", reason="disk-full")


def sweep(folder: Path, *, state: PartnerState, drafts: Iterable[str]) -> None:
    """Delete uploads that broke off, and copies whose report has gone with all its files.

    Where a file that says what is still owed cannot be read, every copy stays.
    """
    try:
        kept = {*drafts, *_list_waiting_folders(state)}
    except ReportAbuseError:
        kept = None
    for path in (folder / FILES).iterdir() if (folder / FILES).is_dir() else ():
        if path.name.startswith(_PART):
            if time.time() - path.stat().st_mtime > BROKEN_OFF_AFTER_SECONDS:  # else another console may be taking it
                path.unlink(missing_ok=True)
        elif kept is not None and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _list_waiting_folders(state: PartnerState) -> Iterator[str]:
    journal = EvidenceJournal(state.folder)
    for report_id in journal.list_ids():
        entry = journal.find(report_id)
        if entry is not None and not entry.is_done:
            yield from (Path(file.path).parent.name for file in entry.files)
