"""Examples of everything that the agency sends a partner about a case, and their threads, in a sandbox. NOT A REPORT.

Each is an action of the real desk: drafted, released and sent as at a live agency, where people decide and sign. The
contents are invented and mild.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from gateway.desk.actions.ledger import (
    Direction,
    EntryKind,
    draft_action,
    list_entries,
    open_entries,
    release_action,
    withdraw_action,
    write_entry,
)
from gateway.desk.actions.model import KINDS, ActionKind, get_action
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.mailbox import (
    AskedAccount,
    DeskEntryKind,
    InformationRequest,
    MessageBody,
    Package,
    PreservationRequest,
    ReferralFacts,
    ServiceAlert,
    TermsReferral,
    encode_body,
)

# The partners that a sandbox's register of destinations knows as bodies that take packages: the ready one, one of the
# name, and the first that enrols over HTTP.
BODIES: Final = {
    "example-service": "sandbox_service",
    "example-police": "sandbox_police",
    "sandbox-1": "sandbox_first",
}
# After a partner's first report the desk sends these by itself. Of a case that is with the police no referral goes out.
_TO_A_SERVICE: Final[tuple[ActionKind, ...]] = ("preservation-request", "terms-referral", "alert")
_TO_A_BODY: Final[tuple[ActionKind, ...]] = ("preservation-request", "alert", "package")
_IS_A_BODY: Final = frozenset({"example-police", "sandbox-1"})
_REGISTER: Final = """[{key}]
name = "{partner}, of a sandbox"
group = "police"
takes = ["package", "crisis"]
checked_on = {today}
source = "https://sandbox-gateway.invalid/"
channel = "mailbox"
partner = "{partner}"

"""
_ACCOUNTS: Final = (AskedAccount(kind="username", value="mild_example"),)
_PURPOSE: Final = "To rehearse an answer."
_NO_LAW: Final = "None: this is a rehearsal."


@dataclass(frozen=True, slots=True)
class SandboxEntry:
    """One entry of a thread at the desk of a sandbox; `direction` is `in` from the partner, `out` to it."""

    direction: Direction
    kind: EntryKind
    by: str
    text: str
    outcome: str | None
    report_id: str | None


def write_register(path: Path, *, today: date) -> None:
    """Write the sandbox's own register of destinations: both partners take packages over their mailbox."""
    rows = (_REGISTER.format(key=key, partner=partner, today=today) for partner, key in BODIES.items())
    path.write_text("".join(rows), encoding="utf-8")


def release_example(desk: Desk, kind: ActionKind, *, partner: str, case_id: str | None, actor: str) -> str:
    """Draft and release an example for a partner, and return the id of its message, which the next sending writes.

    Raises `ValueError` for a package to a partner that is not in `BODIES`, and without a case for any kind but an
    alert; `ActionError` for a partner that is not enrolled.
    """
    if KINDS[kind].to_body and partner not in BODIES:
        raise ValueError(f"Packages of a sandbox go to {' or '.join(BODIES)}.")
    if case_id is None and KINDS[kind].is_about_case:
        raise ValueError("It is about a case: submit a report first.")
    action_id = desk.make_id()
    body = encode_body(_make_body(desk, kind, action_id=action_id, partner=partner))
    with desk.store.write() as connection:
        draft_action(
            desk,
            connection,
            kind=kind,
            case_id=case_id if KINDS[kind].is_about_case else None,
            recipient=BODIES[partner] if KINDS[kind].to_body else partner,
            way="mailbox",
            body=body,
            actor=actor,
            covers=1 if kind == "package" else None,
            action_id=action_id,
        )
        release_action(desk, connection, action_id, signature="example", actor=actor)
    return action_id


def list_example_kinds(partner: str) -> tuple[ActionKind, ...]:
    """List the kinds of which the desk sends a partner an example by itself, after its first report."""
    return _TO_A_BODY if partner in _IS_A_BODY else _TO_A_SERVICE


def write_to_thread(desk: Desk, message_id: str, *, kind: DeskEntryKind, text: str, actor: str) -> None:
    """Write an entry of the desk about an example; a `recall` withdraws the example."""
    with desk.store.write() as connection:
        if kind == "recall":
            withdraw_action(desk, connection, message_id, reason=text, actor=actor)
        else:
            write_entry(desk, connection, get_action(connection, message_id), kind=kind, text=text, actor=actor)


