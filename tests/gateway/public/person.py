"""A person at the public door, without script: reads pages, fills forms, presses buttons, keeps cookies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.test import Client, TestResponse

from gateway.exchange.public_report import PublicReport, parse_public_report
from gateway.wiring import Gateway
from partner_sdk.key_files import KeyRole, load_xwing_private_key
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.receipts import SIGNED_INTAKE
from partner_sdk.wire.sealing import Envelope, make_suite, unpad
from partner_sdk.wire.submission import report_context
from tests.builders import PUBLIC_ORIGIN, House

# What the shortest path is answered with here; the pages that need no answer are passed by.
SHORT_STORY = "Someone asked me for my address."
SHORT_ANSWERS: dict[str, dict[str, str | list[str]]] = {
    "/2": {},
    "/3": {"danger": "no"},
    "/4": {"age": "13_15"},
    "/4b": {"who": "me"},
    "/6": {"region": "england"},
    "/7": {"kinds": ["extra_nice"]},
    "/9": {"story": SHORT_STORY},
    "/9a": {},
    "/11": {"name": "Sam"},
    "/12": {"contact_ways": ["school"], "school": "Ms Example"},
}
# Buttons that stand in the place of Continue, or beside it: a browser posts the one that was pressed.
NAMED_BUTTONS = ("called", "more", "more_person", "more_safe")
CHECK, THANKS = "/14", "/15"
# The pages that can wait: a button of the check page leads to them.
LATER_PAGES = ("/10", "/10a", "/12a", "/12b")


def wants_more(way: Mapping[str, object]) -> bool:
    """Return whether a way goes past the pages that can wait."""
    return CHECK in way or any(path in way for path in LATER_PAGES)


def list_answers(path: str, way: Mapping[str, dict[str, str | list[str]]]) -> dict[str, str | list[str]]:
    """Return the answers of a way at a page; at the check page it presses the button to the pages that can wait."""
    return {"more": "yes"} if path == CHECK else way.get(path, {})


def merge_answers(
    way: Mapping[str, dict[str, str | list[str]]], changed: Mapping[str, dict[str, str | list[str]]]
) -> dict[str, dict[str, str | list[str]]]:
    """Return a way with some answers changed, which are named by their screen, e.g. `p9` for "/9"."""
    return {**way, **{f"/{place[1:]}": answer for place, answer in changed.items()}}


class FormParser(HTMLParser):
    """Reads the hidden fields and the filled-in fields of the page's one form, as a browser would post them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.fields: MultiDict[str, str] = MultiDict()
        self.title = ""
        self.is_in_title = False
        self.area: str | None = None
        self.areas: list[str] = []
        self.select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        kind = given.get("type", "text")
        if tag == "title":
            self.is_in_title = True
        elif tag == "textarea" and "name" in given:
            self.area = given["name"]
            self.areas.append(self.area)
            self.fields.add(self.area, "")
        elif tag == "option" and "selected" in given:
            self.fields.add(self.select, given["value"])
        elif tag == "select":
            self.select = given["name"]
        elif tag == "input" and (kind not in {"radio", "checkbox"} or "checked" in given):
            self.fields.add(given["name"], given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self.is_in_title = False
        elif tag == "textarea":
            self.area = None

    def handle_data(self, data: str) -> None:
        if self.is_in_title:
            self.title += data
        elif self.area is not None:
            self.fields[self.area] += data


def read_form(answer: TestResponse) -> MultiDict[str, str]:
    """Return the unchanged post of the page's form."""
    parser, text = FormParser(), answer.get_data(as_text=True)
    parser.feed(text[max(0, text.find("<main")) : text.rfind("</main>")])
    for name in parser.areas:
        # HTML drops the first line break of a textarea, whichever way it is spelled.
        value = parser.fields[name]
        parser.fields[name] = value[2:] if value.startswith("\r\n") else value.removeprefix("\n")
    return parser.fields


def fill_form(
    form: MultiDict[str, str], typed: Mapping[str, str | list[str]], action: str = "continue"
) -> MultiDict[str, str]:
    """Change some fields of a form, and press a button."""
    for name, value in typed.items():
        form.setlist(name, [value] if isinstance(value, str) else value)
    if action != "continue" or not set(typed) & set(NAMED_BUTTONS):
        form.setlist("action", [action])
    return form


def hide_tokens(page: str) -> str:
    """Return a page without its random values: three digits in a row in a token are no phone number."""
    return re.sub(r'(<input type="hidden" name="(?:csrf_token|journey)" value=")[^"]*', r"\1", page)


def read_title(answer: TestResponse) -> str:
    """Return the title of a page."""
    parser = FormParser()
    parser.feed(answer.get_data(as_text=True))
    return parser.title


@dataclass
class Person:
    """One browser: `page` is the shown page, `path` its address."""

    app: Flask
    origin: str = PUBLIC_ORIGIN
    keeps_cookies: bool = True
    language: str = ""  # what the browser asks for
    address: str = "127.0.0.1"
    client: Client = field(init=False)
    page: TestResponse = field(init=False)
    path: str = "/"
    has_said_more: bool = False

    def __post_init__(self) -> None:
        self.client = self.app.test_client(use_cookies=self.keeps_cookies)
        self.client.environ_base["REMOTE_ADDR"] = self.address

    @property
    def cookie(self) -> str:
        """Return the value of the one cookie of the form."""
        cookie = self.client.get_cookie(self.app.config["SESSION_COOKIE_NAME"], domain=self._host)
        return "" if cookie is None else cookie.value

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie(self.app.config["SESSION_COOKIE_NAME"], value, domain=self._host)

    @property
    def _host(self) -> str:
        return str(urlsplit(self.origin).hostname)

    def get(self, path: str, **headers: str) -> TestResponse:
        """Type an address, or follow a link if `headers` ask for it; redirects are followed by hand."""
        answer = self.client.get(path, base_url=self.origin, headers=self._make_headers(headers))
        self.page, self.path = answer, path.partition("#")[0]
        return answer

    def post(self, path: str, data: MultiDict[str, str], **headers: str) -> TestResponse:
        """Post a form and follow its redirects inside the site, as a browser does."""
        answer = self.client.post(path, base_url=self.origin, data=data, headers=self._make_headers(headers))
        self.page, self.path = answer, path
        while self.page.status_code == 303 and self.page.location.startswith("/"):
            self.get(self.page.location)
        return answer

    def _make_headers(self, headers: dict[str, str]) -> dict[str, str]:
        asked = {"Accept-Language": self.language} if self.language else {}
        return asked | {name.replace("_", "-"): value for name, value in headers.items()}

    def fill(self, typed: dict[str, str | list[str]], action: str = "continue") -> MultiDict[str, str]:
        """Return this page's form with some fields changed."""
        return fill_form(read_form(self.page), typed, action)

    def press(self, action: str = "continue", **typed: str | list[str]) -> TestResponse:
        """Fill this page and press a button."""
        self.has_said_more |= "more" in typed
        return self.post(self.path, self.fill(typed, action))

    def post_only(self, **typed: str | list[str]) -> TestResponse:
        """Fill this page and press Continue, but do not follow where that leads."""
        return self.client.post(self.path, base_url=self.origin, data=self.fill(typed), headers=self._make_headers({}))

    def start(self, path: str = "/") -> "Person":
        """Come from outside and press Start."""
        self.get(path)
        assert self.page.status_code == 200, self.page.get_data(as_text=True)
        self.press("start")
        assert self.path == "/2"
        return self

    def walk_to(
        self,
        path: str,
        way: Mapping[str, dict[str, str | list[str]]] = SHORT_ANSWERS,
        **changed: dict[str, str | list[str]],
    ) -> "Person":
        """Answer screen after screen until the page at `path`; `changed` names answers by screen (`p9=...`)."""
        answers = merge_answers(way, changed)
        for _ in range(30):
            if self.path == path and (path != CHECK or self.has_said_more or not wants_more(answers)):
                return self
            self.press(**list_answers(self.path, answers))
        raise AssertionError(f"never came to {path}, stands at {self.path}")

    def hurry_to(
        self,
        path: str,
        way: Mapping[str, dict[str, str | list[str]]] = SHORT_ANSWERS,
        **changed: dict[str, str | list[str]],
    ) -> "Person":
        """Post screen after screen from the first until the page at `path` or the check page; open that one alone."""
        self.be_led_to(path, merge_answers(way, changed))
        self.get(self.path)
        return self

    def be_led_to(self, path: str, answers: Mapping[str, dict[str, str | list[str]]]) -> list[str]:
        """Post screen after screen until a redirect names `path` or the check page; return all paths, the last too.

        No redirect is followed.

        The form of the first page serves for all: only the version of the draft differs, which each post but the
        first raises.
        """
        assert self.path == "/2"
        form, posts, paths = read_form(self.page), 0, [self.path]
        while self.path not in (path, CHECK):
            posted = fill_form(form.copy(), list_answers(self.path, answers))
            posted["version"] = str(max(0, posts - 1))
            answer = self.client.post(self.path, base_url=self.origin, data=posted, headers=self._make_headers({}))
            assert answer.status_code == 303, answer.get_data(as_text=True)
            self.path, posts = answer.location, posts + 1
            paths.append(self.path)
        return paths

    def list_pages(self, way: Mapping[str, dict[str, str | list[str]]]) -> list[str]:
        """Walk a whole way and send; return every page on it in order, from the first after Start to the thank-you."""
        self.start()
        pages = [self.path]
        while self.path != THANKS:
            is_last = self.path == CHECK and (self.has_said_more or not wants_more(way))
            self.press(*(["send"] if is_last else []), **({} if is_last else list_answers(self.path, way)))
            pages.append(self.path)
        return pages

    def walk_to_next(self, **answers: str | list[str]) -> "Person":
        """Answer the page that is shown, as on the shortest path unless `answers` differ."""
        self.press(**(answers or list_answers(self.path, SHORT_ANSWERS)))
        return self

    def send(self) -> "Person":
        """Press Send on the check page."""
        assert self.path == "/14"
        self.press("send")
        return self

    def text(self) -> str:
        """Return the page as HTML."""
        return self.page.get_data(as_text=True)


def open_public_reports(house: House, gateway: Gateway) -> list[PublicReport]:
    """Open every stored report with the agency's key, as the desk would: a reader of our own, not the desk's code."""
    private_key = load_xwing_private_key(parse_base64url(house.agency.key(KeyRole.SEALING).secret))
    reports = []
    with gateway.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT envelope, intake FROM reports ORDER BY position").all()
    for raw, intake in rows:
        envelope = Envelope.parse(raw)
        info = report_context(SIGNED_INTAKE.peek(intake).clear).info(key_id=envelope.key_id)
        padded = make_suite().decrypt(envelope.box, private_key, info=info)
        reports.append(parse_public_report(unpad(padded, purpose="report", sender="public")))
    return reports


def list_files(folder: Path) -> list[Path]:
    """List every file of a state folder."""
    return [path for path in folder.rglob("*") if path.is_file()]
