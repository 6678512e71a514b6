"""`report-abuse-desk retention`: lists due cases, drafts a list, finishes signed ones, and verifies certificates."""

from typing import Any

import click

from gateway.desk.people.permissions import Permission
from gateway.desk.retention.certificates import list_certificates, verify_certificate
from gateway.desk.retention.destruction import finish_due
from gateway.desk.retention.due import REFUSALS, DueCase, list_due, list_free
from gateway.desk.retention.lists import DUE, draft_destruction, list_drafted, list_drafts
from gateway.desk.retention.restoring import restore_destructions
from gateway.desk.terminal import DONE, LOOK, Call, desk_command, print_result
from gateway.desk.wiring import open_desk
from gateway.guidance.destruction import MOST_CASES
from partner_sdk.errors import ReportAbuseError


@desk_command(Permission.DESTROY_CASES, example="--dry-run --json")
@click.option("--dry-run", is_flag=True, help="List the cases whose time is over, and change nothing.")
def retention_run(call: Call, *, dry_run: bool) -> int:
    """Draft the cases whose time is over, and finish lists whose week is over.

    Its author and another supervisor sign a list on the page Retention, which closes its cases; a week later `collect`
    destroys them, and so does this. Exit code 1 if a list waits for its signature.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        drafted = list_drafted(connection)
        due = list_due(desk, connection, most=MOST_CASES)
    rows = [_describe(one, is_drafted=one.case.case_id in drafted) for one in due]
    lines = [f"{row['reference']}  {row['class']}  due {row['due']}  {row['state']}" for row in rows]
    if dry_run:
        return print_result(call, {"due": rows}, *(lines or ["No case is due."]))
    finished = [*restore_destructions(desk, actor=call.actor), *finish_due(desk, actor=call.actor)]
    with desk.store.read() as connection:
        waiting = [one.listed.destruction_id for one in list_drafts(connection)]
    free = [one.case.case_id for one in list_free(due, drafted)]
    if free:
        waiting.append(draft_destruction(desk, free, reason=DUE, actor=call.actor).subject)
    return print_result(
        call,
        {"due": rows, "finished": finished, "waiting": waiting},
        *lines,
        *(f"Destroyed, with a certificate: {one}." for one in finished),
        *(f"Waits for two supervisors on the page Retention: {one}." for one in waiting),
        code=LOOK if waiting else DONE,
    )


@desk_command(Permission.SEE_RETENTION, example="--json")
def retention_verify(call: Call) -> int:
    """Verify every certificate of destruction.

    The desk's signature, and those of both people over the list. Exit code 1 if one is not genuine.
    """
    desk, checked, faults = open_desk(call.state), list[dict[str, Any]](), list[str]()
    with desk.store.read() as connection:
        for row in list_certificates(connection):
            try:
                found = verify_certificate(desk, connection, bytes(row.certificate))
                checked.append({"certificate": row.destruction_id, "cases": len(found.destroyed)})
            except ReportAbuseError as error:
                faults.append(f"{row.destruction_id}: {error}")
    return print_result(
        call,
        {"faults": faults, "verified": checked},
        f"{len(checked)} certificates are genuine.",
        *(f"Not genuine: {one}" for one in faults),
        code=LOOK if faults else DONE,
    )


def _describe(one: DueCase, *, is_drafted: bool) -> dict[str, str]:
    state = f"stays: {REFUSALS[one.refusal]}" if one.refusal else "on a list" if is_drafted else "may go"
    return {
        "class": one.code,
        "closed_at": one.closed_at,
        "due": one.due.isoformat(),
        "reference": one.case.reference,
        "state": state,
    }
