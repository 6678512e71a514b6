"""The runner's findings reach the desk: canonical, in batches of the accepted size, with a token that only it reads."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gateway.checker.cli import (
    DONE,
    FAULTS,
    TRY_AGAIN,
    WRONG_USE,
    DeskDoor,
    main,
    make_posts,
    post_checks,
    read_token,
    write_posts,
)
from partner_sdk.console.findings import (
    MAX_CHECKS,
    MAX_CHECKS_BODY_BYTES,
    MAX_FINDINGS,
    ButtonCheck,
    CheckFinding,
    CheckList,
    CheckTarget,
    parse_checks,
)
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.canonical import encode
from tests.gateway.checker.site import Site, SitePage, serve_site

TOKEN = "rabc_" + "t" * 43
CHECK = ButtonCheck(
    address="https://chat.example/people/sam",
    checked_at="2026-11-25T08:30:00Z",
    checker="report-abuse-partner 0.1.0",
    findings=(),
    method="static",
    placement="example-chat-profile",
    result="passes",
)
# As large as the model lets one be, in the letters that take the most bytes.
LARGEST = CheckFinding(code="c" * 40, mend="ŵ" * 600, severity="fault", what="ŵ" * 600, where="ŵ" * 200, why="ŵ" * 600)
LARGE = msgspec.structs.replace(CHECK, findings=(LARGEST,) * MAX_FINDINGS, result="faults")
WIDE = msgspec.structs.replace(
    CHECK, findings=(msgspec.structs.replace(LARGEST, mend="🛑" * 600),) * MAX_FINDINGS, result="faults"
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Site]:
    """A desk's listener that accepts posts."""
    with serve_site(tmp_path, pages={"/placement-checks": SitePage(status=204)}, name="") as served:
        yield served


def door_of(desk: Site) -> DeskDoor:
    return DeskDoor(origin=f"http://127.0.0.1:{desk.port}", token=TOKEN)


@pytest.mark.parametrize(
    ("checks", "sizes"),
    [
        ([], []),
        ([CHECK], [1]),
        ([CHECK] * MAX_CHECKS, [MAX_CHECKS]),
        ([CHECK] * (2 * MAX_CHECKS + 1), [MAX_CHECKS, MAX_CHECKS, 1]),
        ([LARGE, CHECK, LARGE], [2, 1]),
    ],
)
def test_no_post_holds_more_than_the_desk_takes(checks: list[ButtonCheck], sizes: list[int]):
    posts = make_posts(checks)
    assert [len(parse_checks(raw).checks) for raw in posts] == sizes
    assert all(len(raw) <= MAX_CHECKS_BODY_BYTES for raw in posts)
    assert [check for raw in posts for check in parse_checks(raw).checks] == checks


def test_check_that_is_too_large_alone_keeps_its_gravest_findings():
    (raw,) = make_posts([WIDE])
    (check,) = parse_checks(raw).checks
    assert check.result == "faults"
    assert 0 < len(check.findings) < MAX_FINDINGS
    assert check.findings == WIDE.findings[: len(check.findings)]


def test_posts_are_written_to_files_that_the_desk_reads(tmp_path: Path):
    files = write_posts(make_posts([CHECK] * (MAX_CHECKS + 1)), out=tmp_path / "checks.json")
    assert [file.name for file in files] == ["checks.json", "checks-2.json"]
    assert [len(parse_checks(file.read_bytes()).checks) for file in files] == [MAX_CHECKS, 1]


def test_every_post_goes_to_the_desk_with_the_token(desk: Site):
    posts = make_posts([CHECK] * (MAX_CHECKS + 1))
    post_checks(posts, door=door_of(desk))
    assert [path for path, _ in desk.asked] == ["/placement-checks"] * 2
    for (_, headers), raw in zip(desk.asked, posts, strict=True):
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert headers["Content-Type"] == "application/json"
        assert headers["Content-Length"] == str(len(raw))


@pytest.mark.parametrize("status", [400, 401, 413, 302, 500])
def test_desk_that_refuses_is_not_asked_again(desk: Site, status: int):
    desk.pages["/placement-checks"] = SitePage(status=status, headers={"Location": "/elsewhere"})
    with pytest.raises(FormatError):
        post_checks(make_posts([CHECK]), door=door_of(desk))
    assert len(desk.asked) == 1


@pytest.mark.parametrize(("said", "waited"), [("7", 7), ("999999", 120), ("", 10), ("soon", 10), ("-1", 10), ("²", 10)])
def test_desk_that_asks_to_wait_is_asked_again_later_and_not_for_ever(desk: Site, said: str, waited: float):
    headers = {"Retry-After": said.encode("utf-8").decode("latin-1")}
    desk.pages["/placement-checks"] = SitePage(status=429, headers=headers)
    sleeps: list[float] = []
    with pytest.raises(TransportError):
        post_checks(make_posts([CHECK]), door=door_of(desk), sleep=sleeps.append)
    assert sleeps == [waited] * 3
    assert len(desk.asked) == 3


def test_token_goes_to_no_other_machine_without_tls(desk: Site):
    for origin in ("http://desk.example:8702", f"http://127.0.0.1:{desk.port}/x", "desk:8702", "ftp://127.0.0.1"):
        with pytest.raises(FormatError):
            post_checks(make_posts([CHECK]), door=replace(door_of(desk), origin=origin))
    assert desk.asked == []


