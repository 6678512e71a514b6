"""Intelligence packages: every byte is checked, then each file is shown or saved. Writes no copy of its own."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from partner_sdk.client.threads import CheckedPackage
from partner_sdk.console.page import go_to, note_act, offer_file, open_partner, show_page
from partner_sdk.errors import MailboxError

blueprint = Blueprint("packages", __name__)
PAGE: Final = "page.html"
# The agency's page runs no script; its style is its own, and it belongs to no origin.
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:; sandbox; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)


def _check(message_id: str) -> CheckedPackage:
    try:
        with open_partner() as partner:
            return partner.threads.check_package(message_id)
    except MailboxError as error:
        if error.reason == "no-such-message":
            abort(HTTPStatus.NOT_FOUND)
        raise


@blueprint.post("/packages/<message_id>/open")
def post_open(message_id: str) -> ResponseReturnValue:
    """Check a package and go to its files."""
    _check(message_id)
    note_act("package-opened", about=message_id)
    return go_to(".get_package", message_id=message_id)


@blueprint.get("/packages/<message_id>")
def get_package(message_id: str) -> Response:
    """Show a package's manifest and files."""
    package = _check(message_id)
    names = sorted(package.files, key=lambda name: (name not in {PAGE, "page.pdf"}, name))
    sizes = [(name, len(package.files[name])) for name in names]
    return show_page("package.html", message_id=message_id, manifest=package.manifest, files=sizes, page=PAGE)


@blueprint.get("/packages/<message_id>/read")
def get_page(message_id: str) -> Response:
    """Show the page of a package in a window of its own."""
    page = _check(message_id).files.get(PAGE)
    if page is None:
        abort(HTTPStatus.NOT_FOUND)
    note_act("package-read", about=message_id)
    headers = {"Content-Security-Policy": _PAGE_POLICY}
    return Response(page, content_type="text/html; charset=utf-8", headers=headers)


@blueprint.get("/packages/<message_id>/files/<path:name>")
def get_file(message_id: str, name: str) -> Response:
    """Return one file of a package, to save it."""
    content = _check(message_id).files.get(name)
    if content is None:
        abort(HTTPStatus.NOT_FOUND)
    note_act("package-file-saved", about=message_id)
    return offer_file(content, name=name.rpartition("/")[2], content_type="application/octet-stream")
