"""Texts to begin a reply with, by who reads it, the kind of report and the age; the advice is that of the pages (R27).

Never sends anything: a person changes a text, looks at it, and answers for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from gateway.web.advice import Advice, AdviceLibrary, Audience, fill_sentences, find_advice, load_advice
from gateway.web.settings import read_settings
from gateway.web.signposts import load_signposts
from partner_sdk.public_report import PublicReport

TEMPLATES_FOLDER: Final = Path(__file__).parent
LANGUAGES: Final = ("en", "cy")
FULL: Final = "full"
ADVICE_PREFIX: Final = "advice-"
_MOST_ADVICE: Final = 9
_GROWN_UP: Final = "no"


@dataclass(frozen=True, slots=True)
class ReplyTemplate:
    """One text to begin with."""

    code: str
    title: str
    text: str


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands around the advice in a whole reply."""

    opening: str
    closing: str


class TemplateText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text of the file."""

    code: str
    title: str
    audience: Audience
    text: str


class TemplateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reply_templates_<language>.toml`; `version` says which words were offered."""

    version: str
    language: Literal["en", "cy"]
    checked_on: date
    decided_by: str
    full: Mapping[Audience, Frame]
    template: tuple[TemplateText, ...]


def list_templates(report: PublicReport) -> tuple[ReplyTemplate, ...]:
    """Return what fits a report, in its language: a whole reply first, then short ones, then single advice."""
    texts, library, names = _load_all(report.language)
    is_child = report.under_18 != _GROWN_UP
    audience: Audience = "child" if is_child else "adult"
    advice = find_advice(
        library, kinds=report.kinds, age_band=report.age_band or None, is_child=is_child, limit=_MOST_ADVICE
    )
    frame = texts.full[audience]
    pieces = [" ".join(fill_sentences(one, names=names)) for one in advice]
    whole = "\n\n".join((frame.opening.strip(), *pieces, frame.closing.strip()))
    return (
        ReplyTemplate(FULL, "A whole reply with advice for this report", whole),
        *(
            ReplyTemplate(one.code, one.title, one.text.strip().format_map(names))
            for one in texts.template
            if one.audience == audience
        ),
        *(
            ReplyTemplate(f"{ADVICE_PREFIX}{one.code}", _make_title(one), piece)
            for one, piece in zip(advice, pieces, strict=True)
        ),
    )


def load_texts(language: str) -> TemplateFile:
    """Load the file of a language. Raises `SettingsError`: an unknown key, a missing day or a missing audience."""
    return read_settings(TEMPLATES_FOLDER / f"reply_templates_{language}.toml", kind=TemplateFile)


@cache
def _load_all(language: str) -> tuple[TemplateFile, AdviceLibrary, Mapping[str, str]]:
    # Names with the way to reach them: a reply is read where no page of ours stands beside it.
    names = {}
    for key, signpost in load_signposts().items():
        way = signpost.phone or signpost.text_number or signpost.url
        name = signpost.say_name(language)
        names[key] = f"{name} ({way})" if way else name
    return load_texts(language), load_advice(language), names


def _make_title(advice: Advice) -> str:
    return "Advice: " + advice.code.replace("_", " ")
