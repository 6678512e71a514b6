"""Reports that are being written in the console: each a private folder with its answers in clear, until it is sealed.

A draft is saved at every button, and its `report.json` is the file that the
commands read. It is deleted as soon as its report is sealed, or by its writer.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from partner_sdk.console.report_drafts import Draft
from partner_sdk.durable_files import find_bytes, locked, make_private_folder, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError
from partner_sdk.report.outline import get_outline
from partner_sdk.wire.canonical import check_report_id, decode, encode, format_time
from partner_sdk.wire.submission import Priority, ReportKind

REPORT: Final = "report.json"
_SETTINGS: Final = "draft.json"
_REPORTER: Final = "reporter.json"
# Said anew for each report: the declaration by a person, the reference of one case.
_NOT_REMEMBERED: Final = frozenset({"declaration", "own_reference"})


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the report of a draft will be sent, and by whom it was begun.

    `report_id` is set just before sealing: a second try after a crash finds the report that is sealed already.
    """

    begun_at: str
    begun_by: str
    earlier_reference: str | None
    kind: ReportKind
    priority: Priority
    report_id: str | None = None


class KeptDraft:
    """One draft: its settings and its answers."""

    def __init__(self, draft_id: str, *, folder: Path, settings: Settings) -> None:
        self.draft_id = draft_id
        self.folder = folder
        self.settings = settings

    def read(self) -> Draft:
        """Return the answers; raises `LocalStateError` and `FormatError`."""
        return Draft.resume(self.folder / REPORT)

    @contextmanager
    def changing(self) -> Iterator[Draft]:
        """Yield the answers to change, held against another window, and save them at the end."""
        with locked(self.folder):
            draft = self.read()
            yield draft
            draft.save()

    def change(self, **changes: Any) -> None:
        """Change settings, e.g. `priority`."""
        self.settings = msgspec.structs.replace(self.settings, **changes)
        write_durably(self.folder / _SETTINGS, encode(self.settings))

    def delete(self) -> None:
        """Delete the draft with its answers."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Drafts:
    """The drafts in the console's folder."""

    def __init__(self, folder: Path) -> None:
        self._above = folder
        self._folder = folder / "drafts"
        make_private_folder(self._folder)

    @contextmanager
    def sealing(self) -> Iterator[None]:
        """Hold all drafts while one is sealed: a second press of the button waits, and finds it gone."""
        with locked(self._folder):
            yield

    def begin(
        self,
        draft_id: str,
        *,
        kind: ReportKind,
        priority: Priority,
        earlier_reference: str | None,
        by: str,
        now: datetime,
        answers: str | None = None,
    ) -> KeptDraft:
        """Begin a draft with the organisation's details of the last report; `answers` is the id of a question."""
        check_report_id(draft_id)
        folder = self._folder / draft_id
        make_private_folder(folder)
        draft = Draft.begin(folder / REPORT)
        draft.root["schema_version"] = "1"
        # Empty parts, so that each missing answer is named, and not its part.
        draft.root.update({one.name: {} for one in get_outline().fields if one.part is not None and not one.is_list})
        remembered = self._read_reporter()
        if remembered:
            draft.root["reporter"] = remembered
        if answers is not None:
            draft.root["answers_request"] = answers
        draft.save()
        settings = Settings(
            begun_at=format_time(now), begun_by=by, earlier_reference=earlier_reference, kind=kind, priority=priority
        )
        # Last: a folder without its settings was not begun.
        write_new_durably(folder / _SETTINGS, encode(settings))
        return KeptDraft(draft_id, folder=folder, settings=settings)

    def find(self, draft_id: str) -> KeptDraft | None:
        """Return a draft, or None if it was sealed or deleted, or never begun."""
        try:
            check_report_id(draft_id)  # a file name is never built from anything else
        except FormatError:
            return None
        folder = self._folder / draft_id
        raw = find_bytes(folder / _SETTINGS)
        if raw is None:
            return None
        try:
            settings = decode(raw, kind=Settings)
        except msgspec.DecodeError:
            raise LocalStateError(f"{folder / _SETTINGS} is damaged.", reason="damaged-state") from None
        return KeptDraft(draft_id, folder=folder, settings=settings)

    def list_ids(self) -> list[str]:
        """Return the ids of all drafts, the newest first, also of damaged ones."""
        return sorted((one.name for one in self._folder.iterdir() if one.is_dir()), reverse=True)

    def list_all(self) -> list[KeptDraft]:
        """Return the drafts, the newest first; one whose files are damaged is left to `doctor`."""
        found = []
        for draft_id in self.list_ids():
            try:
                draft = self.find(draft_id)
            except ReportAbuseError:
                continue
            if draft is not None:
                found.append(draft)
        return found

    def remember_reporter(self, root: dict[str, Any]) -> None:
        """Keep the organisation's details of a report for the next one."""
        reporter = root.get("reporter")
        if isinstance(reporter, dict):
            kept = {name: value for name, value in reporter.items() if name not in _NOT_REMEMBERED}
            write_durably(self._above / _REPORTER, msgspec.json.encode(kept))

    def _read_reporter(self) -> dict[str, Any]:
        raw = find_bytes(self._above / _REPORTER)
        try:
            found = decode(raw or b"{}")
        except msgspec.DecodeError:
            return {}
        return found if isinstance(found, dict) else {}
