"""The page for services: the button, its HTML to paste, the form to ask for it, and the thank-you page.

Never keeps typed text: it is sealed and stored in the same request, or shown on the page again.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

from flask import request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.intake import NoActiveKeyError
from gateway.public.door import PublicDoor, get_door
from gateway.public.journey import ReaderProfile
from gateway.public.navigation import FOR_SERVICES, FOR_SERVICES_SENT, Action
from gateway.public.pages.layout import FormState, make_blank_form, render_page
from gateway.public.pages.screen_page import FieldView, OptionView
from gateway.public.sending.adoption import (
    FIELDS,
    FaultKind,
    ServiceField,
    Typed,
    judge_service_form,
    make_asking_service,
    read_service_form,
    send_adoption,
)
from gateway.public.views.responses import (
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
from gateway.public.views.snippet_form import make_snippet_fields, read_snippet_form, write_lines
from gateway.public.views.start import is_open
from gateway.public.visiting.visit import find_asked, is_inside, remember_asked, remember_asked_language
from gateway.public.wording import ServiceWording, get_language, refresh_language
from gateway.store import StorageUnavailableError
from gateway.store.items import NoRoomError
from gateway.web.logs import log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.snippet import make_snippet
from partner_sdk.errors import FormatError, SealingError
from partner_sdk.wire.adoption import format_request_number
from partner_sdk.wire.placement import TEST_LINK_ID

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
    faults = judge_service_form(typed)
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
    remember_asked(request_id)
    return lead_to(FOR_SERVICES_SENT)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_for_services_sent() -> ResponseReturnValue:
    """Thank the sender of a request; redirect everyone else to the form."""
    if not is_inside(FOR_SERVICES_SENT):
        return turn_away(FOR_SERVICES)
    return render_for_services_sent(get_door(), make_blank_form(), request_id=find_asked())


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
    asked_views = make_snippet_fields(asked, words)
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
