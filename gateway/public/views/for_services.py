"""The page for services: the button, its HTML to paste, and the form to ask for it.

Typed text of a request stays unchanged on the page; only the sealed copy is trimmed and completed with `https://`.

The four answers that write the HTML are in the address (`/for-services?link_name=Example+Chat&flavour=react`), so that
a manager can send the filled-in page to a developer: nothing in them is about a person. Each is parsed strictly; one
that is not agreed is asked for again and makes no lines.

Never keeps typed text: it is sealed and stored in the same request, or shown on the page again.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, get_args
from urllib.parse import urlencode

import msgspec
from flask import request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.exchange.feed import ADOPTION_REQUEST
from gateway.intake import NoActiveKeyError
from gateway.public.door import FOR_SERVICES, FOR_SERVICES_SENT, Action, PublicDoor, get_door
from gateway.public.journey import ReaderProfile
from gateway.public.pages import FieldView, FormState, OptionView, make_blank_form, render_page
from gateway.public.views.screens import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    TOO_MANY_REQUESTS,
    answer_later,
    is_asked_to_wait,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.views.start import is_open
from gateway.public.visit import get_state, is_inside, put_state, remember_asked_language
from gateway.public.wording import ServiceWording, get_language, refresh_language
from gateway.store import StorageUnavailableError
from gateway.store.items import NoRoomError, keep_item
from gateway.web.logs import log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.button.frameworks import FILE_NAMES, FLAVOUR_NAMES, FLAVOURS, make_flavour
from partner_sdk.button.snippet import (
    FORMS,
    ICON_PATH,
    LANGUAGES,
    SCRIPT_INTEGRITY,
    SCRIPT_PATH,
    make_policy,
    make_snippet,
    make_style,
)
from partner_sdk.errors import FormatError, SealingError
from partner_sdk.wire.button import (
    TEST_LINK_ID,
    AdoptionRequest,
    AskingService,
    ChildUse,
    Language,
    Message,
    SecureWebsite,
    ServiceName,
    Surface,
    format_request_number,
    is_placement,
    seal_adoption,
)
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, convert, make_report_id
from partner_sdk.wire.enrolment import Email, Line, Telephone
from partner_sdk.wire.receipts import PLACEMENT_MAX

FieldKind = Literal["text", "url", "email", "tel", "textarea", "radios", "checkboxes"]
FaultKind = Literal["blank", "bad"]
Typed = Mapping[str, list[str]]

YES, NO = "yes", "no"
# More than any valid answer, so that a mistaken paste can be seen and shortened.
_MOST_SHOWN: Final = 10_000


# Tried as a `FlaskForm` of Flask-WTF: error summary and token stayed as they are, and it was no shorter or plainer.
# Each field needed a filter, because WTForms keeps an unknown option and reports it in English; mypy saw no types.
@dataclass(frozen=True, slots=True)
class ServiceField:
    """One field: its constraints, and its autocomplete name (WCAG 1.3.5)."""

    name: str
    kind: FieldKind
    fits: Any = None
    options: tuple[str, ...] = ()
    is_required: bool = True
    autocomplete: str = "off"


FIELDS: Final = (
    ServiceField("organisation", "text", Line, autocomplete="organization"),
    ServiceField("service_name", "text", ServiceName),
    ServiceField("website", "url", SecureWebsite, autocomplete="url"),
    ServiceField("contact_name", "text", Line, autocomplete="name"),
    ServiceField("contact_role", "text", Line, is_required=False, autocomplete="organization-title"),
    ServiceField("contact_email", "email", Email, autocomplete="email"),
    ServiceField("contact_telephone", "tel", Telephone, is_required=False, autocomplete="tel"),
    ServiceField("child_use", "radios", options=get_args(ChildUse)),
    ServiceField("surfaces", "checkboxes", options=get_args(Surface)),
    ServiceField("wants_to_report", "radios", options=(YES, NO)),
    ServiceField("message", "textarea", Message, is_required=False),
)


def read_service_form(get_posted: Callable[[str], Sequence[str]]) -> Typed:
    """Read every field, e.g. with `request.form.getlist`; drops unknown options."""
    return {field.name: _read(field, get_posted(field.name)) for field in FIELDS}


def make_asking_service(typed: Typed, *, language: Language) -> AskingService:
    """Return the message to seal for a form without faults. Raises `FormatError` if it has any."""
    said = {field.name: _clean(field, typed) for field in FIELDS if field.kind not in {"radios", "checkboxes"}}
    try:
        return convert(
            {
                **{name: text for name, text in said.items() if text},
                "child_use": "".join(typed["child_use"]),
                "language": language,
                "surfaces": typed["surfaces"],
                "wants_to_report": typed["wants_to_report"] == [YES],
            },
            kind=AskingService,
        )
    except msgspec.ValidationError:
        raise FormatError("The form does not match its model.", reason="malformed") from None


def send_adoption(door: PublicDoor, service: AskingService) -> str | None:
    """Seal and store a request, and return its id; in practice mode store nothing and return None.

    Raises `NoActiveKeyError`, `NoRoomError`, `SealingError`, `FormatError` or `StorageUnavailableError`; then nothing
    is stored.
    """
    if door.is_practice:
        return None
    now = door.clock()
    keys, sealing_key = door.get_sealing_key()
    request = AdoptionRequest(
        environment=keys.key_set.environment,
        request_id=make_report_id(now, door.random(REPORT_ID_RANDOM_BYTES)),
        service=service,
    )
    envelope = seal_adoption(request, sealing_key=sealing_key).to_bytes()
    keep_item(door.store, ADOPTION_REQUEST, address="", item_id=request.request_id, envelope=envelope, now=now)
    return request.request_id


def _read(field: ServiceField, sent: Sequence[str]) -> list[str]:
    if field.options:
        picked = [option for option in field.options if option in sent]
        return picked if field.kind == "checkboxes" else picked[:1]
    return ["".join(sent[:1])[:_MOST_SHOWN]]


def _find_request_fault(field: ServiceField, typed: Typed) -> FaultKind | None:
    if field.options:
        return None if typed[field.name] else "blank"
    text = _clean(field, typed)
    if not text:
        return "blank" if field.is_required else None
    try:
        convert(text, kind=field.fits)
    except msgspec.ValidationError:
        return "bad"
    return None


def _clean(field: ServiceField, typed: Typed) -> str:
    # Browsers send each line end as two characters (HTML, form submission).
    text = "".join(typed[field.name]).replace("\r\n", "\n").strip()
    if field.kind == "url" and text and "://" not in text:
        return f"https://{text}"
    return text


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


# The longest message with twelve bytes for each character, and short lines.
ASKING_BODY_BYTES = 64 * 1024
FULL_RETRY_SECONDS = 3600
NoticeName = Literal["again", "slow", "full", "not_sent", "not_ready"]
EXAMPLE_LINK_ID: Final = "example-service"
BLANK: Final = read_service_form(lambda _name: ())


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_for_services() -> ResponseReturnValue:
    """Show the blank page; if nothing can be sealed now, it warns before anything is typed."""
    door = get_door()
    remember_asked_language()
    if not is_open(door):
        return answer_later(render_for_services(door, BLANK, make_blank_form(), notice="not_ready"))
    return render_for_services(door, BLANK, make_blank_form())


@rule(login=Login.OPEN, limit="public-adoption", csrf=CsrfRule.TOKEN, body_bytes=ASKING_BODY_BYTES, log_word=LOG_WORD)
def post_for_services() -> ResponseReturnValue:
    """Seal and store the request and redirect to the thank-you page; else show the page again with its text.

    The address keeps the answers of the form above it, which writes the lines for a page.
    """
    door, typed, action = get_door(), read_service_form(request.form.getlist), read_action()
    if action == Action.LANGUAGE:
        switch_language()
        refresh_language()
    if action in {Action.LANGUAGE, Action.LINES}:
        return render_for_services(door, typed, make_blank_form())
    faults = {field.name: kind for field in FIELDS if (kind := _find_request_fault(field, typed)) is not None}
    if faults:
        return render_for_services(door, typed, make_blank_form(), faults=faults)
    if is_asked_to_wait(door, "public-adoption"):
        return render_for_services(door, typed, make_blank_form(), notice="slow"), TOO_MANY_REQUESTS
    try:
        request_id = send_adoption(door, make_asking_service(typed, language=get_language()))
    except NoRoomError:
        page = render_for_services(door, typed, make_blank_form(), notice="full")
        return answer_later(page, retry_seconds=FULL_RETRY_SECONDS)
    except (StorageUnavailableError, NoActiveKeyError, SealingError, FormatError) as error:
        log_failure(error, event="adoption-not-stored")
        return answer_later(render_for_services(door, typed, make_blank_form(), notice="not_sent"))
    put_state(asked=request_id or "")
    return lead_to(FOR_SERVICES_SENT)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_for_services_sent() -> ResponseReturnValue:
    """Thank the sender of a request; redirect everyone else to the form."""
    if not is_inside(FOR_SERVICES_SENT):
        return turn_away(FOR_SERVICES)
    return render_for_services_sent(get_door(), make_blank_form(), request_id=get_state().asked or None)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_for_services_sent() -> ResponseReturnValue:
    """Show the thank-you page in the other language."""
    if read_action() != Action.LANGUAGE:
        return turn_away(FOR_SERVICES)
    switch_language()
    return lead_to(FOR_SERVICES_SENT)


def render_for_services(
    door: PublicDoor,
    typed: Typed,
    form: FormState,
    *,
    faults: Mapping[str, FaultKind] = MappingProxyType({}),
    notice: NoticeName | None = None,
) -> str:
    """Render the page with its two forms, all typed text, and the lines that the address asks for."""
    language = get_language()
    words = door.service_wording[language]
    views = [_make_view(field, typed, words, fault=faults.get(field.name)) for field in FIELDS]
    asked = read_snippet_form(request.args.getlist, language=language)
    asked_views = [_make_field(name, asked, words) for name in (LINK_NAME, *CHOICES)]
    sample = make_snippet(door.origin, placement=EXAMPLE_LINK_ID, language=language)
    return render_page(
        door,
        "for_services.html",
        profile=ReaderProfile("professional"),
        form=form,
        ways="buttons",
        default_action=Action.SEND,
        title=words["title"],
        page=words,
        # The page loads the script once and from its own address.
        button=Markup(sample.partition("<script")[0]),  # noqa: S704 - the SDK's own HTML, with no typed text
        script_path=SCRIPT_PATH,
        script_integrity=SCRIPT_INTEGRITY,
        snippet_fields=asked_views,
        snippet_query=asked.query,
        lines=write_lines(asked, origin=door.origin),
        TEST_LINK_ID=TEST_LINK_ID,
        sections=_fill_in(words["sections"], agency=door.agency_name),
        fields_shown=views,
        has_faults=bool(faults or asked.faults),
        faults=[{"target": _get_target(view), "text": view.fault} for view in (*asked_views, *views) if view.fault],
        notice=None if notice is None else _make_notice(door, words, notice),
    )


def render_for_services_sent(door: PublicDoor, form: FormState, *, request_id: str | None) -> str:
    """Render the thank-you page, with the request's id if it was stored, and the next steps."""
    words = door.service_wording[get_language()]
    return render_page(
        door,
        "for_services_sent.html",
        profile=ReaderProfile("professional"),
        form=form,
        ways="buttons",
        title=words["sent"]["title"],
        page=words,
        points=[point.format(agency=door.agency_name) for point in words["sent"]["points"]],
        request=None
        if request_id is None
        else words["sent"]["request"].format(number=format_request_number(request_id)),
        icon_path=ICON_PATH,
        script_path=SCRIPT_PATH,
    )