def test_token_comes_from_a_file_that_nobody_else_reads(tmp_path: Path):
    file = write_token(tmp_path, f"{TOKEN}\n")
    assert read_token(file) == TOKEN
    file.chmod(0o640)
    with pytest.raises(FormatError, match="chmod 600"):
        read_token(file)


@pytest.mark.parametrize("text", ["", "short", "two words of a token that is long", "tök" * 20])
def test_file_without_a_token_is_refused_and_not_shown(tmp_path: Path, text: str):
    file = write_token(tmp_path, text)
    with pytest.raises(FormatError) as caught:
        read_token(file)
    assert not text or text not in str(caught.value)


def write_token(folder: Path, text: str = TOKEN) -> Path:
    file = folder / "runner.token"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def write_list(folder: Path, *addresses: str) -> Path:
    targets = tuple(CheckTarget(address=one, placement="example-chat-profile") for one in addresses)
    file = folder / "pages.json"
    file.write_bytes(
        encode(CheckList(agency_origin="https://report.example", made_at="2026-11-25T08:00:00Z", targets=targets))
    )
    return file


def test_command_never_connects_to_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with serve_site(tmp_path, pages={"/": SitePage(b"<p>inside</p>")}, name="localhost") as site:
        file = write_list(tmp_path, f"https://127.0.0.1:{site.port}/", f"https://localhost:{site.port}/\x1b[2J")
        code = main(["run", "--list", str(file), "--out", str(tmp_path / "checks.json")])
        assert site.asked == []
    assert code == FAULTS
    found = parse_checks((tmp_path / "checks.json").read_bytes()).checks
    assert [check.result for check in found] == ["unreachable", "unreachable"]
    said = capsys.readouterr().out
    assert "not public" in said
    assert "\x1b" not in said


def test_command_names_its_extra_where_the_check_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in [one for one in sys.modules if one.startswith(("partner_sdk.console", "gateway.checker.visiting"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "partner_sdk.console", None)
    file = write_list(tmp_path)
    assert main(["run", "--list", str(file), "--out", str(tmp_path / "checks.json")]) == WRONG_USE
    assert "report-abuse-gateway[checker]" in capsys.readouterr().err


def test_command_writes_a_line_of_json_for_each_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file, out = write_list(tmp_path, "http://chat.example/", "http://chat.example/\x1b[2J"), tmp_path / "checks.json"
    assert main(["run", "--list", str(file), "--out", str(out), "--json"]) == FAULTS
    *visits, written = map(json.loads, capsys.readouterr().out.splitlines())
    found = tuple(msgspec.convert(one["check"], ButtonCheck) for one in visits)
    assert found == parse_checks(out.read_bytes()).checks
    assert all(one["trouble"] for one in visits)
    assert written == {"written": str(out)}


@pytest.mark.parametrize("hours", ["0", "-1", "0.05", "745", "nan", "inf", "often", ""])
def test_hours_that_cannot_be_kept_are_wrong_use_and_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hours: str
):
    assert main(["run", "--list", str(write_list(tmp_path)), "--out", "x", f"--every={hours}"]) == WRONG_USE
    said = capsys.readouterr().err
    assert said.startswith("report-abuse-checker: Invalid value for '--every': ")
    assert any(words in said for words in ("0.1<=x<=744", "is not a valid float range", "nan is not a number"))


def test_command_posts_an_empty_list_and_is_done(tmp_path: Path, desk: Site):
    token = write_token(tmp_path)
    where = ["--post", f"http://127.0.0.1:{desk.port}", "--token-file", str(token)]
    assert main(["run", "--list", str(write_list(tmp_path)), *where]) == DONE
    assert desk.asked == []


def test_command_says_to_run_it_again_where_the_desk_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    token = write_token(tmp_path)
    file = write_list(tmp_path, "http://chat.example/")
    code = main(["run", "--list", str(file), "--post", "http://127.0.0.1:9", "--token-file", str(token)])
    assert code == TRY_AGAIN
    assert TOKEN not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--out", "x", "--post", "http://127.0.0.1:1", "--token-file", "t"],
        ["--post", "http://127.0.0.1:1"],
        ["--out", "x", "--token-file", "t"],
        ["--post", "http://127.0.0.1:1", "--token-file", "missing"],
    ],
)
def test_wrong_use_is_said_and_nothing_is_visited(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]):
    file = write_list(tmp_path, "https://127.0.0.1/")
    assert main(["run", "--list", str(file), *words]) == WRONG_USE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("raw", [None, 2**42, b"", b"[]", b'{"agency_origin":1}', b'{ "targets": [] }', b"\xff"])
def test_list_that_is_none_of_the_desks_is_refused_with_the_line_that_makes_one(
    tmp_path: Path, raw: bytes | int | None, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "pages.json"
    if isinstance(raw, int):
        with file.open("wb") as handle:
            handle.truncate(raw)  # a sparse file: larger than the memory of any machine
    elif raw is not None:
        file.write_bytes(raw)
    assert main(["run", "--list", str(file), "--out", str(tmp_path / "checks.json")]) == WRONG_USE
    assert not (tmp_path / "checks.json").exists()
    said = capsys.readouterr().err
    assert (f"Cannot read {file}." if raw is None else f"{file} is not the desk's list of pages.") in said
    assert "report-abuse-desk placement targets --out pages.json" in said


def test_help_has_an_example_and_the_exit_codes(capsys: pytest.CaptureFixture[str]):
    assert main(["run", "--help"]) == DONE
    said = capsys.readouterr().out
    assert "Example:\n  report-abuse-checker run --list " in said
    assert "Exit codes: 0 " in said
