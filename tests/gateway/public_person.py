"""A person at the public door, without script: reads pages, fills forms, presses buttons, keeps cookies."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.test import Client, TestResponse

from gateway.wiring import Gateway
from partner_sdk.canonical import parse_base64url
from partner_sdk.envelope import Envelope
from partner_sdk.intake import peek_intake
from partner_sdk.key_files import KeyRole, load_xwing_private_key
from partner_sdk.padding import unpad
from partner_sdk.public_report import PublicReport, parse_public_report
from partner_sdk.sealing import make_suite
from partner_sdk.submission import report_context
from tests.builders import PUBLIC_ORIGIN, House

# Every answer of the shortest path: 8 answers.
SHORT_STORY = "Someone asked me for my address."
SHORT_ANSWERS: dict[str, dict[str, str | list[str]]] = {
    "/3": {"danger": "no"},
    "/4": {"under_18": "yes"},
    "/4b": {"who": "me"},
    "/5": {"age": "13_15"},
    "/7": {"kinds": ["extra_nice"]},
    "/9": {"story": SHORT_STORY},
    "/11": {"name": "Sam"},
    "/12": {"contact_ways": ["school"], "contact_value": "Ms Example"},
    "/12b": {},
}


class FormParser(HTMLParser):
    """Reads the hidden fields and the filled-in fields of the page's one form, as a browser would post them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.fields: MultiDict[str, str] = MultiDict()
        self.title = ""
        self.is_in_title = False
        self.area: str | None = None
        self.areas: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        kind = given.get("type", "text")
        if tag == "title":
            self.is_in_title = True
        elif tag == "textarea":
            self.area = given["name"]
            self.areas.append(self.area)
            self.fields.add(self.area, "")
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
    """Return what the page's form would post if nothing were changed."""
    parser = FormParser()
    parser.feed(answer.get_data(as_text=True))
    for name in parser.areas:
        # HTML drops the first line break of a textarea, whichever way it is spelled.
        value = parser.fields[name]
        parser.fields[name] = value[2:] if value.startswith("\r\n") else value.removeprefix("\n")
    return parser.fields


def read_title(answer: TestResponse) -> str:
    """Return the title of a page."""
    parser = FormParser()
    parser.feed(answer.get_data(as_text=True))
    return parser.title


@dataclass
class Person:
    """One browser: `page` is what it shows, `path` where that is."""

    app: Flask
    origin: str = PUBLIC_ORIGIN
    keeps_cookies: bool = True
    client: Client = field(init=False)
    page: TestResponse = field(init=False)
    path: str = "/"

    def __post_init__(self) -> None:
        self.client = self.app.test_client(use_cookies=self.keeps_cookies)

    def get(self, path: str, **headers: str) -> TestResponse:
        """Type an address, or follow a link if `headers` say so; redirects are followed by hand."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.get(path, base_url=self.origin, headers=sent)
        self.page, self.path = answer, path
        return answer

    def post(self, path: str, data: MultiDict[str, str], **headers: str) -> TestResponse:
        """Post a form and follow its redirect inside the site, as a browser does."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.post(path, base_url=self.origin, data=data, headers=sent)
        self.page, self.path = answer, path
        if answer.status_code == 303 and answer.location.startswith("/"):
            self.get(answer.location)
        return answer

    def fill(self, typed: dict[str, str | list[str]], action: str = "continue") -> MultiDict[str, str]:
        """Return this page's form with some fields changed."""
        form = read_form(self.page)
        for name, value in typed.items():
            form.setlist(name, [value] if isinstance(value, str) else value)
        form.setlist("action", [action])
        return form

    def press(self, action: str = "continue", **typed: str | list[str]) -> TestResponse:
        """Fill this page and press a button."""
        return self.post(self.path, self.fill(typed, action))

    def start(self, path: str = "/") -> "Person":
        """Come from outside and press Start."""
        self.get(path)
        assert self.page.status_code == 200, self.page.get_data(as_text=True)
        self.press("start")
        assert self.path == "/3"
        return self

    def walk_to(self, path: str, **changed: dict[str, str | list[str]]) -> "Person":
        """Answer screen after screen until the page at `path`; `changed` names answers by screen (`p9=...`)."""
        for _ in range(20):
            if self.path == path:
                return self
            answers = changed.get(f"p{self.path[1:]}", SHORT_ANSWERS.get(self.path, {}))
            self.press(**answers)
        raise AssertionError(f"never came to {path}, stands at {self.path}")

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
        rows = connection.exec_driver_sql("SELECT envelope, intake FROM reports ORDER BY sequence").all()
    for raw, intake in rows:
        envelope = Envelope.parse(raw)
        info = report_context(peek_intake(intake).clear).info(key_id=envelope.key_id)
        padded = make_suite().decrypt(envelope.box, private_key, info=info)
        reports.append(parse_public_report(unpad(padded, purpose="report", sender="public")))
    return reports


def list_files(folder: Path) -> list[Path]:
    """List every file of a state folder."""
    return [path for path in folder.rglob("*") if path.is_file()]
