"""A report that is being written: a JSON file, saved whole after every answer, so that nothing is lost.

Never written over another file when it is begun. It holds what a person typed, in clear: 0600.
"""

import json
from pathlib import Path
from typing import Any

from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.report.reading import MAX_REPORT_BYTES
from partner_sdk.wire.strict_json import parse_json_file

Owner = dict[str, Any]


class Draft:
    """What was said so far. `root` is the report as JSON has it; change it, then `save`."""

    def __init__(self, path: Path, *, root: Owner) -> None:
        self.path = path
        self.root = root

    @classmethod
    def begin(cls, path: Path) -> "Draft":
        """Make the file; raises `LocalStateError` (`file-exists`, `not-saved`)."""
        write_new_durably(path, b"{}\n")
        return cls(path, root={})

    @classmethod
    def resume(cls, path: Path) -> "Draft":
        """Read a file that was begun before; raises `LocalStateError` (`no-such-file`) and `FormatError`."""
        raw = find_bytes(path)
        if raw is None:
            raise LocalStateError(f"There is no draft at {path}.", reason="no-such-file")
        root = parse_json_file(raw, max_bytes=MAX_REPORT_BYTES)
        if not isinstance(root, dict):
            raise FormatError("A report is one JSON object.", reason="malformed")
        return cls(path, root=root)

    def take_reporter(self, path: Path) -> None:
        """Take who reports from an earlier report or draft, without the declaration, which a person makes anew.

        What this draft says already stays. Raises as `resume` does.
        """
        earlier = Draft.resume(path).root.get("reporter")
        if isinstance(earlier, dict):
            taken = {name: value for name, value in earlier.items() if name != "declaration"}
            self.root["reporter"] = {**taken, **self.root.get("reporter", {})}
            self.save()

    def encode(self) -> bytes:
        """Return the draft as it stands in the file."""
        return json.dumps(self.root, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"

    def save(self) -> None:
        """Put what was said on disk; raises `LocalStateError` (`not-saved`)."""
        write_durably(self.path, self.encode())


def is_said(owner: Owner, name: str) -> bool:
    """Say whether a field has an answer: a value, or the reason why there is none."""
    return owner.get(name) not in (None, [])
