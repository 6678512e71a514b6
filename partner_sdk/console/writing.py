"""Writing a report: its pages, its files, and the last page with its gaps, the text to be sealed and the send button.

Each button saves the page first, so that no word is lost on the way to another one. Files are copied from the browser
into the draft.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from secrets import token_bytes
from typing import IO, Any, Final

from flask import Blueprint, Request, Response, abort, g, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._receipts import find_delivery, get_report_id
from partner_sdk.client._submissions import check_earlier_reference
from partner_sdk.console.drafts import DraftFiles, Drafts, KeptDraft, Owner, check_room, get_root, open_part
from partner_sdk.console.page import (
    ErrorLines,
    describe_error,
    get_console,
    get_person,
    get_state,
    go_to,
    is_by_script,
    note_act,
    open_partner,
    show_page,
)
from partner_sdk.console.people import make_console_folder
from partner_sdk.console.questions import (
    CASE,
    Place,
    Question,
    add_item,
    find_place,
    list_questions,
    lower_first,
    name_kind,
    read_form,
    read_labels,
    remove_item,
    title_field,
    title_item,
)
from partner_sdk.console.sent import Row, deliver, end_draft, find_job, list_rows, resume_files, send_with_files
from partner_sdk.console.session import get_session, takes_files
from partner_sdk.errors import (
    EvidenceError,
    FormatError,
    LocalStateError,
    RepeatedReportError,
    ReportAbuseError,
    ReportError,
)
from partner_sdk.report import IndustryReport, measure_completeness, parse_report
from partner_sdk.report.model import NotHeld
from partner_sdk.report.outline import Field, Part, get_field, get_outline, is_answered
from partner_sdk.report.reading import MUST_BE_THERE, Preview, make_preview
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id
from partner_sdk.wire.submission import Priority, ReportKind

blueprint = Blueprint("writing", __name__)

MOST_OFFERED: Final = 100
PRIORITIES: Final[dict[Priority, str]] = {
    "P1": "A child is at risk now",
    "P2": "Urgent",
    "P3": "Everything else",
}
KINDS: Final[dict[ReportKind, str]] = {
    "initial": "A new report",
    "supplement": "More about a report that you sent",
    "correction": "A correction of a report that you sent",
    "retraction": "Take back a report that you sent",
}
RESPONSE: Final = "The answer to a question of the agency"


def get_drafts() -> Drafts:
    """Return the drafts of this console."""
    return Drafts(make_console_folder(get_console().state))


def get_copies(draft_id: str) -> DraftFiles:
    """Return the copies of the files that a draft hands over."""
    return DraftFiles(make_console_folder(get_console().state), draft_id=draft_id)


def get_draft(draft_id: str) -> KeptDraft:
    """Return a draft, or end the request with a page that explains where it is."""
    draft, job = get_drafts().find(draft_id), find_job(draft_id)
    # One that is being sent stays as it is: "deleted" would be untrue, and words that are typed now would not go.
    if job is not None and (draft is None or not job.is_done):
        if is_by_script():
            abort(HTTPStatus.CONFLICT)
        abort(make_response(go_to("writing.get_sending", key=draft_id)))
    if draft is None:
        sealed = get_session().sealed.get(draft_id)
        if sealed is not None:
            abort(make_response(go_to("sent.get_report", report_id=sealed)))
        abort(HTTPStatus.NOT_FOUND)
    return draft


@blueprint.get("/reports/new")
def get_new() -> Response:
    """Show the first questions: how urgent, and which kind."""
    return _show_new({"priority": "", "kind": "initial", "earlier_reference": request.args.get("about", "")})


@blueprint.post("/reports/new")
def post_new() -> ResponseReturnValue:
    """Begin a draft."""
    typed = {name: request.form.get(name, "") for name in ("priority", "kind", "earlier_reference")}
    priority = next((one for one in PRIORITIES if one == typed["priority"]), None)
    kind = next((one for one in KINDS if one == typed["kind"]), None)
    earlier = typed["earlier_reference"] if kind != "initial" else ""
    faults = {}
    if priority is None:
        faults["priority"] = "Choose how urgent it is."
    if kind is None:
        faults["kind"] = "Choose what you want to send."
    elif earlier and earlier not in {reference for reference, _ in _list_earlier(earlier)}:
        faults["earlier_reference"] = "Choose one of your reports."
    else:
        try:
            check_earlier_reference(earlier or None, kind=kind)
        except FormatError:
            faults["earlier_reference"] = "Choose the report that this belongs to."
    if faults or priority is None or kind is None:
        return _show_new(typed, faults=faults)
    return begin_draft(kind=kind, priority=priority, earlier_reference=earlier or None)


def begin_draft(
    *, kind: ReportKind, priority: Priority, earlier_reference: str | None = None, answers: str | None = None
) -> ResponseReturnValue:
    """Begin a draft and go to its contents; `answers` is the id of the question that a response answers."""
    console = get_console()
    draft_id = make_id()
    get_drafts().begin(
        draft_id,
        kind=kind,
        priority=priority,
        earlier_reference=earlier_reference,
        by=get_person(),
        now=console.clock(),
        answers=answers,
    )
    note_act("draft-begun", about=draft_id)
    return go_to("writing.get_contents", draft_id=draft_id)


def make_id() -> str:
    """Return a new id, of a draft or a report."""
    return make_report_id(get_console().clock(), token_bytes(REPORT_ID_RANDOM_BYTES))


def _show_new(typed: dict[str, str], *, faults: dict[str, str] | None = None) -> Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK
    return show_page(
        "new.html",
        status=status,
        typed=typed,
        faults=faults or {},
        priorities=PRIORITIES.items(),
        kinds=KINDS.items(),
        earlier=_list_earlier(typed["earlier_reference"]),
    )


def _list_earlier(named: str) -> list[tuple[str, str]]:
    """Return the references of the newest reports with their days, and that of the one that is named."""
    rows = list_rows(most=MOST_OFFERED)
    if named and named not in {one.reference for one in rows}:
        try:
            receipt = find_delivery(get_state(), get_report_id(get_state(), named))
        except ReportAbuseError:
            receipt = None
        if receipt is not None:
            return [(named, named), *((one.reference, _name_row(one)) for one in rows)]
    return [(one.reference, _name_row(one)) for one in rows]


def _name_row(row: Row) -> str:
    return f"{row.reference}, received {row.received_at[:10]}"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One entry of a draft's contents: a page, or a list of pages, with its state in words."""

    name: str
    title: str
    path: str | None
    state: str
    is_ready: bool
    is_owed: bool
    items: tuple[tuple[str, str], ...] = ()
    item_name: str = ""


