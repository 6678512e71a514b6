"""Lays out an opened public report: every answer in closed sections, and a service's claim about its page.

Never leaves an answer out and changes no character of a text, except that codes become labels. The page escapes it. A
service's description of its page comes with its verdict; the reader decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import fields

from gateway.desk.cases.opening import ContextOutcome, JudgedContext
from gateway.desk.cases.reading.industry_report import format_moment
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS, format_country
from gateway.desk.partners.placement_register import SURFACE_TITLES
from gateway.exchange.public_report import PublicReport
from gateway.guidance.signposts import load_signposts
from partner_sdk.wire.button import ContextAccount, PageContext

# The sections in an analyst's order, each with its fields: a path, or all below one. A field of none of them, added by
# the machine, comes last.
_SECTIONS: Final = (
    ("The story", ("story",)),
    ("The incident", ("kinds", "danger", "still", "when", "meeting", "pictures")),
    ("The child", ("who", "age_band", "child", "feels", "region", "country", "there_too", "told")),
    ("The person it is about", ("person",)),
    ("The service and the accounts", ("person.app", "person.handle", "placement", "context")),
    ("The person reporting", ("name", "under_18", "reporter_age_band", "language", "contact")),
)
_LAST: Final = "Particulars"

# Filled in by the form alone: blank, or a guess, in a report that was entered from a call or a letter.
_OF_THE_FORM: Final = frozenset(
    {"context", "contact.may_send_note", "copy_version", "language", "placement", "reply_key", "signposted"}
    | {"clear.way"}
)

# The form's code for the page of helpers outside the UK, which is not one helper.
_ABROAD: Final = "abroad"


@dataclass(frozen=True, slots=True)
class Line:
    """One field: its label and the exact text; `is_text` needs room and keeps line breaks."""

    title: str
    text: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Section:
    """Related fields, folded as one."""

    title: str
    lines: tuple[Line, ...]


def make_sections(content: PublicReport) -> list[Section]:
    """Return the sections of a public report; industry_report.py makes those of a partner's.

    A caller or the writer of a letter never had the form, so its own fields are left out there.
    """
    left_out = frozenset[str]() if came_by_the_form(content) else _OF_THE_FORM
    groups: dict[str, list[Line]] = {title: [] for title, _ in _SECTIONS}
    last: list[Line] = []
    for path, value in _flatten(content, ()):
        if ".".join(path) in left_out:
            continue
        groups.get(_get_group(path), last).append(_make_line(path, value))
    sections = [Section(title, tuple(lines)) for title, lines in groups.items() if lines]
    return [*sections, Section(_LAST, tuple(last))]


def came_by_the_form(content: PublicReport) -> bool:
    """Return whether the person filled in the form, which notes the version of its wording."""
    return bool(content.copy_version)


def _flatten(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    # By the model, not by `to_builtins`, which omits a blank optional field.
    if isinstance(value, msgspec.Struct):
        for field in fields(value):
            yield from _flatten(getattr(value, field.name), (*path, field.encode_name))
    elif isinstance(value, list | tuple):
        yield path, tuple(str(part) for part in value)
    else:
        yield path, () if value is None else (str(value),)


def _get_group(path: tuple[str, ...]) -> str:
    # The longest name decides: the app of a person stands with the service.
    for name in (".".join(path), path[0]):
        for title, fields_of in _SECTIONS:
            if name in fields_of:
                return title
    return _LAST


def _make_line(path: tuple[str, ...], values: tuple[str, ...]) -> Line:
    name = ".".join(path)
    text = "; ".join(_format_answer(name, value) for value in values)
    return Line(PUBLIC_WORDS[name], text, len(text) > 80 or "\n" in text)


def _format_answer(name: str, value: str) -> str:
    if name == "country":
        return format_country(value)
    if name == "signposted":
        return _name_helper(value)
    return PUBLIC_ANSWERS.get(name, {}).get(value, value)


@lru_cache(maxsize=100)
def _name_helper(code: str) -> str:
    if code == _ABROAD:
        return "Help in the country where they live"
    found = load_signposts().get(code)
    return code if found is None else found.name


NEVER_NAME: Final = (
    "This account belongs to the person reporting.",
    "Never name it to the service, in an answer or a question: the service would learn who reported.",
)

_VERDICTS: Final[dict[ContextOutcome, tuple[str, str]]] = {
    "holds": ("Verified.", "{partner} signed it for this placement, and it arrived in time."),
    "expired": (
        "Its time does not match.",
        ("{partner} signed it for this placement, but at another time than this report. It may have been copied."),
    ),
    "elsewhere": (
        "It comes from another service or another placement.",
        (
            "{partner} signed it, but not for the placement in this report. Another person may have "
            "put it into the link."
        ),
    ),
    "key-ended": (
        "Its key had already ended.",
        (
            "It is signed with a key that {partner} lost or that was stopped. Anyone may have made "
            "it, so its content is not shown."
        ),
    ),
    "forged": (
        "It is forged or comes from a faulty program.",
        (
            "It names {partner} as its source, but none of their keys signed it, so its content is "
            "not shown. Anyone can put one into a link, so it raises no alert."
        ),
    ),
    "unreadable": (
        "It cannot be opened.",
        "It was altered on the way, is malformed, or this desk no longer has its key.",
    ),
    "refused": (
        "The form could not attach the page context from the service.",
        (
            "It was too long or malformed, or left too little room for the person's own words. If "
            "this keeps happening, tell the service."
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class ContextLine:
    """One claim by the service; `is_sensitive` marks the account of the person reporting."""

    title: str
    text: str
    is_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class ContextView:
    """The displayed context: `code` for machines, the verdict, further notices, and the claim."""

    code: ContextOutcome
    verdict: tuple[str, str]
    is_doubted: bool
    notices: tuple[tuple[str, str], ...]
    lines: tuple[ContextLine, ...]


def make_context_view(judged: JudgedContext | None) -> ContextView | None:
    """Return the view of a context; None if there is none."""
    if judged is None:
        return None
    head, rest = _VERDICTS[judged.outcome]
    lines = tuple(_list_lines(judged.claim)) if judged.claim is not None else ()
    return ContextView(
        code=judged.outcome,
        verdict=(head, rest.format(partner=judged.partner)),
        is_doubted=judged.outcome != "holds",
        notices=tuple(_list_notices(judged, lines)),
        lines=lines,
    )


def _list_notices(judged: JudgedContext, lines: tuple[ContextLine, ...]) -> Iterator[tuple[str, str]]:
    count, references = judged.others.count, judged.others.references
    if count:
        named = ", ".join(references)
        more = f" and {count - len(references)} more" if count > len(references) else ""
        reports = "another report" if count == 1 else f"{count} other reports"
        yield f"An identical one came with {reports}: {named}{more}.", "The same person may have reported twice."
    if any(line.is_sensitive for line in lines):
        yield NEVER_NAME


def _list_lines(claim: PageContext) -> Iterator[ContextLine]:
    yield ContextLine("Service", claim.partner)
    yield ContextLine("Kind of page", SURFACE_TITLES.get(claim.surface, claim.surface))
    yield ContextLine("Place of the button", claim.placement)
    if claim.viewer is not None:
        yield ContextLine("Account of the person reporting", _format_account(claim.viewer), is_sensitive=True)
    for account in claim.about:
        yield ContextLine("Account on the page", _format_account(account))
    if claim.conversation_id:
        yield ContextLine("Conversation", claim.conversation_id)
    for message in claim.messages:
        sent = f", sent {format_moment(message.sent_at)}" if message.sent_at else ""
        yield ContextLine("Message", f"{message.message_id}{sent}")
    yield ContextLine("Page shown", format_moment(claim.issued_at))
    yield ContextLine("Good until", format_moment(claim.expires_at))
    yield ContextLine("Id of this page", claim.context_id)


def _format_account(account: ContextAccount) -> str:
    return f"{account.account_id} ({account.display_name})" if account.display_name else account.account_id
