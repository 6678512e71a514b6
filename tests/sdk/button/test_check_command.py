"""`report-abuse-partner button check`: files and addresses, three ways to write it, an exit code for each outcome."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from partner_sdk.cli import main
from partner_sdk.client.transport import make_session
from partner_sdk.console.check.page_fetch import check_page_address, fetch_page
from partner_sdk.console.findings import (
    ButtonCheck,
    CheckList,
    CheckPost,
    CheckTarget,
    encode_checks,
    parse_checks,
)
from partner_sdk.errors import FormatError, ReportAbuseError, TransportError
from tests.builders.local_servers import run_server
from tests.sdk.button.pages import ORIGIN, PLACEMENT, WITH_SCRIPT, make_page

GOOD = make_page(WITH_SCRIPT).encode()
BAD = make_page(WITH_SCRIPT.replace("noreferrer ", "")).encode()
HTML = (("Content-Type", "text/html; charset=utf-8"),)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a service on this machine at one path."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = HTML


@dataclass(frozen=True, slots=True)
class Service:
    """A service on a port of this machine, and the paths that it was asked for."""

    origin: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def serve(answers: dict[str, Answer]) -> Iterator[Service]:
    """Serve pages until the block ends."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = answers.get(self.path, Answer(status=404))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with run_server(server):
        yield Service(f"http://127.0.0.1:{server.server_port}", asked)


