"""`report-abuse-desk retention`: lists due cases, drafts a list, finishes signed ones, and verifies certificates."""

from typing import Any

import click

from gateway.desk.people.permissions import Permission
from gateway.desk.people.releases import ReleaseError
from gateway.desk.retention.certificates import list_certificates, verify_certificate
from gateway.desk.retention.destruction import destroy_cases
from gateway.desk.retention.due import REFUSALS, DueCase, list_due, list_free
from gateway.desk.retention.lists import DUE, draft_destruction, list_drafted, list_unfinished
from gateway.desk.retention.restoring import restore_destructions
from gateway.desk.terminal import DONE, LOOK, Call, desk_command, print_result
from gateway.desk.wiring import open_desk
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.destruction import MOST_CASES


@desk_command(Permission.DESTROY_CASES, example="--dry-run --json")
@click.option("--dry-run", is_flag=True, help="List the cases whose time is over, and change nothing.")
def retention_run(call: Call, *, dry_run: bool) -> int:
    """Draft the cases whose time is over, and finish lists that were signed.

    Another supervisor signs a list on the page Retention, which destroys its cases. This finishes a list that was
    interrupted there. Exit code 1 if a list waits for its signature.
    """
    desk = open_desk(call.state)
    with desk.store.read() as connection:
        drafted = list_drafted(connection)
        due = list_due(desk, connection, most=MOST_CASES)
    rows = [_describe(one, is_drafted=one.case.case_id in drafted) for one in due]
    lines = [f"{row['reference']}  {row['class']}  due {row['due']}  {row['state']}" for row in rows]
    if dry_run:
        return print_result(call, {"due": rows}, *(lines or ["No case is due."]))
    finished, waiting = restore_destructions(desk, actor=call.actor), list[str]()
    with desk.store.read() as connection:
        unfinished = list_unfinished(connection)
    for destruction_id in unfinished:
        try:
            destroy_cases(desk, destruction_id, actor=call.actor)
            finished.append(destruction_id)
        except ReleaseError as error:
            if error.reason != "not-signed":
                raise
            waiting.append(destruction_id)
    free = [one.case.case_id for one in list_free(due, drafted)]
    if free:
        waiting.append(draft_destruction(desk, free, reason=DUE, actor=call.actor).subject)
    return print_result(
        call,
        {"due": rows, "finished": finished, "waiting": waiting},
        *lines,
        *(f"Destroyed, with a certificate: {one}." for one in finished),
        *(f"Waits for another supervisor on the page Retention: {one}." for one in waiting),
        code=LOOK if waiting else DONE,
    )


@desk_command(Permission.SEE_RETENTION, example="--json")
def retention_verify(call: Call) -> int:
    """Verify every certificate of destruction.

    The desk's signature, and the second person's over the list. Exit code 1 if one is not genuine.
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
