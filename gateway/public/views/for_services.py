"""The page for services: an organisation that wants to show the button asks for it here.

Never keeps a word that is typed: it is sealed and stored in the request that brings it, or stands on the page again.
"""

from flask import request
from flask.typing import ResponseReturnValue

from gateway.intake import NoActiveKeyError
from gateway.public.actions import Action
from gateway.public.door import get_door
from gateway.public.journey.places import FOR_SERVICES, FOR_SERVICES_SENT
from gateway.public.pages.for_services_page import BLANK, render_for_services, render_for_services_sent
from gateway.public.pages.frame import make_blank_form
from gateway.public.sending.adoption import send_adoption
from gateway.public.views.frame import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    TOO_MANY_REQUESTS,
    answer_later,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.views.limits import is_asked_to_wait
from gateway.public.views.start import is_open
from gateway.public.visiting.language_choice import remember_asked_language
from gateway.public.visiting.service_form import list_service_faults, make_asking_service, read_service_form
from gateway.public.visiting.visit import find_asked, is_inside, remember_asked
from gateway.public.wording.languages import get_language, refresh_language
from gateway.store import StorageUnavailableError
from gateway.store.items import NoRoomError
from gateway.web.logs import log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError, SealingError

# The longest message, each of its characters written as twelve, and short lines.
ASKING_BODY_BYTES = 64 * 1024
FULL_RETRY_SECONDS = 3600


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_for_services() -> ResponseReturnValue:
    """Show the page, always blank; while nothing can be sealed it says so before anything is typed."""
    door = get_door()
    remember_asked_language()
    if not is_open(door):
        return answer_later(render_for_services(door, BLANK, make_blank_form(), notice="not_ready"))
    return render_for_services(door, BLANK, make_blank_form())


@rule(login=Login.OPEN, limit="public-adoption", csrf=CsrfRule.TOKEN, body_bytes=ASKING_BODY_BYTES, log_word=LOG_WORD)
def post_for_services() -> ResponseReturnValue:
    """Seal and store the request and lead to the thanks; else show the page again with its words."""
    door, typed = get_door(), read_service_form(request.form)
    if read_action() == Action.LANGUAGE:
        switch_language()
        refresh_language()
        return render_for_services(door, typed, make_blank_form())
    faults = list_service_faults(typed)
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
    """Thank whoever has just sent a request; lead everybody else to the form."""
    if not is_inside(FOR_SERVICES_SENT):
        return turn_away(FOR_SERVICES)
    return render_for_services_sent(get_door(), make_blank_form(), request_id=find_asked())


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_for_services_sent() -> ResponseReturnValue:
    """Show the thanks in the other language."""
    if read_action() != Action.LANGUAGE:
        return turn_away(FOR_SERVICES)
    switch_language()
    return lead_to(FOR_SERVICES_SENT)
