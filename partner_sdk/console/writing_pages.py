"""Writing a report: begin it, and go through its pages.

Each button saves the page first, so that no word is lost on the way to another one.
"""

from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_bytes
from typing import Final

from flask import Blueprint, Response, abort, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._receipts import find_delivery, get_report_id
from partner_sdk.client._submissions import check_earlier_reference
from partner_sdk.console.choice_labels import LABELS
from partner_sdk.console.draft_files import DraftFiles
from partner_sdk.console.drafts import Drafts, KeptDraft
from partner_sdk.console.page import (
    get_console,
    get_person,
    get_state,
    go_to,
    is_by_script,
    note_act,
    show_page,
)
from partner_sdk.console.people import make_console_folder
from partner_sdk.console.places import CASE, Place, add_item, find_place, remove_item
from partner_sdk.console.questions import Question, list_questions, name_kind, read_form, title_item
from partner_sdk.console.report_drafts import Owner, get_root
from partner_sdk.console.sending import find_job
from partner_sdk.console.sent_pages import Row, list_rows
from partner_sdk.console.session import get_session
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.report.outline import get_field
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, make_report_id
from partner_sdk.wire.submission import Priority, ReportKind

blueprint = Blueprint("writing", __name__)
_REASONS: Final = list(LABELS["not_held"].items())

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
        abort(make_response(go_to("files.get_sending", key=draft_id)))
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
        reasons=_REASONS,
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
