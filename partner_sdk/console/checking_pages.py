"""The last page of a draft: its gaps, its completeness, the text to be sealed, and the button that sends it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from partner_sdk.console.drafts import KeptDraft
from partner_sdk.console.page import ErrorLines, describe_error, get_state, note_act, open_partner, show_page
from partner_sdk.console.questions import CASE
from partner_sdk.console.sending import deliver
from partner_sdk.console.session import get_session
from partner_sdk.console.writing_pages import get_draft, get_drafts, make_id
from partner_sdk.errors import ReportAbuseError, ReportError
from partner_sdk.report import IndustryReport, measure_completeness, parse_report
from partner_sdk.report.outline import get_field, get_outline
from partner_sdk.report.preview import format_preview, make_preview

blueprint = Blueprint("checking", __name__)


@dataclass(frozen=True, slots=True)
class Pointed:
    """A fault or a gap of the report, with the page on which to answer it."""

    title: str
    detail: str
    path: str | None
    anchor: str


def _point_at(pointer: str, detail: str) -> Pointed:
    """Return the page and the question that a JSON pointer names, e.g. `#/suspects/0/logins/1/ip`."""
    steps = pointer.removeprefix("#").strip("/").split("/")
    try:
        title = get_field(pointer).description.removesuffix(".")
    except KeyError:
        return Pointed(pointer, detail, None, "")
    if steps[-1].isdigit() and len(steps) > 1:  # one of a list of plain values
        steps = steps[:-1]
    objects, anchor = steps[:-1], steps[-1]
    is_list = any(one.name == anchor and one.part is not None for one in get_outline().fields)
    path = None if not objects and is_list else "/".join(objects) or CASE
    where = " ".join(str(int(one) + 1) if one.isdigit() else one.replace("_", " ") for one in objects)
    return Pointed(
        f"{where[:1].upper()}{where[1:]}: {title[:1].lower()}{title[1:]}" if where else title, detail, path, anchor
    )


def _read_report(kept: KeptDraft) -> IndustryReport:
    settings = kept.settings
    return parse_report(kept.read().encode(), priority=settings.priority, kind=settings.kind)


@blueprint.get("/drafts/<draft_id>/check")
def get_check(draft_id: str) -> Response:
    """Show a draft as it will be sealed, with its missing answers and how complete it is."""
    return _show_check(get_draft(draft_id))


def _show_check(kept: KeptDraft, *, error: ErrorLines | None = None) -> Response:
    settings = kept.settings
    values: dict[str, Any] = {"draft": kept, "error": error, "faults": [], "missing": [], "score": None, "text": ""}
    try:
        report = _read_report(kept)
    except ReportError as refused:
        values["faults"] = [_point_at(one.pointer, one.detail) for one in refused.faults]
        values["error"] = error or (None if refused.faults else describe_error(refused))
        return show_page("check.html", **values)
    completeness = measure_completeness(report)
    preview = make_preview(
        report, priority=settings.priority, kind=settings.kind, earlier_reference=settings.earlier_reference
    )
    values["missing"] = [_point_at(pointer, "") for pointer in completeness.missing]
    values["score"] = completeness.score
    values["text"] = format_preview(preview).partition("\n\n")[2]
    status = HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY
    return show_page("check.html", status=status, **values)


@blueprint.post("/drafts/<draft_id>/send")
def post_send(draft_id: str) -> ResponseReturnValue:
    """Seal a draft, delete its readable words, and send it; without the gateway it waits sealed."""
    with get_drafts().sealing():
        kept = get_draft(draft_id)
        try:
            report_id = _seal(kept)
        except ReportError:
            return _show_check(kept)
        except ReportAbuseError as error:
            return _show_check(kept, error=describe_error(error))
    return deliver(report_id)


def _seal(kept: KeptDraft) -> str:
    """Seal the report of a draft, once, and delete the draft; return the id of the report."""
    settings, state = kept.settings, get_state()
    if settings.report_id is None or state.find_submission(settings.report_id) is None:
        report = _read_report(kept)
        kept.change(report_id=make_id())
        saved: list[str] = []
        try:
            with open_partner() as partner:
                partner.seal_report(
                    report,
                    priority=settings.priority,
                    kind=settings.kind,
                    earlier_reference=settings.earlier_reference,
                    report_id=kept.settings.report_id,
                    on_saved=saved.append,
                )
        except ReportAbuseError:
            if not saved:
                raise
    report_id = str(kept.settings.report_id)
    note_act("report-sealed", about=report_id)
    get_drafts().remember_reporter(kept.read().root)
    get_session().sealed[kept.draft_id] = report_id
    kept.delete()
    return report_id