def _list_chapters(kept: KeptDraft, root: Owner) -> list[Chapter]:
    section = get_root(root)
    found = [_make_chapter(kept, root, CASE, "The case", "In short")]
    parts = [one for one in section.part.fields if one.part is not None]
    for one in [*(p for p in parts if not p.is_list), *(p for p in parts if p.is_list)]:
        title = one.description.removesuffix(".")
        if not one.is_list:
            found.append(_make_chapter(kept, root, one.name, one.name, title))
            continue
        name = name_kind(one.part)
        held = root.get(one.name)
        not_held = isinstance(held, dict)
        items = [
            (f"{one.name}/{number}", title_item(item, number + 1))
            for number, item in enumerate(section.list_items(one))
        ]
        left = sum(_count_missing(kept, root, path) for path, _ in items)
        state = "None held" if not_held else f"{len(items)} given" if items else "None yet"
        if left:  # the items stand below it
            state = _say_missing(left)
        is_ready = not left and (bool(items) or not_held)
        found.append(Chapter(one.name, title, None, state, is_ready, left > 0, tuple(items), name))
    return found


def _make_chapter(kept: KeptDraft, root: Owner, path: str, name: str, title: str) -> Chapter:
    place = find_place(root, path)
    questions = [] if place is None else _ask(kept, root, place)
    left = _count_missing(kept, root, path)
    useful = [one for one in questions if one.is_useful]
    given = sum(one.is_answered for one in useful)
    if left:
        state = _say_missing(left)
    else:
        state = f"{given} of {len(useful)} useful answers" if useful else "Complete"
    is_ready = not left and given == len(useful)
    return Chapter(name, title, path, state, is_ready, left > 0)


def _count_missing(kept: KeptDraft, root: Owner, path: str) -> int:
    """Count the required answers that a page and the pages below it miss."""
    place = find_place(root, path)
    questions = [] if place is None else _ask(kept, root, place)
    here = sum(one.is_must and not one.is_answered for one in questions)
    return here + sum(_count_missing(kept, root, item.path) for one in questions for item in one.items)


def _say_missing(count: int) -> str:
    return f"{count} required answer{'s' if count > 1 else ''} missing"


def _ask(kept: KeptDraft, root: Owner, place: Place) -> list[Question]:
    return list_questions(place, root=root, priority=kept.settings.priority, kind=kept.settings.kind)


