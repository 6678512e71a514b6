"""Every route, command and vector file is that of the snapshots: code may move, and behaviour changes on purpose."""

import difflib

import pytest

from tests.house.snapshots import FOLDER, SNAPSHOTS

COMMAND = ".venv/bin/python -m tests.house.snapshots"


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_behaviour_is_that_of_the_snapshot(name: str) -> None:
    kept, now = (FOLDER / name).read_text(encoding="utf-8"), SNAPSHOTS[name]()
    lines = difflib.unified_diff(kept.splitlines(), now.splitlines(), f"snapshots/{name}", "now", n=0, lineterm="")
    diff = "\n".join(lines)
    assert not diff, f"{diff}\nIf each of these changes is wanted, write them down: {COMMAND}"


def test_no_snapshot_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(SNAPSHOTS)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("routes.txt", "public POST /14: OPEN, -, "),
        ("routes.txt", "industry POST /v1/reports: PARTNER, -, "),
        ("routes.txt", "feed GET /feed/"),
        ("routes.txt", "desk GET /cases/<case_id>: STAFF, SEE_QUEUE, "),
        ("routes.txt", "console GET /"),
        ("commands.txt", "report-abuse-desk serve"),
        ("vectors.txt", "envelope.json: "),
    ],
)
def test_snapshot_has_a_known_member(name: str, member: str) -> None:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(member)]
