"""The last page of a draft: its gaps, its completeness, the text to be sealed, and the button that sends it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from partner_sdk.console.drafts import KeptDraft
from partner_sdk.console.page import ErrorLines, describe_error, get_person, get_state, go_to, open_partner, show_page
from partner_sdk.console.places import CASE
from partner_sdk.console.questions import lower_first, name_kind, title_field
from partner_sdk.console.sending import deliver, end_draft, send_with_files
from partner_sdk.console.session import get_session
from partner_sdk.console.writing_pages import get_copies, get_draft, get_drafts, make_id
from partner_sdk.errors import RepeatedReportError, ReportAbuseError, ReportError
from partner_sdk.report import IndustryReport, measure_completeness, parse_report
from partner_sdk.report.outline import get_field, get_outline
from partner_sdk.report.reading import MUST_BE_THERE, format_preview, make_preview

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
        title = title_field(get_field(pointer))
    except KeyError:
        return Pointed(pointer, detail, None, "")
    if steps[-1].isdigit() and len(steps) > 1:  # one of a list of plain values
        steps = steps[:-1]
    objects, anchor = steps[:-1], steps[-1]
    is_list = any(one.name == anchor and one.part is not None for one in get_outline().fields)
    path = None if not objects and is_list else "/".join(objects) or CASE
    where = _name_objects(objects)
    detail = "It needs an answer." if detail == MUST_BE_THERE else detail
    return Pointed(f"{where}: {lower_first(title)}" if where else title, detail, path, anchor)


def _name_objects(steps: list[str]) -> str:
    """Return the way to an object by the names of its pages, e.g. `Suspect 1, login 2` for `suspects/0/logins/1`."""
    names = []
    for count, step in enumerate(steps, start=1):
        if step.isdigit():
            continue
        field = get_field(f"#/{'/'.join(steps[:count])}")
        is_item = field.is_list and count < len(steps)
        names.append(f"{name_kind(field.part)} {int(steps[count]) + 1}" if is_item else title_field(field))
    return ", ".join([name if place else f"{name[:1].upper()}{name[1:]}" for place, name in enumerate(names)])


def _read_report(kept: KeptDraft) -> IndustryReport:
    settings = kept.settings
    return parse_report(kept.read().encode(), priority=settings.priority, kind=settings.kind)


@blueprint.get("/drafts/<draft_id>/check")
def get_check(draft_id: str) -> Response:
    """Show a draft as it will be sealed, with its missing answers and how complete it is."""
    return _show_check(get_draft(draft_id))


def _show_check(
    kept: KeptDraft, *, error: ErrorLines | None = None, repeated: RepeatedReportError | None = None
) -> Response:
    settings = kept.settings
    values: dict[str, Any] = {
        "draft": kept,
        "error": error,
        "repeated": repeated,
        "faults": [],
        "missing": [],
        "score": None,
        "text": "",
    }
    try:
        report = _read_report(kept)
    except ReportError as refused:
        values["faults"] = [_point_at(one.pointer, one.detail) for one in refused.faults]
        values["error"] = None if refused.faults else describe_error(refused)
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
    again = request.form.get("again") == "yes"
    with get_drafts().sealing():
        kept = get_draft(draft_id)
        files = get_copies(draft_id)
        try:
            report_id = _find_sealed(kept)
            if report_id is None:
                report = _read_report(kept)
                if files.list_copies(kept.read().root):
                    send_with_files(kept, report, files, again=again)
                    return go_to("files.get_sending", key=draft_id)
                report_id = _seal(kept, report, again=again)
        except ReportAbuseError as error:
            repeated = error if isinstance(error, RepeatedReportError) else None
            return _show_check(kept, error=describe_error(error), repeated=repeated)
        get_session().sealed[draft_id] = report_id
        end_draft(kept, drafts=get_drafts(), report_id=report_id, by=get_person())
    return deliver(report_id)


def _find_sealed(kept: KeptDraft) -> str | None:
    """Return the id of the report that this draft was sealed as, if the console ended before the draft was deleted."""
    report_id = kept.settings.report_id
    return None if report_id is None or get_state().find_submission(report_id) is None else report_id


def _seal(kept: KeptDraft, report: IndustryReport, *, again: bool) -> str:
    settings, report_id = kept.settings, make_id()
    kept.change(report_id=report_id)
    saved: list[str] = []
    try:
        with open_partner() as partner:
            partner.seal_report(
                report,
                priority=settings.priority,
                kind=settings.kind,
                earlier_reference=settings.earlier_reference,
                report_id=report_id,
                again=again,
                on_saved=saved.append,
            )
    except ReportAbuseError:
        if not saved:  # else it is on the disk, and only the newer key was not to be had
            raise
    return report_id