@blueprint.get("/drafts/<draft_id>")
def get_contents(draft_id: str) -> Response:
    """Show the contents of a draft with the state of each page."""
    kept = get_draft(draft_id)
    root = kept.read().root
    return show_page("draft.html", draft=kept, kinds=_KIND_LABELS, chapters=_list_chapters(kept, root))


_KIND_LABELS: Final = {**KINDS, "response": RESPONSE}


@blueprint.get("/drafts/<draft_id>/at/<path:path>")
def get_section(draft_id: str, path: str) -> Response:
    """Show one page of a draft."""
    kept = get_draft(draft_id)
    root = kept.read().root
    place = find_place(root, path)
    if place is None:
        abort(HTTPStatus.NOT_FOUND)
    return _show_section(kept, place, _ask(kept, root, place))


@blueprint.post("/drafts/<draft_id>/at/<path:path>")
def post_section(draft_id: str, path: str) -> ResponseReturnValue:
    """Save one page of a draft, and go where its button leads."""
    kept = get_draft(draft_id)
    go = request.form.get("go", "")
    verb, _, name = go.partition(":")
    with kept.changing() as draft:
        place = find_place(draft.root, path)
        if place is None:
            abort(HTTPStatus.CONFLICT)
        questions = _ask(kept, draft.root, place)
        if request.form.get("seen") != place.seen:
            # Another window saved this page meanwhile: nothing is overwritten unseen.
            read = _read_without_saving(place, questions)
            return _answer_script(place, read, HTTPStatus.CONFLICT) or _show_section(kept, place, read, is_other=True)
        if verb == "remove":
            remove_item(draft.root, path)
            get_copies(draft_id).remove_unlisted(draft.root)
            return _go_up(kept, place, notice="Removed.")
        read = read_form(place, request.form.to_dict(flat=False), questions)
        answered = _answer_script(place, read)
        if answered is not None or any(one.fault for one in read):
            return answered or _show_section(kept, place, read)
        added = add_item(place, name) if verb == "add" else None
    if added is not None:
        return go_to(".get_section", draft_id=draft_id, path=added)
    if verb == "open" and any(item.path == name for one in read for item in one.items):
        return go_to(".get_section", draft_id=draft_id, path=name)
    if any(one.is_doubted for one in read):
        return go_to(".get_section", draft_id=draft_id, path=path, notice="Saved. Please look at the notes below.")
    return _go_up(kept, place, notice="Saved.")