def run(*words: str, origin: str | None = ORIGIN) -> int:
    options = [] if origin is None else ["--origin", origin]
    return main(["button", "check", *words, *options])


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A good page in a file."""
    path = tmp_path / "page.html"
    path.write_bytes(GOOD)
    return path


def test_good_file_passes_in_one_line_and_is_told_what_text_alone_cannot_show(page: Path, capsys):
    assert run(str(page), "--placement", PLACEMENT) == 0
    (result,) = capsys.readouterr().out.splitlines()
    assert result == f"{page}: the link is right; only its link was looked for (--browser checks the whole button)."


def test_button_is_not_called_as_agreed_when_no_placement_was_compared(page: Path, capsys):
    assert run(str(page)) == 0
    said = capsys.readouterr().out
    assert f"{page}: no fault seen; the placement was not compared; only its link was looked for" in said
    assert "as agreed" not in said.replace("one was agreed", "")


def test_page_without_a_button_is_told_which_placement_was_agreed(page: Path, capsys):
    page.write_text("<!doctype html><title>Chat</title><p>Hello")
    assert run(str(page), "--placement", PLACEMENT, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in found["findings"]] == ["no-button"]
    assert f"button snippet --placement {PLACEMENT}." in found["findings"][0]["mend"]


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("page.html", b"", "is not HTML: it holds no element"),
        ("page.html", b"\xef\xbb\xbf \n", "is not HTML: it holds no element"),
        ("page.txt", b"# Chat\n\n<https://chat.example>, 1 < 2\n", "is not HTML: it holds no element"),
    ],
    ids=["empty", "blank", "text"],
)
def test_file_that_is_no_page_is_told_so_and_not_to_take_the_snippet(tmp_path, capsys, name, raw, said):
    file = tmp_path / name
    file.write_bytes(raw)
    assert run(str(file)) == 1
    told = capsys.readouterr()
    assert f"{file} {said}. Give the page as your server sends it." in told.err
    assert "snippet" not in told.out + told.err


@pytest.mark.parametrize(
    "raw",
    [
        b"<p>Hello",
        b"just words<br>",
        b"<X-CHAT/>",
        b"<!-- built -->",
        b"[\n<a href='/'>Home</a>",
        b"\x00\x01<!DOCTYPE html><p>Hello",
        "<!doctype html><p>Hello".encode("utf-16"),
    ],
    ids=["fragment", "words first", "own element", "comment", "bracket first", "stray bytes", "utf-16"],
)
def test_odd_page_without_a_button_is_still_a_page(page: Path, capsys, raw: bytes):
    page.write_bytes(raw)
    assert run(str(page), "--json") == 1
    assert [one["code"] for one in json.loads(capsys.readouterr().out)["findings"]] == ["no-button"]


def test_fault_is_told_with_line_reason_and_way_to_mend(page: Path, capsys: pytest.CaptureFixture[str]):
    page.write_bytes(BAD)
    assert run(str(page), "--placement", PLACEMENT) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "The link"
    assert said[1].startswith("  FAULT: The link's rel has no noreferrer. (line ")
    assert said[2].startswith("    Why it matters: The browser would tell the agency")
    assert said[3] == '    How to fix it: Write rel="noreferrer noopener".'
    assert said[-1] == f"{page}: 1 fault; only its link was looked for (--browser checks the whole button)."


def test_page_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD)))
    assert run("-", "--placement", PLACEMENT) == 0
    assert capsys.readouterr().out.startswith("-: the link is right; only its link was looked for")


def test_json_is_the_check_of_the_contract(page: Path, capsys: pytest.CaptureFixture[str]):
    page.write_bytes(BAD)
    assert run(str(page), "--placement", PLACEMENT, "--json") == 1
    check = msgspec.json.decode(capsys.readouterr().out, type=ButtonCheck)
    assert [one.code for one in check.findings] == ["no-noreferrer"]
    assert parse_checks(encode_checks(CheckPost(checks=(check,)))).checks == (check,)


def test_known_placements_are_a_list_or_the_list_of_a_runner(page: Path, tmp_path: Path, capsys):
    known = tmp_path / "known.json"
    known.write_text(json.dumps(["example-chat-room"]))
    assert run(str(page), "--known", str(known), "--json") == 1
    assert [one["code"] for one in json.loads(capsys.readouterr().out)["findings"]] == ["unknown-placement"]
    targets = (CheckTarget(address=str(page), placement=PLACEMENT),)
    runner = CheckList(agency_origin=ORIGIN, made_at="2026-11-25T12:00:00Z", targets=targets)
    known.write_bytes(msgspec.json.encode(runner))
    assert run(str(page), "--known", str(known), origin=None) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--placement", "Not A Placement"),
        ("--width", "12"),
        ("--height", "ten"),
        ("--height", "tall"),
    ],
)
def test_wrong_use_exits_2(page: Path, words: tuple[str, ...]):
    assert run(str(page), *words) == 2


def test_check_without_an_agency_to_compare_with_is_wrong_use(page: Path, tmp_path: Path, capsys):
    assert run(str(page), "--state", str(tmp_path / "none"), origin=None) == 2
    assert "--origin" in capsys.readouterr().err


def test_page_by_address_is_asked_for_without_its_fragment():
    with serve({"/p?x=1": Answer(GOOD)}) as service:
        assert run(f"{service.origin}/p?x=1#part", "--placement", PLACEMENT) == 0
    assert service.asked == ["/p?x=1"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({}, "status"),
        ({"/": Answer(b"{}", headers=(("Content-Type", "application/json"),))}, "no-page"),
        ({"/": Answer(status=302, headers=(("Location", "https://elsewhere.example/"),))}, "redirect"),
        ({"/": Answer(status=302, headers=(("Location", "/"),))}, "redirect"),
        ({"/": Answer(b" " * (5 * 1024 * 1024 + 1))}, "too-large"),
    ],
    ids=["missing", "no-html", "other-host", "circle", "large"],
)
def test_page_that_does_not_come_has_an_exit_code_of_its_own(answers: dict[str, Answer], reason: str, capsys):
    with serve(answers) as service:
        assert run(f"{service.origin}/", "--json") == 5
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["result"], len(found["findings"])) == ("unreachable", 1)
    assert found["findings"][0]["severity"] == "unseen"
    assert found["findings"][0]["what"] in said.err
    assert f"({reason})" in said.err
    assert len(service.asked) <= 4


def test_every_request_is_first_allowed_by_whoever_watches():
    hops = []
    with serve({"/": Answer(status=301, headers=(("Location", "/b"),)), "/b": Answer(GOOD)}) as service:
        fetch_page(f"{service.origin}/", session=make_session(), check_hop=hops.append)
        assert hops == [f"{service.origin}/", f"{service.origin}/b"]

        def refuse(address: str) -> None:
            raise FormatError("Not this one.", reason="not-registered")

        with pytest.raises(FormatError, match="Not this one"):
            fetch_page(f"{service.origin}/", session=make_session(), check_hop=refuse)
    assert service.asked == ["/", "/b"]


def test_slow_page_ends_at_the_deadline():
    with serve({}) as service, pytest.raises(TransportError) as stopped:
        fetch_page(f"{service.origin}/", session=make_session(), deadline_seconds=0.0)
    assert stopped.value.reason == "timeout"


@pytest.mark.parametrize(
    "address",
    [
        "http://chat.example/",
        "ftp://chat.example/",
        "https://a:b@chat.example/",
        "https://",
        "file:///etc/passwd",
        "https://[::",
    ],
)
def test_address_that_is_no_page_of_the_web_is_never_asked(address: str):
    with pytest.raises(ReportAbuseError) as stopped:
        check_page_address(address)
    assert stopped.value.reason == "bad-address"


def test_host_without_https_is_told_how_an_address_begins(capsys: pytest.CaptureFixture[str]):
    assert run("chat.example") == 1
    assert "An address begins with https://" in capsys.readouterr().err
