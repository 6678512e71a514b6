"""Texts for starting a reply, by reader, kind of report and age (R27), and the record of the checks of such words.

Never sends anything: a person edits a text, previews it, and answers for it. The checks are those of `signoffs.toml`,
by the rules of `guidance/signoffs.py`, and each is an entry of the audit log.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.replies import load_note_texts
from gateway.desk.store import audit
from gateway.desk.store.schema import AUDIT
from gateway.exchange.public_codes import NOT_UK, YES
from gateway.exchange.public_report import PublicReport, is_from_grown_up
from gateway.guidance.advice import (
    ADVICE_FOLDER,
    UK_EMERGENCY,
    AdviceLibrary,
    Audience,
    fill_sentences,
    get_audience,
    list_fitting_advice,
    load_advice,
)
from gateway.guidance.signoffs import (
    Act,
    CheckStatus,
    Entry,
    Row,
    Rows,
    check_act,
    get_status,
    judge,
    make_check,
    make_entry,
)
from gateway.guidance.signposts import get_country_or_other, get_talk, list_names_abroad, load_countries, load_signposts
from gateway.web.settings import SettingsError, read_settings
from partner_sdk.wire.button import LANGUAGES, Language
from partner_sdk.wire.canonical import convert

SIGNOFFS_FILE: Final = Path(__file__).with_name("signoffs.toml")
TEMPLATES_FOLDER: Final = Path(__file__).parent
FULL: Final = "full"
ADVICE_PREFIX: Final = "advice-"
_MOST_ADVICE: Final = 9


@cache
def load_signoffs() -> tuple[Row, ...]:
    """Return the checks of this release. Raises `SettingsError`."""
    return read_settings(SIGNOFFS_FILE, kind=Rows).check


@dataclass(frozen=True, slots=True)
class ReplyTemplate:
    """One text for starting a reply."""

    code: str
    title: str
    text: str


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The text around the advice in a whole reply."""

    opening: str
    closing: str


class TemplateText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text of the file."""

    code: str
    title: str
    audience: Audience
    text: str


class TemplateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reply_templates_<language>.toml`; `version` identifies the offered texts."""

    version: str
    language: Language
    checked_on: date
    decided_by: str
    full: Mapping[Audience, Frame]
    template: tuple[TemplateText, ...]


def list_templates(report: PublicReport) -> tuple[ReplyTemplate, ...]:
    """Return the matching texts in the report's language: a whole reply first, then short ones, then single advice."""
    texts, library, bodies = load_library(report.language)
    names, emergency, is_abroad = _adapt_to_place(bodies, report)
    is_grown_up = is_from_grown_up(report)
    # Frames and short texts address a child or an adult; advice also covers friends, people at work and adults who
    # report about themselves.
    audience: Audience = "adult" if is_grown_up else "child"
    advice = list_fitting_advice(
        library,
        kinds=report.kinds,
        age_band=report.age_band or None,
        audience=get_audience(is_grown_up=is_grown_up, who=report.who),
        limit=_MOST_ADVICE,
        feels=report.feels,
    )
    frame = texts.full[audience]
    filled = {
        one: " ".join(
            fill_sentences(
                one, names=names, emergency=emergency, is_abroad=is_abroad, is_near=report.person.near == YES
            )
        )
        for one in advice
    }
    filled = {one: piece for one, piece in filled.items() if piece}  # abroad or near, no sentence may be left
    called = {"name": f" {report.name.strip()}" if report.name.strip() else ""}
    whole = "\n\n".join((frame.opening.strip().format_map(called), *filled.values(), frame.closing.strip()))
    return (
        ReplyTemplate(FULL, "A whole reply with advice for this report", whole),
        *(
            ReplyTemplate(
                one.code, one.title, one.text.strip().replace(UK_EMERGENCY, emergency).format_map({**names, **called})
            )
            for one in texts.template
            if one.audience == audience
        ),
        *(
            ReplyTemplate(f"{ADVICE_PREFIX}{one.code}", "Advice: " + one.code.replace("_", " "), piece)
            for one, piece in filled.items()
        ),
    )