def _make_view(field: ServiceField, typed: Typed, words: ServiceWording, *, fault: str | None) -> FieldView:
    said = words["field"][field.name]
    hints = [said.get("hint", ""), "" if field.is_required else words["form"]["optional"]]
    labels = said.get("options", words["form"])
    return FieldView(
        name=field.name,
        kind=field.kind,
        label=said["label"],
        hint=" ".join(hint for hint in hints if hint),
        fault="" if fault is None else said[fault],
        value="" if field.options else "".join(typed[field.name]),
        autocomplete=field.autocomplete,
        options=tuple(
            OptionView(
                code=code,
                label=labels[code],
                target=f"{field.name}-{code}",
                is_picked=code in typed[field.name],
            )
            for code in field.options
        ),
    )


def _get_target(view: FieldView) -> str:
    return view.options[0].target if view.options and view.kind != "select" else view.name


def _make_notice(door: PublicDoor, words: ServiceWording, name: NoticeName) -> Mapping[str, Any]:
    lead = list(words["notice"][name]["lead"])
    if name == "full":
        ways = words["notice"]["other_way"]
        lead.append(ways["contact"].format(contact=door.agency_contact) if door.agency_contact else ways["later"])
    return {"title": words["notice"][name]["title"], "lead": lead, "posts": []}


def _fill_in(sections: Sequence[Mapping[str, Any]], *, agency: str) -> list[Mapping[str, Any]]:
    return [
        {"heading": section["heading"], "points": [point.format(agency=agency) for point in section["points"]]}
        for section in sections
    ]
