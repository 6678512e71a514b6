"""`button check` of a page behind a login: seen with a state from a file, and named as a login without one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from partner_sdk.button.snippet import ICON_PATH, make_snippet
from partner_sdk.cli import main
from tests.builders.local_servers import run_server
from tests.sdk.button.pages import PLACEMENT, make_page

MARKER = "Zebra4711"
ICON = files("widget").joinpath(ICON_PATH.removeprefix("/button/")).read_bytes()
# A single-page app: its state is in local storage, and without it the page itself goes to the login.
APP = "<script>if (!localStorage.token) location = '/login'; else app.innerHTML = `{}`</script>"


@dataclass(frozen=True, slots=True)
class Site:
    """A chat service at 127.0.0.1 and an agency at localhost: two sites, by the names of one machine."""

    origin: str
    agency: str
    cookies: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serve_site() -> Iterator[Site]:
    """Serve /messages for those with the cookie, /app for those with the token, and /login."""
    site: Site

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookie = self.headers.get("Cookie", "")
            site.cookies.append((str(self.headers["Host"]).partition(":")[0], cookie))
            snippet = make_snippet(site.agency, placement=PLACEMENT, form="link")
            if self.path in {"/messages", "/app"} and f"session={MARKER}" not in cookie:
                self.send_response(302)
                self.send_header("Location", "/login?next=/messages")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            pages = {
                "/messages": make_page(snippet),
                "/app": f'<!doctype html><html lang="en"><title>App</title><div id=app></div>{APP.format(snippet)}',
                "/login": "<!doctype html><title>Sign in</title><form><input type=password></form>",
            }
            self.send_response(200)
            body = pages[self.path].encode() if self.path in pages else ICON
            self.send_header("Content-Type", "text/html; charset=utf-8" if self.path in pages else "image/svg+xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("", 0), Handler)
    site = Site(f"http://127.0.0.1:{server.server_port}", f"http://localhost:{server.server_port}")
    with run_server(server):
        yield site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The service and the agency, for all tests."""
    with serve_site() as site:
        yield site


@pytest.fixture
def state(tmp_path: Path, site: Site) -> Path:
    """A storage state for both sites: the cookie of the agency's site must stay in it."""
    cookies = [{"name": "session", "value": MARKER, "domain": host, "path": "/"} for host in ("127.0.0.1", "localhost")]
    storage = [{"origin": site.origin, "localStorage": [{"name": "token", "value": MARKER}]}]
    file = tmp_path / "state.json"
    file.write_text(json.dumps({"cookies": cookies, "origins": storage}), encoding="utf-8")
    return file


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the command."""

    code: int
    found: dict[str, Any]
    said: str

    @property
    def codes(self) -> list[str]:
        """The codes of the findings."""
        return [one["code"] for one in self.found["findings"]]


def check(capsys: pytest.CaptureFixture[str], site: Site, path: str, *words: str) -> Run:
    """Run the command on a page of the service, on a phone."""
    address = f"{site.origin}{path}"
    code = main(
        [
            "button",
            "check",
            address,
            "--placement",
            PLACEMENT,
            "--origin",
            site.agency,
            "--json",
            "--width",
            "360",
            *words,
        ]
    )
    told = capsys.readouterr()
    return Run(code, json.loads(told.out), told.out + told.err)


def test_app_behind_a_login_is_checked_in_the_browser_and_only_its_own_site_gets_the_cookie(
    capsys: pytest.CaptureFixture[str], site: Site, state: Path
) -> None:
    # It keeps a token in local storage as well.
    site.cookies.clear()
    run = check(capsys, site, "/app", "--browser", "--storage-state", str(state))
    assert (run.code, run.found["result"], run.codes) == (0, "passes", ["built-by-script"])
    assert MARKER not in run.said
    assert {host for host, _ in site.cookies} == {"127.0.0.1", "localhost"}
    assert {cookie for host, cookie in site.cookies if host == "localhost"} == {""}


@pytest.mark.parametrize(("path", "words"), [("/messages", ()), ("/app", ("--browser",))], ids=["redirect", "script"])
def test_page_that_leads_to_a_login_is_no_verdict_and_told_how_to_get_past_it(
    capsys: pytest.CaptureFixture[str], site: Site, path: str, words: tuple[str, ...]
) -> None:
    run = check(capsys, site, path, *words)
    assert (run.code, run.found["result"], run.codes) == (5, "unreachable", ["asks-to-sign-in"])
    assert "--storage-state" in run.found["findings"][0]["mend"]


def test_login_without_a_button_is_told_that_it_may_be_one(capsys: pytest.CaptureFixture[str], site: Site) -> None:
    run = check(capsys, site, "/login")
    assert run.codes == ["no-button"]
    assert "asks for a password" in run.found["findings"][0]["mend"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--storage-state", "other.json"), 1, "other.json holds nothing for the site of this page"),
        (("--storage-state", "none.json"), 1, "none.json"),
    ],
)
def test_state_that_cannot_be_used_is_told_so_and_nothing_is_asked(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    site: Site,
    state: Path,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(state.parent)
    Path("other.json").write_text(json.dumps({"cookies": [], "origins": []}))
    site.cookies.clear()
    assert main(["button", "check", f"{site.origin}/messages", "--origin", site.agency, *words]) == code
    told = capsys.readouterr()
    assert said in told.err
    assert MARKER not in told.out + told.err
    assert site.cookies == []


def test_state_of_a_page_that_comes_from_a_file_is_wrong_use(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    words = ["button", "check", str(state), "--origin", "https://report.example", "--storage-state", str(state)]
    assert main(words) == 2
    assert "give its address" in capsys.readouterr().err


def test_page_behind_a_login_is_checked_by_its_source(
    capsys: pytest.CaptureFixture[str], site: Site, state: Path
) -> None:
    run = check(capsys, site, "/messages", "--storage-state", str(state))
    assert (run.code, run.codes) == (0, [])
    assert MARKER not in run.said