def _answer_script(
    place: Place, read: list[Question], status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue | None:
    """Return the answer to the script that saves while a person types, or None for the press of a button."""
    if not is_by_script():
        return None
    return jsonify({"seen": place.seen, "faults": sum(bool(one.fault) for one in read)}), status


def _read_without_saving(place: Place, questions: list[Question]) -> list[Question]:
    before = dict(place.section.owner)
    read = read_form(place, request.form.to_dict(flat=False), questions)
    place.section.owner.clear()
    place.section.owner.update(before)
    return read


def _go_up(kept: KeptDraft, place: Place, *, notice: str) -> ResponseReturnValue:
    if place.above is None:
        return go_to(".get_contents", draft_id=kept.draft_id, notice=notice)
    return go_to(".get_section", draft_id=kept.draft_id, path=place.above, notice=notice)


def _show_section(kept: KeptDraft, place: Place, questions: list[Question], *, is_other: bool = False) -> Response:
    is_faulty = any(one.fault for one in questions)
    status = HTTPStatus.CONFLICT if is_other else HTTPStatus.UNPROCESSABLE_ENTITY if is_faulty else HTTPStatus.OK
    field = None if place.path == CASE else get_field(f"#/{place.path}")
    is_item = place.path != CASE and place.path.rpartition("/")[2].isdigit()
    name = "" if field is None else name_kind(field.part)
    title = "The case in short" if field is None else field.description.removesuffix(".")
    if is_item:
        title = f"{name[:1].upper()}{name[1:]} {int(place.path.rpartition('/')[2]) + 1}"
    shown = [one for one in questions if one.is_must or one.is_useful or one.is_answered or one.fault]
    return show_page(
        "section.html",
        status=status,
        draft=kept,
        place=place,
        title=title,
        lead="" if not is_item or field is None else field.description,
        item_name=name if is_item else "",
        questions=shown,
        others=[one for one in questions if one not in shown],
        faulty=[one for one in questions if one.fault],
        is_other=is_other,
        reasons=read_labels()["not_held"].items(),
    )


@blueprint.post("/drafts/<draft_id>/add")
def post_add(draft_id: str) -> ResponseReturnValue:
    """Add an item to a list of the report, or give the reason why none is held."""
    kept = get_draft(draft_id)
    name = request.form.get("add", "")
    with kept.changing() as draft:
        place = find_place(draft.root, CASE)
        added = None if place is None else add_item(place, name)
    if added is None:
        abort(HTTPStatus.BAD_REQUEST)
    return go_to(".get_section", draft_id=draft_id, path=added)


@blueprint.post("/drafts/<draft_id>/delete")
def post_delete(draft_id: str) -> ResponseReturnValue:
    """Delete a draft with its words."""
    get_draft(draft_id).delete()
    get_copies(draft_id).delete()
    note_act("draft-deleted", about=draft_id)
    return go_to("front.get_front", notice="The draft is deleted. Nothing of it was sent.")


@blueprint.post("/drafts/<draft_id>/priority")
def post_priority(draft_id: str) -> ResponseReturnValue:
    """Change how urgent a draft is."""
    kept = get_draft(draft_id)
    priority = next((one for one in PRIORITIES if one == request.form.get("priority")), None)
    if priority is not None:
        kept.change(priority=priority)
    return go_to(".get_contents", draft_id=draft_id, notice="Saved.")


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
            report_id = kept.settings.report_id
            # One that is there was sealed before: the console ended before it deleted the draft.
            if report_id is None or get_state().find_submission(report_id) is None:
                report = _read_report(kept)
                if files.list_copies(kept.read().root):
                    send_with_files(kept, report, files, again=again)
                    return go_to("writing.get_sending", key=draft_id)
                report_id = _seal(kept, report, again=again)
        except ReportAbuseError as error:
            repeated = error if isinstance(error, RepeatedReportError) else None
            return _show_check(kept, error=describe_error(error), repeated=repeated)
        get_session().sealed[draft_id] = report_id
        end_draft(kept, drafts=get_drafts(), report_id=report_id, by=get_person())
    return deliver(report_id)


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


_PARTS: Final = "console_parts"


class ConsoleRequest(Request):
    """A request whose files are written straight into the console's own folder, and nowhere else."""

    def _get_file_stream(  # Werkzeug's own hook for this
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        del content_type, filename, content_length
        if not PartnerState.is_in(get_console().state):
            return BytesIO()  # an invitation: there is no folder yet, and its secret belongs on no disk
        folder = make_console_folder(get_console().state)
        check_room(folder, size_bytes=total_content_length or 0)
        part = open_part(folder)
        g.setdefault(_PARTS, []).append(part)
        return part


def remove_parts(_: BaseException | None) -> None:
    """Delete every upload of a request that was not taken into a draft."""
    for part in g.get(_PARTS, ()):
        part.close()
        Path(part.name).unlink(missing_ok=True)


@blueprint.get("/drafts/<draft_id>/files")
def get_upload(draft_id: str) -> Response:
    """Show the files of a draft, and the form that adds more."""
    return _show_upload(draft_id)


def _show_upload(draft_id: str, *, fault: str = "") -> Response:
    kept = get_draft(draft_id)
    root = kept.read().root
    return show_page(
        "files.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
        draft=kept,
        rows=_list_rows(root, copies=get_copies(draft_id).list_copies(root)),
        fault=fault,
    )


def _list_rows(root: Owner, *, copies: dict[str, Path]) -> list[dict[str, Any]]:
    held, part = root.get("files"), get_field("#/files").part
    required = {one.name for one in part.fields if one.needed == "must"} if part is not None else set()
    return [
        {
            "path": f"files/{number}",
            "name": item.get("name") or item.get("file_id") or f"File {number + 1}",
            "size_bytes": item.get("size_bytes"),
            "goes": item.get("file_id") in copies,
            "is_ready": required <= set(item),
        }
        for number, item in enumerate(held if isinstance(held, list) else [])
        if isinstance(item, dict)
    ]


@blueprint.post("/drafts/<draft_id>/files")
@takes_files
def post_upload(draft_id: str) -> ResponseReturnValue:
    """Take the uploaded files into the draft."""
    kept = get_draft(draft_id)
    uploads = [one for one in request.files.getlist("file") if one.filename]
    if not uploads:
        return _answer_upload(draft_id, fault="Choose a file first.")
    for one in uploads:
        one.stream.flush()
    try:
        with kept.changing() as draft:
            for one in uploads:
                part = Path(str(getattr(one.stream, "name", "")))
                file_id = get_copies(draft_id).add(part, name=one.filename or "", root=draft.root)
                note_act("file-added", about=f"{draft_id}.{file_id}")
            place = f"files/{len(draft.root['files']) - 1}"
    except (EvidenceError, LocalStateError) as error:
        return _answer_upload(draft_id, fault=str(error))
    if len(uploads) == 1:
        notice = "The file is copied. Please answer the questions about it."
        return _answer(go_to("writing.get_section", draft_id=draft_id, path=place, notice=notice))
    notice = f"{len(uploads)} files are copied. Please answer the questions of each."
    return _answer(go_to(".get_upload", draft_id=draft_id, notice=notice))


def _answer_upload(draft_id: str, *, fault: str) -> ResponseReturnValue:
    if is_by_script():
        return _answer(go_to(".get_upload", draft_id=draft_id, warning=fault))
    return _show_upload(draft_id, fault=fault)


def _answer(redirect: ResponseReturnValue) -> ResponseReturnValue:
    """Send the browser on; the script that showed the progress gets the address, and the notice stays unread."""
    response = make_response(redirect)
    return jsonify({"location": response.location}) if is_by_script() else response


@blueprint.get("/sending/<key>")
def get_sending(key: str) -> ResponseReturnValue:
    """Show how far the files of a report are, or go on to its end."""
    job = find_job(key)
    if job is None:
        abort(HTTPStatus.NOT_FOUND)
    if not job.is_done:
        return show_page("sending.html", job=job, rows=job.list_rows())
    fault = None if job.error is None else " ".join((job.error.title, *job.error.lines))
    if job.report_id is None:
        return go_to("writing.get_check", draft_id=key, warning=f"It was not sent: {fault}")
    if fault:
        return go_to("sent.get_report", report_id=job.report_id, warning=f"Not finished: {fault}")
    return go_to("sent.get_report", report_id=job.report_id, notice="Everything is delivered.")


@blueprint.get("/sending/<key>.json")
def get_sending_json(key: str) -> ResponseReturnValue:
    """Return the same for the script of that page."""
    job = find_job(key)
    if job is None:
        abort(HTTPStatus.NOT_FOUND)
    return jsonify({"is_done": job.is_done, "files": job.list_rows(), "reference": job.reference})


@blueprint.post("/reports/<report_id>/files")
def post_resume(report_id: str) -> ResponseReturnValue:
    """Send the files of a report that still wait."""
    resume_files(report_id)
    return go_to(".get_sending", key=report_id)


_INDENT: Final = "  "


def format_preview(preview: Preview) -> str:
    """Return the preview as text: headings, plain words, and missing fields, the most useful to police first."""
    return "\n".join([*_format_head(preview), "", *_format_part(get_outline(), preview.report, depth=0)])


def _format_head(preview: Preview) -> Iterator[str]:
    earlier = f", belongs to {preview.earlier_reference}" if preview.earlier_reference else ""
    yield f"PREVIEW: {preview.priority}, {preview.kind}{earlier}. Nothing was sent."
    yield f"Complete: {preview.completeness.score} of 100."
    if preview.completeness.missing:
        yield 'Missing, the most useful to police first; if you do not hold a value, give {"not_held": reason}:'
        for pointer in preview.completeness.missing:
            yield f"{_INDENT}{pointer}: {get_field(pointer).description}"


def _format_part(part: Part, owner: Any, *, depth: int) -> Iterator[str]:
    for field in part.fields:
        value = getattr(owner, field.name)
        # A must is shown when it is empty too: null and an empty list say something there.
        if is_answered(value) or field.needed == "must":
            yield from _format_field(field, value, depth=depth)


def _format_field(field: Field, value: Any, *, depth: int) -> Iterator[str]:
    margin, words = _INDENT * depth, field.description.removesuffix(".")
    if field.part is None or isinstance(value, NotHeld):
        yield from _indent_value(f"{margin}{words}: ", value)
    elif field.is_list:
        for number, item in enumerate(value, start=1):
            yield f"{margin}{_make_heading(field, depth)} {number}"
            yield from _format_part(field.part, item, depth=depth + 1)
    else:
        yield f"{margin}{_make_heading(field, depth)}"
        yield from _format_part(field.part, value, depth=depth + 1)


def _make_heading(field: Field, depth: int) -> str:
    name = field.name.replace("_", " ")
    return name.upper() if depth == 0 else name.capitalize()


def _indent_value(start: str, value: Any) -> Iterator[str]:
    first, *others = _format_value(value).split("\n")
    yield f"{start}{first}"
    margin = " " * (len(start) - len(start.lstrip()) + len(_INDENT))
    yield from (f"{margin}{line}" for line in others)


def _format_value(value: Any) -> str:
    if isinstance(value, NotHeld):
        return f"not held ({value.not_held.replace('_', ' ')})"
    if isinstance(value, tuple):
        return ", ".join(map(_format_value, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
