"""Walks the desk's pages over HTTP as a person with a passkey in software: fills in forms and signs releases."""

import re
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests

from gateway.demo.form_walk import TIMEOUT_SECONDS, FormWalkError, read_page
from gateway.demo.soft_passkey import SoftPasskey

_BEGIN: Final = re.compile(r'data-begin="(/releases/[0-9]+/begin)"')
_ACTION_ID: Final = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")


class DeskWalk:
    """One person, signed in at the desk's pages by a one-time address.

    supervisor = DeskWalk(address)
    supervisor.sign("/digests/2026-Q3.example-chat", "release")
    """

    def __init__(self, start: str) -> None:
        """Register a passkey by the one-time address; raises `FormWalkError`."""
        self._start = start
        parts = urlsplit(start)
        self._passkey = SoftPasskey(f"{parts.scheme}://{parts.netloc}", random=secrets.token_bytes)
        self._browser = requests.Session()
        begun = self._begin(start, f"{start}/begin")
        form = {"answer": self._passkey.register(begun["options"]), "label": "made by the demonstration"}
        self._move(start, f"{start}/register", statement=begun["statement"], **form)

    def close(self) -> None:
        """Close the connection."""
        self._browser.close()

    def read(self, path: str) -> str:
        """Return a page."""
        return self._browser.get(self._at(path), timeout=TIMEOUT_SECONDS).text

    def show(self, shown: str, path: str, **fields: str | Sequence[str]) -> str:
        """Send a form of the page `shown`, and return the page that it answers with."""
        answer = self._post(self._at(shown), self._at(path), **fields)
        if answer.status_code != HTTPStatus.OK:
            raise _make_refusal(answer)
        return answer.text

    def send(self, shown: str, path: str, **fields: str | Sequence[str]) -> str:
        """Send a form of the page `shown`, and return the path of the next page."""
        return self._move(self._at(shown), self._at(path), **fields)

    def sign(self, page: str, action: str, *, after: str = "") -> None:
        """Sign the draft on a page with the passkey; `after` names a form of that page which shows the draft first."""
        address = self._at(page)
        text = self.show(page, f"{page}/{after}") if after else self.read(page)
        found = _BEGIN.search(text)
        if found is None:
            raise FormWalkError(f"There is nothing to sign at {page}.")
        begun = self._begin(address, self._at(found[1]))
        answer = self._passkey.touch(begun["options"])
        self._move(address, f"{address}/{action}", statement=begun["statement"], answer=answer)

    def _at(self, path: str) -> str:
        return urljoin(self._start, path)

    def _post(self, shown: str, address: str, **fields: str | Sequence[str]) -> requests.Response:
        token = dict(read_page(self._browser.get(shown, timeout=TIMEOUT_SECONDS).text).hidden).get("csrf_token", "")
        form = {"csrf_token": token, **fields}
        return self._browser.post(address, data=form, timeout=TIMEOUT_SECONDS, allow_redirects=False)

    def _begin(self, shown: str, address: str) -> Any:
        answer = self._post(shown, address)
        if answer.status_code != HTTPStatus.OK:
            raise _make_refusal(answer)
        return answer.json()

    def _move(self, shown: str, address: str, **fields: str | Sequence[str]) -> str:
        answer = self._post(shown, address, **fields)
        if answer.status_code != HTTPStatus.SEE_OTHER:
            raise _make_refusal(answer)
        return str(answer.headers["Location"])


def get_action_id(path: str) -> str:
    """Return the id at the end of the path of an action's page; raises `FormWalkError`."""
    found = _ACTION_ID.search(urlsplit(path).path)
    if found is None:
        raise FormWalkError(f"{path} is not the page of an action.")
    return found[1]


def _make_refusal(answer: requests.Response) -> FormWalkError:
    place = urlsplit(answer.url).path
    return FormWalkError(f"The desk answered {answer.status_code} at {place}: {read_page(answer.text).heading}")
