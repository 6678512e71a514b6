"""Walks the desk's pages over HTTP as a person with a passkey in software: registers it, and signs a release."""

import re
import secrets
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests

from gateway.demo.form_walk import TIMEOUT_SECONDS, FormWalkError, read_page
from gateway.demo.soft_passkey import SoftPasskey

_BEGIN: Final = re.compile(r'data-begin="(/releases/[0-9]+/begin)"')


def sign_release(start: str, page: str, action: str) -> None:
    """Register a passkey by a one-time address, and sign the draft on a page; raise `FormWalkError`.

    Example: `sign_release(address, "/digests/2026-Q3.example-chat", "release")`.
    """
    parts = urlsplit(start)
    passkey = SoftPasskey(f"{parts.scheme}://{parts.netloc}", random=secrets.token_bytes)
    with requests.Session() as browser:

        def post(shown: str, address: str, **fields: str) -> requests.Response:
            token = dict(read_page(browser.get(shown, timeout=TIMEOUT_SECONDS).text).hidden).get("csrf_token", "")
            form = {"csrf_token": token, **fields}
            return browser.post(address, data=form, timeout=TIMEOUT_SECONDS, allow_redirects=False)

        def begin(shown: str, address: str) -> Any:
            answer = post(shown, address)
            if answer.status_code != HTTPStatus.OK:
                raise FormWalkError(f"The desk answered {answer.status_code} to {urlsplit(address).path}.")
            return answer.json()

        begun = begin(start, f"{start}/begin")
        form = {"answer": passkey.register(begun["options"]), "label": "made by the demonstration"}
        _check_moved(post(start, f"{start}/register", statement=begun["statement"], **form))
        address = urljoin(start, page)
        found = _BEGIN.search(browser.get(address, timeout=TIMEOUT_SECONDS).text)
        if found is None:
            raise FormWalkError(f"There is nothing to sign at {page}.")
        begun = begin(address, urljoin(start, found[1]))
        answer = passkey.touch(begun["options"])
        _check_moved(post(address, f"{address}/{action}", statement=begun["statement"], answer=answer))


def _check_moved(answer: requests.Response) -> None:
    if answer.status_code != HTTPStatus.SEE_OTHER:
        raise FormWalkError(f"The desk answered {answer.status_code}: {read_page(answer.text).heading}")
