"""The form that writes the button's lines for a page, e.g. `/for-services?link_name=Example+Chat&flavour=react`.

Its four answers are in the address, so that a manager can send the filled-in page to a developer: nothing in them is
about a person. Each is parsed strictly; one that is not agreed is asked for again and makes no lines.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

from gateway.public.pages.screen_page import FieldView, OptionView
from gateway.public.wording import ServiceWording
from partner_sdk.button.frameworks import FILE_NAMES, FLAVOUR_NAMES, FLAVOURS, make_flavour
from partner_sdk.button.snippet import FORMS, LANGUAGES, make_policy, make_style
from partner_sdk.wire.intake import PLACEMENT_MAX
from partner_sdk.wire.placement import is_placement

SnippetFault = Literal["blank", "bad", "mail", "twice"]
LINK_NAME: Final = "link_name"
# The other fields, each with its choices; the first is picked beforehand, except for the language: that of the page.
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"language": LANGUAGES, "flavour": FLAVOURS, "form": FORMS}
_MOST_OF_A_NAME: Final = 200
_SCHEME: Final = re.compile(r"^[a-z][a-z0-9+.-]*://")
_ADDRESS: Final = re.compile(r"[^\s/?#@]+\.[^\s/?#@]+([/?#].*)?")
_MAIL_ADDRESS: Final = re.compile(r"[^\s@]@[^\s@]")


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers as they stand in the address, with a default for each that is missing, and the fault of each."""

    answers: Mapping[str, str]
    faults: Mapping[str, SnippetFault]
    is_blank: bool

    @property
    def query(self) -> str:
        """The answers for an address, so that a post keeps them: `?link_name=...`, or nothing if none was given."""
        return "" if self.is_blank else f"?{urlencode(self.answers)}"


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines to paste, the name of their file, and the source that a strict Content-Security-Policy needs."""

    flavour: str
    link_id: str
    text: str
    file_name: str
    policy: str


def read_snippet_form(get_asked: Callable[[str], Sequence[str]], *, language: str) -> Asked:
    """Read and judge the four answers, e.g. with `request.args.getlist`; `language` is that of the page."""
    given = {name: get_asked(name) for name in (LINK_NAME, *CHOICES)}
    is_blank = not any(given.values())
    answers: dict[str, str] = {}
    faults: dict[str, SnippetFault] = {}
    for name, sent in given.items():
        default = language if name == "language" else CHOICES.get(name, ("",))[0]
        # One more than fits, so that a mistaken paste is still too long when it comes back.
        answers[name] = sent[0][: _MOST_OF_A_NAME + 1] if sent else default
        fault = "twice" if len(sent) > 1 else _find_fault(name, answers[name])
        if fault and not is_blank:
            faults[name] = fault
    return Asked(answers, faults, is_blank)


def write_lines(asked: Asked, *, origin: str) -> Lines | None:
    """Return the lines for answers without a fault; None for a blank form or a faulty one."""
    link_id = find_link_id(asked.answers[LINK_NAME])
    if asked.is_blank or asked.faults or link_id is None:
        return None
    style = make_style(language=asked.answers["language"], form=asked.answers["form"], size=44)
    flavour = next(one for one in FLAVOURS if one == asked.answers["flavour"])
    return Lines(
        flavour=flavour,
        link_id=link_id,
        text=make_flavour(flavour, origin=origin, placement=link_id, style=style).rstrip("\n"),
        file_name=FILE_NAMES[flavour],
        policy=make_policy(origin, form=style.form, by="host").line,
    )


def make_snippet_fields(asked: Asked, words: ServiceWording) -> list[FieldView]:
    """Make the form's fields for the template, filled in as they were asked for."""
    return [_make_field(name, asked, words) for name in (LINK_NAME, *CHOICES)]


def find_link_id(typed: str) -> str | None:
    """Return the link id for a typed name, address or link id; None if it has no letter or digit for one.

    E.g. `example-chat` for `Example Chat`, and `chat-example` for `https://www.chat.example:8443/rooms`. None for an
    email address as well: the link id is public, and a person's address must not become part of it.
    """
    name = typed.strip()
    if is_placement(name):
        return name
    plain = _make_plain(name)
    if len(name) > _MOST_OF_A_NAME or _holds_mail_address(plain):
        return None
    address = _SCHEME.sub("", plain)
    if address != plain or _ADDRESS.fullmatch(plain):
        # Without the login and the port (RFC 3986 §3.2).
        host = re.sub(r":\d*$", "", re.split(r"[/?#\\]", address)[0].rpartition("@")[2])
        if ":" in host:
            return None  # no host, but e.g. half of a login whose password has a slash
        plain = host.removeprefix("www.")
    link_id = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:PLACEMENT_MAX].rstrip("-")
    return link_id if is_placement(link_id) else None


def _find_fault(name: str, answer: str) -> SnippetFault | None:
    if name in CHOICES:
        return None if answer in CHOICES[name] else "bad"
    if not answer.strip():
        return "blank"
    if find_link_id(answer) is not None:
        return None
    return "mail" if _holds_mail_address(_make_plain(answer.strip())) else "bad"


def _make_plain(name: str) -> str:
    # Letters with accents become plain ones: NFKD puts the accent behind its letter, and ASCII drops it.
    return unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()


def _holds_mail_address(plain: str) -> bool:
    """Return whether a name holds an email address; a web address may have a login before its host and any path."""
    is_address = _SCHEME.search(plain) is not None or _ADDRESS.fullmatch(plain) is not None
    return not is_address and _MAIL_ADDRESS.search(plain) is not None


def _make_field(name: str, asked: Asked, words: ServiceWording) -> FieldView:
    said, answer, fault = words["html"][name], asked.answers[name], asked.faults.get(name)
    return FieldView(
        name=name,
        kind="select" if name in CHOICES else "text",
        label=said["label"],
        hint=said.get("hint", ""),
        fault="" if fault is None else said.get(fault, words["html"]["not_offered"]),
        value="" if name in CHOICES else answer,
        options=tuple(
            OptionView(
                code=code,
                label=said["options"].get(code) or FLAVOUR_NAMES[code],
                target=f"{name}-{code}",
                is_picked=code == answer,
            )
            for code in CHOICES.get(name, ())
        ),
    )