def _adapt_to_place(names: Mapping[str, str], report: PublicReport) -> tuple[Mapping[str, str | None], str, bool]:
    """Return the names of the bodies and the emergency number for the reader of a reply, and whether they are abroad.

    A reader who reports about another child is there only if they said so; else an adult is told the child's helpline.
    """
    if report.region != NOT_UK:
        return {**names}, UK_EMERGENCY, False
    countries, signposts = load_countries(), load_signposts()
    talk = get_talk(countries, report.country)
    helpline = f"{talk.name} ({talk.phone or talk.url})"
    is_grown_up = is_from_grown_up(report)
    if report.who not in {"", "me"} and report.there_too != YES:
        found = list_names_abroad(names, signposts=signposts)
        return found | {"childline": helpline} if is_grown_up else found, UK_EMERGENCY, False
    emergency = get_country_or_other(countries, report.country).emergency
    found = list_names_abroad(names, signposts=signposts, helpline=helpline)
    if is_grown_up:  # its readers are offered the list for adults, also where a text names the NSPCC
        found["nspcc"] = names["find_a_helpline"]
    return found, emergency, True


@cache
def load_texts(language: str) -> TemplateFile:
    """Load the file of a language. Raises `SettingsError`: an unknown key, a missing day or a missing audience."""
    return read_settings(TEMPLATES_FOLDER / f"reply_templates_{language}.toml", kind=TemplateFile)


@cache
def load_library(language: str) -> tuple[TemplateFile, AdviceLibrary, Mapping[str, str]]:
    """Load the texts of a language, the advice that is put into them, and the names in it. Raises `SettingsError`."""
    # Names with the way to reach them: a reply is read without any page of ours beside it.
    names = {}
    for key, signpost in load_signposts().items():
        way = signpost.phone or signpost.text_number or signpost.url
        name = signpost.get_name(language)
        names[key] = f"{name} ({way})" if way else name
    return load_texts(language), load_advice(language), names


def load_release_files() -> None:
    """Load notes, reply texts with their advice, and sign-offs.

    Raises `SettingsError` naming the file and the key, with the remedy.
    """
    try:
        load_note_texts()
        load_signoffs()
        for language in LANGUAGES:
            load_library(language)
    except SettingsError as error:
        raise SettingsError(
            f"{error} The file is part of the release: fix this key or reinstall the release.",
            reason=error.reason,
        ) from None


ACTS: Final[dict[str, Act]] = {"give-signoff": "give", "withdraw-signoff": "withdraw"}
"""The acts, by the actions of the audit log."""
WELSH_REPLIES: Final = "replies-cy-welsh-reader"
_NOTES_FILE: Final = TEMPLATES_FOLDER.parent / "outbox" / "notes.toml"


def list_signoffs(connection: Connection) -> list[CheckStatus]:
    """Return every check with its state at this desk."""
    query = select(AUDIT.c.action, AUDIT.c.subject, AUDIT.c.detail).where(AUDIT.c.action.in_(ACTS))
    entries = [
        convert({**json.loads(row.detail), "act": ACTS[row.action], "key": row.subject}, kind=Entry)
        for row in connection.execute(query.order_by(AUDIT.c.id))
    ]
    return [judge(make_check(row, _list_words(row)), entries) for row in load_signoffs()]


def is_given(connection: Connection, key: str) -> bool:
    """Return whether a check was given for the words of today."""
    return get_status(list_signoffs(connection), key).state == "given"


def record_signoff(
    desk: Desk,
    key: str,
    *,
    action: str,
    actor: str,
    by: str,
    role: str,
    words: str | None = None,
    checked_on: date | None = None,
    why: str | None = None,
) -> Entry:
    """Record an act on a check, and return its entry.

    Raises `SignoffError` for an unknown check or an act that `check_act` or `make_entry` refuses.
    """
    act, today = ACTS[action], desk.clock().date()
    with desk.store.write() as connection:
        status = get_status(list_signoffs(connection), key)
        check_act(status, act=act, words=words, checked_on=checked_on, today=today)
        day = None if act == "withdraw" else checked_on or today
        entry = make_entry(Entry, status.check, act=act, by=by, role=role, checked_on=day, why=why)
        detail = {name: value for name, value in msgspec.to_builtins(entry).items() if value is not None}
        del detail["act"], detail["key"]
        audit.append_entry(connection, action, key, at=desk.clock(), actor=actor, **detail)
    return entry


def _list_words(row: Row) -> list[Any]:
    if row.words == "notes":
        return [_read_words(_NOTES_FILE)]
    return [
        _read_words(path)
        for path in (
            TEMPLATES_FOLDER / f"reply_templates_{row.language}.toml",
            ADVICE_FOLDER / f"{row.language}.toml",
        )
    ]


def _read_words(path: Path) -> dict[str, Any]:
    return {name: value for name, value in tomllib.loads(path.read_text("utf-8")).items() if name != "version"}
