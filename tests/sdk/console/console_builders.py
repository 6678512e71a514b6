"""A console before a gateway, and a person's browser without a network."""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from requests.adapters import BaseAdapter
from werkzeug.test import TestResponse

from partner_sdk.console.app import make_console_app
from partner_sdk.console.page import Console
from partner_sdk.console.session import Door
from tests.builders import StillClock
from tests.sdk.sdk_builders import session_for

HOST = "127.0.0.1:40123"
ORIGIN = f"http://{HOST}"
TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
SEEN = re.compile(r'name="seen" value="([^"]+)"')
# Every answer that a report needs, by page of its draft.
ANSWERS: dict[str, dict[str, Any]] = {
    "case": {"category": "grooming", "sub_label": "none", "priority_reason": "Synthetic reason."},
    "reporter": {
        "declaration": "yes",
        "organisation": "Example Chat Ltd",
        "sector": "online",
        "service": "Example Chat",
        "submitter_name": "Sam Example",
        "submitter_email": "safety@example.com",
        "submitter_telephone": "+44 20 7946 0000",
    },
    "discovery": {"discovered_by": "moderator", "detected_at": "2026-11-24T18:45"},
    "incident": {
        "happened_at": "2026-11-24T18:30",
        "time_meaning": "When the last message was sent.",
        "medium": "chat",
        "narrative": "Synthetic words of the report.\r\nSecond line.",
    },
}

FILE_ANSWERS = {
    "relevance": "reported",
    "viewed_by_staff": "yes",
    "exif_viewed_by_staff": "no",
    "copy_kept_until": "none",
}


class ConsoleBrowser:
    """A browser at one console; it keeps cookies and sends the headers that a browser sends."""

    def __init__(
        self,
        folder: Path,
        adapter: BaseAdapter | None = None,
        *,
        person: str | None = "Sam Example",
        open_session: Callable[[], requests.Session] = requests.Session,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.console = Console(
            state=folder,
            ca_file=None,
            clock=clock or StillClock(),
            open_session=open_session if adapter is None else lambda: session_for(adapter),
            sleep=lambda _: None,
        )
        self.door = Door(host=HOST, person=person)
        self.app: Flask = make_console_app(self.console, self.door)
        self.client = self.app.test_client()
        self.page = ""
        self.token = ""

    def open_link(self) -> TestResponse:
        return self.get(self.door.link.removeprefix(ORIGIN))

    def get(self, path: str, **headers: str) -> TestResponse:
        named = {"Host": HOST, "Sec-Fetch-Site": "none", **headers}
        return self._keep(self.client.get(path, base_url=ORIGIN, headers=named))

    def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> TestResponse:
        """Post a form with the token of the last form."""
        token = {"form_token": self.token}
        named = {"Host": HOST, "Sec-Fetch-Site": "same-origin", "Origin": ORIGIN, **headers}
        return self._keep(self.client.post(path, base_url=ORIGIN, headers=named, data={**token, **(fields or {})}))

    def follow(self, response: TestResponse) -> TestResponse:
        assert response.status_code == 303, self.page
        return self.get(response.headers["Location"])

    def fill(self, path: str, fields: dict[str, Any], *, go: str = "save") -> TestResponse:
        """Open a page of a draft, fill it in and press a button."""
        assert self.get(path).status_code == 200, self.page
        seen = SEEN.search(self.page)
        assert seen is not None
        return self.post(path, {"seen": seen[1], "go": go, **fields})

    def begin(self, priority: str = "P2") -> str:
        """Begin a draft and return the path of its contents."""
        self.get("/reports/new")
        return self.post("/reports/new", {"priority": priority, "kind": "initial"}).headers["Location"]

    def begin_whole(self, priority: str = "P2") -> str:
        """Begin a draft with every answer that a report needs."""
        draft = self.begin(priority)
        for page, fields in ANSWERS.items():
            assert self.fill(f"{draft}/at/{page}", fields).status_code == 303, self.page
        return draft

    def _keep(self, response: TestResponse) -> TestResponse:
        if response.status_code != 303:
            self.page = response.get_data(as_text=True)
            found = TOKEN.search(self.page)
            self.token = self.token if found is None else found[1]
        return response
