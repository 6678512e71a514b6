"""Pages of the rows that were set aside: the list, one opened row, and how a row was dealt with.

Content appears only in the response to the post that opened it. Never verified: a row may be forged.
"""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.collection.set_aside import (
    OpenedRow,
    format_plain,
    list_set_aside,
    open_row,
    resolve_row,
)
from gateway.desk.collection.shelf import SetAsideError, format_cause, format_sender
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import get_owner_names
from gateway.desk.views.page import (
    Fault,
    get_desk,
    get_name,
    go_to,
    parse_row_number,
    read_list_page,
    show_page,
    staff_rule,
)
from gateway.web.rules import not_found

blueprint = Blueprint("set_aside", __name__)
FORM_BYTES: Final = 4096
# More characters than a person reads on a page; `set-aside open` prints everything.
MOST_CHARACTERS: Final = 100_000
RESOLUTION_TITLES: Final = {
    "forged": "It was forged",
    "sender-told": "Its sender knows and sends it again",
    "police-told": "The police know",
    "lost": "It cannot be saved",
}


@blueprint.get("/set-aside")
@staff_rule(Permission.SEE_SET_ASIDE)
def list_all() -> ResponseReturnValue:
    """Show the waiting rows without opening any."""
    return _show()


@blueprint.post("/set-aside/<number>/open")
@staff_rule(Permission.RESOLVE_SET_ASIDE, body_bytes=FORM_BYTES)
def post_open(number: str) -> ResponseReturnValue:
    """Open a row and record the reader."""
    return _show(_open(number))


@blueprint.post("/set-aside/<number>/resolve")
@staff_rule(Permission.RESOLVE_SET_ASIDE, body_bytes=FORM_BYTES)
def post_resolve(number: str) -> ResponseReturnValue:
    """Record how a row was dealt with; its bytes stay."""
    how = request.form.get("how", "")
    if how not in RESOLUTION_TITLES:
        return _show(_open(number), faults=[Fault("how", "Choose how the report was dealt with.")])
    desk = get_desk()
    try:
        with desk.store.write() as connection:
            resolve_row(connection, parse_row_number(number), resolution=how, actor=get_name(), now=desk.clock())
    except SetAsideError:
        not_found()
    return go_to("set_aside.list_all")


def _open(number: str) -> OpenedRow:
    try:
        return open_row(get_desk(), parse_row_number(number), actor=get_name())
    except SetAsideError:
        not_found()


def _show(opened: OpenedRow | None = None, *, faults: list[Fault] | None = None) -> ResponseReturnValue:
    with get_desk().store.read() as connection:
        rows = list_set_aside(connection)
        names = get_owner_names(connection)
    listed_page = read_list_page(found=len(rows))
    content = "" if opened is None or opened.plain is None else format_plain(opened.plain, with_blanks=False)
    return show_page(
        "set_aside.html",
        rows=rows[listed_page.rows],
        listed_page=listed_page,
        opened=opened,
        content=content[:MOST_CHARACTERS],
        is_cut=len(content) > MOST_CHARACTERS,
        resolutions=RESOLUTION_TITLES.items(),
        format_cause=format_cause,
        format_sender=lambda partner: format_sender(partner, names=names),
        faults=faults or [],
    )
