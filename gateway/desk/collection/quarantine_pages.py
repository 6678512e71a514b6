"""Pages of the quarantine: the list, one opened row, trying again, and dismissing.

Content appears only in the response to the post that opened it. Never verified: a row may be forged.
"""

from operator import attrgetter
from typing import Final, get_args

from flask import Blueprint
from flask.typing import ResponseReturnValue

from gateway.desk.collection.collect import try_again
from gateway.desk.collection.importing import try_imports_again
from gateway.desk.collection.quarantine import (
    OpenedRow,
    QuarantineError,
    count_alike,
    format_cause,
    format_plain,
    format_sender,
    list_quarantined,
    open_row,
    resolve_row,
)
from gateway.desk.collection.row_checks import KEY_ENDED
from gateway.desk.office.organisations import get_owner_names
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.views.page import (
    FORM_BYTES,
    Fault,
    get_desk,
    get_name,
    go_to,
    parse_row_number,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.exchange.form_rules import FaultKind
from gateway.web.rules import not_found

blueprint = Blueprint("quarantine", __name__)
# More characters than a person reads on a page.
MOST_CHARACTERS: Final = 100_000
# A person may file a row with one of these causes, and is asked this.
BY_WORD: Final = {
    KEY_ENDED: "Has its sender confirmed by another channel that it sent this report?",
    **dict.fromkeys(get_args(FaultKind), "Do you believe this report, although the form did not make it like this?"),
}
RESOLUTION_TITLES: Final = {
    "forged": "It was forged",
    "sender-told": "Its sender knows and sends it again",
    "police-told": "The police know",
    "lost": "It cannot be saved",
}


@blueprint.get("/quarantine")
@staff_rule(Permission.SEE_QUARANTINE)
def list_all() -> ResponseReturnValue:
    """Show the waiting rows without opening any."""
    return _show()


@blueprint.post("/quarantine/try-again")
@staff_rule(Permission.SEE_QUARANTINE, body_bytes=FORM_BYTES)
def post_try_again() -> ResponseReturnValue:
    """Judge every row again, with today's keys and register."""
    return _try_again()


@blueprint.post("/quarantine/<number>/accept")
@staff_rule(Permission.RESOLVE_QUARANTINE, body_bytes=FORM_BYTES)
def post_accept(number: str) -> ResponseReturnValue:
    """File a row by a person's word: see `BY_WORD`."""
    return _try_again(by_word=parse_row_number(number))


@blueprint.post("/quarantine/<number>/open")
@staff_rule(Permission.RESOLVE_QUARANTINE, body_bytes=FORM_BYTES)
def post_open(number: str) -> ResponseReturnValue:
    """Open a row and record the reader."""
    return _show(_open(number))


@blueprint.post("/quarantine/<number>/dismiss")
@staff_rule(Permission.RESOLVE_QUARANTINE, body_bytes=FORM_BYTES)
def post_dismiss(number: str) -> ResponseReturnValue:
    """Record how a row was dealt with, or all like it up to this one; their bytes stay."""
    desk, typed = get_desk(), read_typed()
    if typed["how"] not in RESOLUTION_TITLES:
        return _show(_open(number), faults=[Fault("how", "Choose how the report was dealt with.")])
    row, how, with_alike = parse_row_number(number), typed["how"], typed["alike"] == "yes"
    try:
        with desk.store.write() as connection:
            resolve_row(connection, row, resolution=how, actor=get_name(), now=desk.clock(), with_alike=with_alike)
    except QuarantineError:
        not_found()
    return go_to("quarantine.list_all")


def _try_again(by_word: int | None = None) -> ResponseReturnValue:
    desk, actor = get_desk(), get_name()
    collected = try_again(desk, actor=actor, by_word=by_word)
    files = try_imports_again(desk, actor=actor, by_word=by_word)
    filed = collected.filed + sum(one.state == "filed" for one in files)
    return _show(tried=(filed, collected.known + len(files) + collected.filed - filed), files=len(files))


def _open(number: str) -> OpenedRow:
    try:
        return open_row(get_desk(), parse_row_number(number), actor=get_name())
    except QuarantineError:
        not_found()


def _show(
    opened: OpenedRow | None = None,
    *,
    faults: list[Fault] | None = None,
    tried: tuple[int, int] | None = None,
    files: int = 0,
) -> ResponseReturnValue:
    with get_desk().store.read() as connection:
        rows, names = list_quarantined(connection), get_owner_names(connection)
        floods = count_alike(connection)
    listed_page = read_list_page(found=len(rows))
    content = "" if opened is None or opened.plain is None else format_plain(opened.plain, with_blanks=False)
    alike = 0
    if opened is not None:
        group = attrgetter("claimed_partner", "reason", "channel")
        alike = sum(one.id <= opened.row.id and group(one) == group(opened.row) for one in rows)
    return show_page(
        "quarantine.html",
        rows=rows[listed_page.rows],
        floods=floods,
        by_word=BY_WORD,
        listed_page=listed_page,
        opened=opened,
        alike=alike,
        content=content[:MOST_CHARACTERS],
        is_cut=len(content) > MOST_CHARACTERS,
        resolutions=RESOLUTION_TITLES.items(),
        format_cause=format_cause,
        format_sender=lambda partner: format_sender(partner, names=names),
        tried=tried,
        files=files,
        faults=faults or [],
    )