def read_thread(desk: Desk, message_id: str, *, actor: str) -> list[SandboxEntry]:
    """Return the thread of an example as the desk has it, the oldest entry first."""
    with desk.store.read() as connection:
        action, entries = get_action(connection, message_id), list_entries(connection, message_id)
    texts = open_entries(desk, action, entries, actor=actor)
    found = ((one, texts[one.entry_id]) for one in entries if one.entry_id in texts)
    return [
        SandboxEntry(one.direction, one.kind, said.by, said.text, said.outcome, said.report_id) for one, said in found
    ]


def _make_body(desk: Desk, kind: ActionKind, *, action_id: str, partner: str) -> MessageBody:
    due_at = format_time(desk.clock() + timedelta(days=7))
    match kind:
        case "package":
            return _make_package(desk, action_id=action_id, partner=partner)
        case "information-request":
            return InformationRequest(
                accounts=_ACCOUNTS,
                due_at=due_at,
                legal_basis=_NO_LAW,
                purpose=_PURPOSE,
                question="Which other accounts used the same device?",
                request_id=action_id,
            )
        case "preservation-request":
            return PreservationRequest(
                accounts=_ACCOUNTS,
                due_at=due_at,
                legal_basis=_NO_LAW,
                preserve_until=format_time(desk.clock() + timedelta(days=90)),
                purpose=_PURPOSE,
            )
        case "terms-referral":
            return TermsReferral(
                account=_ACCOUNTS[0],
                facts=ReferralFacts(
                    explanation="The profile says that its owner is eleven.",
                    good_faith=True,
                    locations=("https://chat.example/u/mild_example",),
                ),
                rule="Minimum age",
            )
        case "alert":
            return ServiceAlert(
                advice="Look at new accounts that send one link to many.",
                audience="Services with live streams",
                expires_at=due_at,
                pattern="Accounts ask viewers to go on in another app.",
            )
        case _:
            raise ValueError("There is an example of each kind of message, and of no other action.")


def _make_package(desk: Desk, *, action_id: str, partner: str) -> Package:
    # Loaded here: the maker of PDFs brings numpy, and most tests of a partner need no package.
    from gateway.desk.packages.archive import build_archive
    from gateway.desk.packages.content import (
        Condition,
        LegalGround,
        Line,
        Officer,
        PackageContent,
        Redaction,
        SafeContact,
        Section,
        SourceReport,
    )

    now = format_time(desk.clock())
    content = PackageContent(
        package_id=action_id,
        environment=desk.config.environment,
        reference="TEST-K7QF-2M9TX-D",
        title="An example of a package",
        issued_at=now,
        issuer="Sandbox",
        recipient=partner,
        marking="NOT A REPORT",
        is_urgent=True,
        safe_contact=SafeContact(say="There is no child: this is a rehearsal."),
        summary="An adult asks a child for the name of its school. All of it is invented.",
        redaction=Redaction(hides_reporter=False, reason="Nobody reported this."),
        assessment=(Line(label="Child at immediate risk", text="No"),),
        legal=(
            LegalGround(
                title="Rehearsal",
                law=_NO_LAW,
                say="It passes on nothing.",
                reason="A test.",
                source="nothing: no law is needed for invented words",
                checked_on=f"{desk.clock():%Y-%m-%d}",
            ),
        ),
        handling=(Condition(title="Delete", say="Delete it after the test."),),
        officer=Officer(name="Sandbox", role="Supporting officer"),
        reports=(
            SourceReport(
                key="r1",
                reference="TEST-K7QF-2M9TX-D",
                sender="Sandbox",
                received_at=now,
                sealed_sha256=hashlib.sha256(b"").hexdigest(),
                sections=(Section(title="The story", lines=(Line(label="Story", text="Invented."),)),),
            ),
        ),
    )
    archive = build_archive(content, sign=desk.load_signer().sign)
    return Package(
        archive=to_base64url(archive),
        archive_sha256=hashlib.sha256(archive).hexdigest(),
        title=content.title,
        urgent=content.is_urgent,
    )
