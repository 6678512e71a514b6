"""Only the browser of the person who started the console gets in, and only through its own pages."""

from pathlib import Path

import pytest

from partner_sdk.console.app import HEADERS
from tests.sdk.console.console_builders import HOST, ORIGIN, ConsoleBrowser
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, make_state

PAGES = ("/", "/reports", "/reports/new", "/people", "/person")


@pytest.fixture
def closed(tmp_path: Path) -> ConsoleBrowser:
    """A browser that has not opened the link."""
    make_state(tmp_path / "partner")
    return ConsoleBrowser(tmp_path / "partner", ScriptedGateway(*DOWN), person=None)


def test_link_works_once_and_its_cookie_is_strict(closed: ConsoleBrowser) -> None:
    link = closed.door.link
    response = closed.open_link()
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert closed.get(link.removeprefix(ORIGIN)).headers["Location"] == "/"  # in the same browser it leads home
    closed.client.delete_cookie(closed.door.cookie, domain="127.0.0.1")
    assert closed.get(link.removeprefix(ORIGIN)).status_code == 401


def test_head_does_not_spend_the_link(closed: ConsoleBrowser) -> None:
    link = closed.door.link
    refused = closed.client.head(link.removeprefix(ORIGIN), headers={"Host": HOST})
    assert (refused.status_code, refused.headers.getlist("Set-Cookie")) == (405, [])
    assert closed.open_link().headers["Location"] == "/"


@pytest.mark.parametrize("path", PAGES)
def test_page_without_the_link_is_closed(closed: ConsoleBrowser, path: str) -> None:
    assert closed.get(path).status_code == 401
    assert "Example Chat" in closed.page  # says whose console it is, and how to open it
    assert "Ctrl-C" in closed.page


def test_every_route_but_the_link_and_the_files_is_closed(closed: ConsoleBrowser) -> None:
    opened = set()
    for rule in closed.app.url_map.iter_rules():
        values = {name: 1 if name == "number" else "x" for name in rule.arguments}
        with closed.app.test_request_context():
            path = str(rule.build(values)[1]) if rule.build(values) else ""
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        status = (closed.post if method == "POST" else closed.get)(path).status_code
        if path and status != 401:
            opened.add(rule.endpoint)
    assert opened == {"front.get_style", "front.get_script", "front.get_icon"}


@pytest.mark.parametrize("host", ["evil.example", "localhost:40123", "127.0.0.1", "127.0.0.1:40124", f"{HOST}."])
def test_other_name_for_this_machine_is_refused(browser: ConsoleBrowser, host: str) -> None:
    assert browser.get("/", Host=host).status_code == 421
    assert browser.get("/static/console.css", Host=host).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:40123"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_request_from_another_site_is_refused(browser: ConsoleBrowser, headers: dict[str, str]) -> None:
    browser.get("/people")
    assert browser.post("/people", {"name": "Intruder"}, **headers).status_code == 403
    assert browser.get("/", **headers).status_code == 403
    assert [one.name for one in browser.console.people.list_all()] == []


def test_post_without_origin_or_with_a_wrong_token_is_refused(browser: ConsoleBrowser) -> None:
    browser.get("/people")
    assert browser.post("/people", {"name": "Intruder", "form_token": "x"}).status_code == 403
    browser.get("/people")
    whole = {"name": "Intruder", "form_token": browser.token}
    assert browser.client.post("/people", base_url=ORIGIN, headers={"Host": HOST}, data=whole).status_code == 403
    assert browser.console.people.list_all() == ()


@pytest.mark.parametrize("path", [*PAGES, "/static/console.css", "/nothing"])
def test_every_answer_has_the_headers_and_names_no_other_site(browser: ConsoleBrowser, path: str) -> None:
    response = browser.get(path)
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'")
    assert HEADERS["Cache-Control"] == "no-store"
    assert "//" not in browser.page.replace(" // ", "").replace("http://www.w3.org/2000/svg", "")
    assert "<script>" not in browser.page
    assert "style=" not in browser.page


def test_person_is_asked_before_anything_else(house_browser: ConsoleBrowser) -> None:
    assert house_browser.get("/").headers["Location"] == "/person"
    house_browser.get("/person")
    assert house_browser.post("/person", {"name": "  "}).status_code == 422
    assert house_browser.post("/person", {"name": "Sam  Example"}).headers["Location"] == "/"
    assert house_browser.get("/").status_code == 200
    assert "Sam Example" in house_browser.page
    (act,) = house_browser.console.people.list_acts(most=5)
    assert (act.act, act.about, act.by) == ("person-added", "person-1", "Sam Example")


@pytest.fixture
def house_browser(closed: ConsoleBrowser) -> ConsoleBrowser:
    """A browser with a session, before its person is chosen."""
    closed.open_link()
    return closed


def test_fault_of_a_page_is_logged_without_its_message(
    browser: ConsoleBrowser, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("words of a report")

    draft = browser.begin()
    monkeypatch.setattr("partner_sdk.console.writing.find_place", fail)
    assert browser.get(f"{draft}/at/incident").status_code == 500
    assert "words of a report" not in browser.page + caplog.text
    assert "A page failed: RuntimeError in test_door.py:" in caplog.text
