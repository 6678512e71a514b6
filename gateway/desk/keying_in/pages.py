"""Routes of the page on which a call, letter or visit is keyed in, and of the reference to read out.

Typed text is in the request and in the answer's page only: there is no draft at the desk.
"""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.databases.failures import StorageUnavailableError
from gateway.desk.cases.model import KEYED_IN, CaseError, find_promised_day, format_day, format_read_by
from gateway.desk.cases.reading import labels
from gateway.desk.keying_in.forms import KeyedPage, list_groups, read_page
from gateway.desk.keying_in.keyed_reports import (
    KeyedAlreadyError,
    KeyedCall,
    find_keyed,
    key_in,
    list_reference_words,
    read_received_at,
)
from gateway.desk.people.permissions import CaseScope, Permission
from gateway.desk.uk_times import format_typed_time
from gateway.desk.vault import VaultError
from gateway.desk.views.page import Fault, get_desk, get_name, go_to, is_permitted, show_page, staff_rule
from gateway.web.problem_pages import not_found
from partner_sdk.errors import FormatError, LocalStateError, SealingError

blueprint = Blueprint("keying", __name__)
# Every text at its most, in letters of four bytes, each spelled in twelve characters of a form.
PAGE_BYTES: Final = 160 * 1024
_FIELDS: Final = {
    "bad-channel": "channel",
    "bad-day": "day",
    "time-too-old": "day",
    "unknown-case": "adds_to",
    "not-from-public": "adds_to",
    "keyed-in-already": "adds_to",
}
_FAULTS: Final = {
    "unknown-case": "No report at this desk has this reference. Ask them to read it again, or leave this blank.",
    "not-from-public": "This reference is not of a report from a person. Ask them to read it again.",
}
_NOT_FILED: Final = "It was not filed, and everything you typed is still here. Press again in a minute."


@blueprint.get("/key-in")
@staff_rule(Permission.KEY_IN)
def show_form() -> ResponseReturnValue:
    """Show the empty page; `?adds_to=` is the reference of an earlier report of the same person."""
    day, clock = format_typed_time(get_desk().clock())
    typed = {"channel": KEYED_IN[0], "day": day, "clock": clock, "adds_to": request.args.get("adds_to", "")}
    return _show(typed, KeyedPage())


@blueprint.post("/key-in")
@staff_rule(Permission.KEY_IN, body_bytes=PAGE_BYTES)
def post_form() -> ResponseReturnValue:
    """Seal and file the typed report, once; a fault shows the page again with every letter."""
    desk, page = get_desk(), read_page(request.form)
    typed = {name: request.form.get(name, "").strip() for name in ("channel", "day", "clock", "adds_to", "report_id")}
    faults = []
    try:
        received_at = read_received_at(typed["day"], typed["clock"], now=desk.clock())
        if page.faults:
            return _show(typed, page)
        call = KeyedCall(typed["channel"], received_at, typed["report_id"], typed["adds_to"] or None, page.answers)
        case = key_in(desk, call, actor=get_name())
        return go_to("keying.show_reference", report_id=case.report_id)
    except KeyedAlreadyError as error:
        # A changed page after Back is an addition to the first one, with an id of its own.
        typed |= {"report_id": "", "adds_to": error.reference}
        advice = f"This call is filed already, as {error.reference}. File the rest as an addition to it."
        faults.append(Fault("adds_to", advice))
    except CaseError as error:
        faults.append(Fault(_FIELDS.get(error.reason, "clock"), _FAULTS.get(error.reason, str(error))))
    except FormatError:
        typed["report_id"] = ""
        faults.append(Fault("file", "This page was not whole. Press again."))
    except (VaultError, LocalStateError, StorageUnavailableError):
        faults.append(Fault("file", _NOT_FILED))
    except SealingError:
        advice = "The desk has no active sealing key. Ask your administrator to publish one."
        faults.append(Fault("file", f"{advice} {_NOT_FILED}"))
    return _show(typed, KeyedPage(page.texts, page.picked, (*faults, *page.faults)))


@blueprint.get("/key-in/<report_id>")
@staff_rule(Permission.KEY_IN)
def show_reference(report_id: str) -> ResponseReturnValue:
    """Show the reference of a call to read out, and the promise to give, to the person who keyed it in.

    Also to a duty officer whose call went to the queue: it is not theirs to open, and the caller is still there.
    """
    desk = get_desk()
    with desk.store.read() as connection:
        case = find_keyed(connection, report_id, by=get_name())
    if case is None:
        not_found()
    promised = find_promised_day(case)
    return show_page(
        "keyed_in.html",
        case=case,
        spoken=list_reference_words(case.reference),
        promised_day="" if promised is None else format_day(promised),
        read_by=format_read_by(case, desk.agency, now=desk.clock()),
        may_read=is_permitted(Permission.SEE_QUEUE, case=CaseScope(case.crisis)),
    )


def _show(typed: dict[str, str], page: KeyedPage) -> ResponseReturnValue:
    return show_page(
        "key_in.html",
        typed={**typed, "report_id": typed.get("report_id") or get_desk().make_id()},
        page=page,
        faults=list(page.faults),
        groups=list_groups(),
        channels=[(code, labels.title_of(code)) for code in KEYED_IN],
    )
