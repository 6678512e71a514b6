"""Walks the pages over HTTP like a browser without script: the public form, and the desk's with a passkey in software.

The passkey never guards anything: its key lies in this process, and it confirms a person who is not there.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.demo.processes import DemoError
from partner_sdk.button.snippet import ELEMENT
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url

MOST_PAGES = 30
TIMEOUT_SECONDS = 20

Answers = Mapping[str, Sequence[str]]


class WalkError(DemoError):
    """A walk did not reach its page; the message names the last one by its heading."""


@dataclass
class Form:
    """One form of a page: the paths that its buttons send it to, and its hidden fields."""

    paths: list[str] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=dict)


@dataclass
class Page:
    """The visible content of one page: heading, reference and return code if present, texts, and first form.

    `hidden` has the hidden fields of all forms, `forms` those of each.
    """

    heading: str = ""
    reference: str = ""
    words: str = ""
    texts: list[str] = field(default_factory=list)
    action: str = ""
    hidden: list[tuple[str, str]] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    def list_hidden(self, path: str) -> dict[str, str]:
        """Return the hidden fields of the form that is sent to a path; of another path, only a form's token."""
        found = next((form.hidden for form in self.forms if path in form.paths), None)
        return found if found is not None else {"csrf_token": dict(self.hidden).get("csrf_token", "")}


class _PageReader(HTMLParser):
    """Collects the parts of a page that the walk needs."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.page.forms.append(Form())
            self.page.action = self.page.action or given.get("action", "")
        if self.page.forms:
            given_paths = [given[name] for name in ("action", "formaction") if name in given]
            self.page.forms[-1].paths += [path.partition("#")[0] for path in given_paths]
        if tag == "input" and given.get("type") == "hidden":
            self.page.hidden.append((given["name"], given.get("value", "")))
            if self.page.forms:
                self.page.forms[-1].hidden[given["name"]] = given.get("value", "")
        elif tag in {"input", "textarea", "select"} and "name" in given and given.get("tabindex") != "-1":
            self.page.fields.setdefault(given["name"], []).append(given.get("value", ""))
        elif tag == "button" and "name" in given:
            self.page.buttons.append((given["name"], given.get("value", "")))
        elif tag == "h1":
            self._inside = "heading"
        else:
            classes = given.get("class", "").split()
            named = (name for name in ("words", "reference", "said") if name in classes)
            self._inside = next(named, self._inside)

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "heading":
            self.page.heading += data
        elif self._inside == "reference":
            self.page.reference += data.strip()
        elif self._inside == "words":
            self.page.words += data.strip()
        elif self._inside == "said":
            self.page.texts.append(data)


def read_page(text: str) -> Page:
    """Return the parsed page."""
    reader = _PageReader()
    reader.feed(text)
    return reader.page


class _ButtonReader(HTMLParser):
    """Finds the link inside the button's element."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == ELEMENT:
            self._is_inside = True
        elif tag == "a" and self._is_inside:
            self.links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._is_inside = self._is_inside and tag != ELEMENT


def read_button(address: str, *, origin: str) -> str:
    """Return the path and query of the button's link on a service's page; raise `WalkError`."""
    reader = _ButtonReader()
    reader.feed(requests.get(address, timeout=TIMEOUT_SECONDS).text)
    if len(reader.links) != 1 or not reader.links[0].startswith(f"{origin}/?from="):
        raise WalkError(f"{address} has no button with a link to {origin}.")
    # Browsers do not send the fragment.
    return reader.links[0].removeprefix(origin).partition("#")[0]


def _take_way_on(buttons: Sequence[tuple[str, str]], left: dict[str, Sequence[str]]) -> tuple[str, str]:
    """Return the button to press: an answer with its own button, or else the first action of the page."""
    for name, value in buttons:
        if value in left.get(name, ()):
            del left[name]
            return name, value
    return next((button for button in buttons if button[0] == "action"), buttons[0])


