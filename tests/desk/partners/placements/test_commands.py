"""`report-abuse-desk placement` for machines: the list, the checker's list and token, checks from a file."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config import utc_now
from gateway.desk.office.terminal import DONE, LOOK, WRONG_USE
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_agreeing import end_placement
from gateway.desk.partners.placement_checks import is_runner_token, list_checks, take_checks
from gateway.desk.running.cli import main
from gateway.desk.running.doctor import examine
from partner_sdk.console.findings import CheckList
from partner_sdk.wire.canonical import format_time, parse_exact
from tests.desk.people_builders import ACTOR
from tests.desk.placement_builders import (
    LINK_ID,
    PAGE,
    agree,
    make_check,
    make_finding,
    make_post,
)
from tests.desk.view_builders import Clock, make_test_desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    clock = Clock()
    clock.now = utc_now()  # commands have no other clock
    return make_test_desk(tmp_path / "desk", clock)


def run(desk: Desk, *words: str) -> int:
    return main([*words, "--state", str(desk.paths.state)])


def read(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_list_says_state_and_last_check_of_each(desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(desk, "placement", "list") == DONE
    assert "No placement is agreed yet" in capsys.readouterr().out
    agree(desk)
    agree(desk, owner="small-forum", new_owner="Small Forum CIC", service="A Forum")
    at = format_time(utc_now() - timedelta(days=2))
    (tmp_path / "checks.json").write_bytes(
        make_post(make_check(checked_at=at, result="faults", findings=(make_finding(),))) + b"\n"
    )
    assert run(desk, "placement", "import-checks", str(tmp_path / "checks.json")) == DONE
    assert "Checks: 1 taken, 0 here already." in capsys.readouterr().out
    assert run(desk, "placement", "list") == DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["small-forum-profile", LINK_ID]
    assert "Not checked yet" in lines[0]
    assert "1 fault" in lines[1]
    assert run(desk, "placement", "list", "--json") == DONE
    _, one = read(capsys)["placements"]
    assert (one["placement"], one["condition"], one["last_check"]["faults"]) == (LINK_ID, "with_faults", 1)


def test_single_check_as_the_command_of_a_service_writes_it_is_taken(
    desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    agree(desk)
    path = tmp_path / "check.json"
    path.write_text(json.dumps(msgspec.to_builtins(make_check()), indent=2), encoding="ascii")
    assert run(desk, "placement", "import-checks", str(path)) == DONE
    assert "Checks: 1 taken" in capsys.readouterr().out


def test_checks_of_unknown_pages_ask_for_a_look(desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "checks.json"
    path.write_bytes(make_post(make_check()))
    assert run(desk, "placement", "import-checks", str(path)) == LOOK
    assert "1 dropped" in capsys.readouterr().out
    path.write_text('{"agency_origin": "https://report.example"}', encoding="ascii")
    assert run(desk, "placement", "import-checks", str(path)) == WRONG_USE
    assert "This is not a file of checks. Use a file that `report-abuse-checker run --out`" in capsys.readouterr().err
    assert run(desk, "placement", "import-checks", str(tmp_path / "nowhere.json")) == WRONG_USE
    with desk.store.read() as connection:
        assert list_checks(connection, LINK_ID) == []


def test_targets_are_written_in_the_one_spelling_of_the_wire(
    desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    agree(desk)
    agree(desk, link_id="many", look_at=None)
    out = tmp_path / "pages.json"
    assert run(desk, "placement", "targets", "--out", str(out)) == DONE
    assert "No page is named for many" in capsys.readouterr().out
    assert run(desk, "placement", "targets", "--out", str(out), "--json") == DONE
    assert read(capsys) == {"out": str(out), "targets": 1, "without_page": ["many"]}
    listed = parse_exact(out.read_bytes(), kind=CheckList, max_bytes=10_000)
    assert [(one.placement, one.address) for one in listed.targets] == [(LINK_ID, PAGE)]


def test_token_is_printed_once_replaced_only_by_wish_and_forgotten(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(desk, "placement", "runner-token", "--json") == DONE
    first = read(capsys)["token"]
    assert is_runner_token(desk, first)
    assert run(desk, "placement", "runner-token") == WRONG_USE
    assert first not in capsys.readouterr().err
    assert run(desk, "placement", "runner-token", "--replace") == DONE
    second = capsys.readouterr().out.strip()
    assert (is_runner_token(desk, first), is_runner_token(desk, second)) == (False, True)
    assert run(desk, "placement", "runner-token", "--forget") == DONE
    assert not is_runner_token(desk, second)


def test_doctor_names_placements_that_need_a_person_and_calls_none_a_fault(desk: Desk) -> None:
    def look() -> list[tuple[str, str]]:
        found = examine(desk.paths.state, clock=desk.clock)
        return [(one.verdict, one.detail) for one in found if one.name == "placements"]

    assert look() == [("ok", "No placement of the button needs attention.")]
    agree(desk)
    assert look() == [("ok", "No placement of the button needs attention.")]
    answer = make_finding(code="other-answer", severity="unseen", what="The host answered 404.")
    for result, finding, age in (("unreachable", answer, 1), ("faults", make_finding(), 0)):
        at = format_time(utc_now() - timedelta(minutes=age))
        post = make_post(make_check(result=result, findings=(finding,), checked_at=at))
        assert take_checks(desk, post, channel="file", actor=ACTOR).taken == 1
        if result == "unreachable":
            assert look() == [("warning", f"Could not reach the page of: {LINK_ID}. The host answered 404.")]
    agree(desk, link_id="gone")
    end_placement(desk, "gone", reason="x", actor=ACTOR)
    assert look() == [("warning", f"The button is not as agreed at: {LINK_ID}.")]
    assert isinstance(desk.clock, Clock)
    desk.clock.now += timedelta(days=31)
    assert look() == [("warning", f"Not checked for 30 days, or never: {LINK_ID}.")]
