"""Drafts packages and redirected reports, has a second person sign each, and releases it.

The bytes are fixed at the draft: the second person reads and signs exactly those, and a case that changed since needs a
new draft. Every choice of a body is on record with its case, and its reason is sealed (R18).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.actions.ledger import Unsigned, draft_action, release_action
from gateway.desk.actions.model import Action, get_action
from gateway.desk.cases.assessing import YES
from gateway.desk.cases.holding import hold
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    CaseStep,
    StepKind,
    StepText,
    add_step,
    get_case,
    list_steps,
    open_texts,
)
from gateway.desk.packages.choices import (
    PACKAGE,
    FormFault,
    PackageForm,
    get_destination,
)
from gateway.desk.packages.content import PackageContent
from gateway.desk.packages.gathering import GatheredCase, get_ready, has_changed
from gateway.desk.packages.packing import Packed
from gateway.desk.people import releases
from gateway.desk.people.releases import Release, draft_release, list_of_subjects
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import encode, parse_exact

CHOICE: Final[StepKind] = "choose-body"
# Until a body has to have taken it: a child in danger now, and everything else within a working day or so.
_URGENT_WITHIN: Final = timedelta(hours=1)
_OTHERS_WITHIN: Final = timedelta(days=2)
# Every text of a form at its most, each character escaped at worst.
_MOST_FORM_BYTES: Final = 128 * 1024
# Of the newest readings of the actions of a case, one is the signer's: they open the page to sign.
_MOST_READINGS: Final = 200


class FormRefusedError(CaseError):
    """A form has faults; each names its field."""

    def __init__(self, faults: Sequence[FormFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(faults[0].message, reason="form-refused")


@dataclass(frozen=True, slots=True)
class Preview:
    """A package as it would leave: its content, its way and bytes, and its page. `leaks` are withheld words in it."""

    gathered: GatheredCase
    content: PackageContent
    packed: Packed
    page: bytes
    leaks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """The recorded choice behind an action, without its sealed texts. `assessed` is the number of its assessment."""

    step: CaseStep
    action_id: str
    destination: str
    assessed: int
    reports: tuple[str, ...]
    evidence: tuple[str, ...]
    adds_to: str


def draft_package(desk: Desk, made: Preview, form: PackageForm, *, actor: str) -> Action:
    """Keep a previewed package as a draft for a second person to sign.

    Raises `ActionError`, and `CaseError` as `get_ready`, `held`, and `changed` for a case that changed meanwhile.
    """
    case, now = made.gathered.case, desk.clock()
    with desk.store.write() as connection:
        lead, standing = get_ready(connection, case.case_id)
        lead = hold(desk, connection, lead, actor=actor)
        if has_changed(
            connection, lead.case_id, covers=made.gathered.covers, assessed=made.gathered.standing.step.number
        ):
            raise CaseError("The case changed while you wrote. Look at it again, then draft.", reason="changed")
        action = draft_action(
            desk,
            connection,
            kind=form.kind,
            case_id=lead.case_id,
            recipient=form.destination,
            way=made.packed.way,
            body=made.packed.body,
            actor=actor,
            due_at=now + (_URGENT_WITHIN if standing.immediate_risk == YES else _OTHERS_WITHIN),
            covers=made.gathered.covers if form.kind == PACKAGE else None,
            action_id=made.content.package_id,
        )
        _record_choice(desk, connection, lead, form, action, assessed=standing.step.number, actor=actor)
        draft_release(
            connection,
            kind=releases.PACKAGE,
            subject=action.action_id,
            body=made.packed.manifest,
            by=actor,
            now=now,
        )
        return action


def _record_choice(
    desk: Desk,
    connection: Connection,
    lead: CaseRow,
    form: PackageForm,
    action: Action,
    *,
    assessed: int,
    actor: str,
) -> None:
    codes: dict[str, audit.Detail] = {
        "action_id": action.action_id,
        "adds_to": form.adds_to,
        "assessed": assessed,
        "destination": form.destination,
        "kind": form.kind,
        "evidence": ",".join(form.evidence),
        "legal": ",".join(form.legal),
        "reporter": form.reporter,
        "reports": ",".join(form.reports),
    }
    text = StepText(reason=form.why, form=encode(form).decode())
    add_step(desk, connection, lead.case_id, CHOICE, actor=actor, text=text, codes=codes)


def list_choices(connection: Connection, case: CaseRow) -> dict[str, Choice]:
    """Return the choices behind the actions of a case, by action id."""
    found = (_to_choice(step) for step in list_steps(connection, case, kinds={CHOICE}))
    return {one.action_id: one for one in found}


def _to_choice(step: CaseStep) -> Choice:
    codes = step.detail
    return Choice(
        step=step,
        action_id=codes["action_id"],
        destination=codes["destination"],
        assessed=codes["assessed"],
        reports=tuple(filter(None, codes["reports"].split(","))),
        evidence=tuple(filter(None, codes["evidence"].split(","))),
        adds_to=codes["adds_to"],
    )


def open_form(desk: Desk, case: CaseRow, choice: Choice, *, actor: str) -> PackageForm | None:
    """Return the form behind an action, to start another one from; None if it no longer opens."""
    text = open_texts(desk, case, [choice.step], actor=actor).get(choice.step.step_id)
    if text is None or not text.form:
        return None
    return parse_exact(text.form.encode(), kind=PackageForm, max_bytes=_MOST_FORM_BYTES)


def find_package_release(connection: Connection, action_id: str) -> Release | None:
    """Return the signature that a package waits for or has."""
    return list_of_subjects(connection, kind=releases.PACKAGE, subjects=[action_id]).get(action_id)


def check_still_right(desk: Desk, connection: Connection, action: Action) -> None:
    """Raise `CaseError` unless a draft is still up to date with its case, and its body takes it today.

    `unknown-action`, `changed`, `unknown-destination`, `retired-destination`, `takes-none`.
    """
    case = get_case(connection, action.case_id or "")
    choice = list_choices(connection, case).get(action.action_id)
    if choice is None:
        raise CaseError("No choice of a body is on record for this.", reason="unknown-action")
    get_destination(desk, action.kind, action.recipient)
    covers = action.covers if action.kind == PACKAGE else None
    if has_changed(connection, case.case_id, covers=covers, assessed=choice.assessed):
        raise CaseError(
            "The case was read further, assessed again or closed since this was drafted. Withdraw the draft, and make "
            "a new one from it: its texts are kept.",
            reason="changed",
        )


def release_package(desk: Desk, action_id: str, *, signature: Release | Unsigned, actor: str) -> Action:
    """Release a package with its signature; the caller has checked that this person may send an unsigned one alone.

    Raises as `check_still_right` and `release_action`.
    """
    with desk.store.write() as connection:
        action = get_action(connection, action_id)
        check_still_right(desk, connection, action)
        return release_action(desk, connection, action_id, signature=signature, actor=actor)


def check_was_read(connection: Connection, action: Action, *, by: str) -> None:
    """Raise `CaseError` (`package-unread`) unless this person read these bytes: the signature is for them."""
    acts = audit.list_acts(connection, subjects=[action.subject], actions=["read-action"], most=_MOST_READINGS)
    if not any(act.actor == by and act.detail["action_id"] == action.action_id for act in acts):
        raise CaseError("Read it first: you sign exactly this page.", reason="package-unread")


def check_may_send_alone(connection: Connection, action: Action) -> None:
    """Raise `CaseError` (`not-crisis`) unless a duty officer may send this alone: a package of a crisis case."""
    if action.kind != PACKAGE or not get_case(connection, action.case_id or "").crisis:
        raise CaseError("Only the package of a crisis case goes without a second person.", reason="not-crisis")