def walk_to_thanks(
    origin: str,
    answers: Answers,
    *,
    entry: str = "/",
    session: requests.Session | None = None,
    on_page: Callable[[str], None] = lambda _: None,
) -> Page:
    """Fill in the form at `origin` and return the thank-you page; raises `WalkError` otherwise.

    `entry` is the path of a button's link, or the start page. `on_page` is called with the heading of every page. An
    answer whose field never appears is an error.
    """
    with session or requests.Session() as browser:
        left = dict(answers)
        response = browser.get(origin + entry, timeout=TIMEOUT_SECONDS)
        for _ in range(MOST_PAGES):
            page = read_page(response.text)
            on_page(page.heading)
            if response.status_code != 200:
                raise WalkError(f"The page {page.heading!r} answered {response.status_code}.")
            if page.reference:
                if left:
                    raise WalkError(f"No page of the form asked for {', '.join(sorted(left))}.")
                return page
            if not page.action or not page.buttons:
                raise WalkError(f"The page {page.heading!r} leads nowhere.")
            data = [*page.hidden]
            for name in page.fields:
                data += [(name, value) for value in left.pop(name, ())]
            data.append(_take_way_on(page.buttons, left))
            response = browser.post(urljoin(response.url, page.action), data=data, timeout=TIMEOUT_SECONDS)
        raise WalkError(f"The form did not end within {MOST_PAGES} pages; the last was {page.heading!r}.")


def read_replies(origin: str, *, reference: str, words: str, session: requests.Session | None = None) -> list[str]:
    """Return with number and words in a new browser, and return the replies shown; raises `WalkError`."""
    with session or requests.Session() as browser:
        page = read_page(browser.get(f"{origin}/16", timeout=TIMEOUT_SECONDS).text)
        data = [*page.hidden, ("reference", reference), ("words_typed", words), ("action", "continue")]
        answer = browser.post(urljoin(origin, page.action), data=data, timeout=TIMEOUT_SECONDS)
        found = read_page(answer.text)
    if found.reference != reference:
        raise WalkError(f"The number and the words led to {found.heading!r}.")
    return found.texts


# Flags of the authenticator data (WebAuthn §6.1): present, verified, attested data follows.
PRESENT: Final = 0x01
VERIFIED: Final = 0x04
_ATTESTED: Final = 0x40
_NO_MODEL: Final = bytes(16)
# CBOR (RFC 8949) of a COSE key {1: 1, 3: -8, -1: 6, -2: <32 bytes>}: OKP, EdDSA, Ed25519 (RFC 9053 §7.2).
_COSE_ED25519: Final = bytes.fromhex("a4010103272006215820")
# CBOR of {"fmt": "none", "attStmt": {}, "authData": <two bytes of length>}.
_NO_ATTESTATION: Final = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"


