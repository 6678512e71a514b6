"""The front page: the work that waits, the most urgent first."""

from typing import Final

from flask import Blueprint, Response

from partner_sdk.console.agency_pages import find_waiting_work
from partner_sdk.console.page import NavItem, get_console, show_page
from partner_sdk.console.sent_pages import list_rows, list_spool
from partner_sdk.console.writing_pages import get_drafts

blueprint = Blueprint("front", __name__)
NAV: Final = NavItem("Home", "front.get_front")
NEWEST: Final = 5


@blueprint.get("/")
def get_front() -> Response:
    """Show the waiting work."""
    waiting = list_spool()
    return show_page(
        "front.html",
        work=find_waiting_work(),
        waiting=waiting,
        urgent=any(one.priority == "P1" for one in waiting),
        drafts=get_drafts().list_all(),
        rows=list_rows(most=NEWEST),
        now=get_console().clock(),
    )