class SoftPasskey:
    """One device of one person. `counter` goes up with each step-up; a test may set it back."""

    def __init__(self, origin: str, *, random: Callable[[int], bytes], flags: int = PRESENT | VERIFIED) -> None:
        self.origin = origin
        self.flags = flags
        self.counter = 0
        self.credential_id = random(32)
        self.handle = b""
        self._private_key = Ed25519PrivateKey.from_private_bytes(random(32))

    def register(self, options: Mapping[str, Any]) -> str:
        """Return the JSON that a browser makes of `navigator.credentials.create(options)`."""
        self.handle = parse_base64url(options["user"]["id"])
        key = _COSE_ED25519 + self._private_key.public_key().public_bytes_raw()
        length = len(self.credential_id).to_bytes(2, "big")
        data = self._make_data(options["rp"]["id"], flags=self.flags | _ATTESTED)
        data += _NO_MODEL + length + self.credential_id + key
        attestation = _NO_ATTESTATION + len(data).to_bytes(2, "big") + data
        client_data = self._make_client_data("webauthn.create", options)
        return self._make_answer(attestationObject=attestation, clientDataJSON=client_data)

    def step_up(self, options: Mapping[str, Any]) -> str:
        """Return the JSON that a browser makes of `navigator.credentials.get(options)`."""
        self.counter += 1
        client_data = self._make_client_data("webauthn.get", options)
        data = self._make_data(options["rpId"], flags=self.flags)
        signature = self._private_key.sign(data + hashlib.sha256(client_data).digest())
        return self._make_answer(
            authenticatorData=data, clientDataJSON=client_data, signature=signature, userHandle=self.handle
        )

    def _make_data(self, rp_id: str, *, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _make_client_data(self, kind: str, options: Mapping[str, Any]) -> bytes:
        return encode({"challenge": options["challenge"], "crossOrigin": False, "origin": self.origin, "type": kind})

    def _make_answer(self, **parts: bytes) -> str:
        own_id = to_base64url(self.credential_id)
        response = {name: to_base64url(part) for name, part in parts.items()}
        return json.dumps({"id": own_id, "rawId": own_id, "response": response, "type": "public-key"})


_BEGIN: Final = re.compile(r'data-begin="(/releases/[0-9]+/begin)"')
_ACTION_ID: Final = re.compile(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")


class DeskWalk:
    """One person, signed in at the desk's pages by a one-time address.

    supervisor = DeskWalk(address)
    supervisor.sign("/digests/2026-Q3.example-chat", "release")
    """

    def __init__(self, start: str) -> None:
        """Register a passkey by the one-time address; raises `WalkError`."""
        self._start, parts = start, urlsplit(start)
        self._passkey = SoftPasskey(f"{parts.scheme}://{parts.netloc}", random=secrets.token_bytes)
        self._browser = requests.Session()
        begun = self._begin(parts.path, f"{parts.path}/begin")
        form = {"answer": self._passkey.register(begun["options"]), "label": "made by the demonstration"}
        self.send(parts.path, f"{parts.path}/register", statement=begun["statement"], **form)

    def close(self) -> None:
        """Close the connection."""
        self._browser.close()

    def read(self, path: str) -> str:
        """Return a page."""
        return self._browser.get(self._at(path), timeout=TIMEOUT_SECONDS).text

    def show(self, shown: str, path: str, **fields: str | Sequence[str]) -> str:
        """Send a form and return the page that it answers with. `shown` is the page with the form, or its path."""
        answer = self._post(shown, path, **fields)
        if answer.status_code != HTTPStatus.OK:
            raise _make_refusal(answer)
        return answer.text

    def send(self, shown: str, path: str, **fields: str | Sequence[str]) -> str:
        """Send a form as `show` does, and return the path of the next page."""
        answer = self._post(shown, path, **fields)
        if answer.status_code != HTTPStatus.SEE_OTHER:
            raise _make_refusal(answer)
        return str(answer.headers["Location"])

    def sign(self, page: str, action: str, *, after: str = "") -> None:
        """Sign the draft on a page with the passkey; `after` names a form of that page which shows the draft first."""
        text = self.show(page, f"{page}/{after}") if after else self.read(page)
        found = _BEGIN.search(text)
        if found is None:
            raise WalkError(f"There is nothing to sign at {page}.")
        begun = self._begin(page, found[1])
        answer = self._passkey.step_up(begun["options"])
        self.send(page, f"{page}/{action}", statement=begun["statement"], answer=answer)

    def _at(self, path: str) -> str:
        return urljoin(self._start, path)

    def _post(self, shown: str, path: str, **fields: str | Sequence[str]) -> requests.Response:
        page = read_page(shown if "<" in shown else self.read(shown))
        form = {**page.list_hidden(path), **fields}
        answer = self._browser.post(self._at(path), data=form, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        if answer.status_code != HTTPStatus.UNAUTHORIZED or path.startswith("/step-up"):
            return answer
        # The desk asks for a step-up of the last five minutes, and then takes the form again.
        begun = self._begin("/passkeys", "/step-up/begin")
        answered = {"statement": begun["statement"], "answer": self._passkey.step_up(begun["options"])}
        self.show("/passkeys", "/step-up", **answered)
        return self._browser.post(self._at(path), data=form, timeout=TIMEOUT_SECONDS, allow_redirects=False)

    def _begin(self, shown: str, path: str) -> Any:
        return json.loads(self.show(shown, path))


def get_action_id(path: str) -> str:
    """Return the id at the end of the path of an action's page; raises `WalkError`."""
    found = _ACTION_ID.search(urlsplit(path).path)
    if found is None:
        raise WalkError(f"{path} is not the page of an action.")
    return found[1]


def _make_refusal(answer: requests.Response) -> WalkError:
    place = urlsplit(answer.url).path
    return WalkError(f"The desk answered {answer.status_code} at {place}: {read_page(answer.text).heading}")
