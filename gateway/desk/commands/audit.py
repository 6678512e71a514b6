"""Commands on the audit log: check, accept-loss."""

import msgspec

from gateway.desk.keyring.anchoring import accept_loss, check_audit, note_check
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import DONE, LOOK, TRY_AGAIN, Call, desk_command, print_result
from gateway.desk.uk_times import format_uk_time
from gateway.desk.wiring import open_desk


@desk_command(Permission.CHECK_AUDIT)
def audit_check(call: Call) -> int:
    """Check the audit log: its hash chain, and its anchors at the gateway.

    Exit code 1: an entry was altered, removed, inserted or written anew, or an anchor does not hold. Exit code 3: the
    gateway was not asked, so the log was compared only with the anchors that are kept here.
    """
    desk = open_desk(call.state)
    check = check_audit(desk)
    note_check(desk, check)
    code = LOOK if check.faults else TRY_AGAIN if check.not_asked else DONE
    newest = f", the newest of {format_uk_time(check.newest_at)}" if check.newest_at else ""
    lines = [f"{fault.detail} {fault.advice}" for fault in check.faults]
    if check.is_whole:
        lines.append(f"The audit log is whole: {check.entries} entries. {check.anchors} anchors match{newest}.")
    if check.not_asked:
        lines.append(f"The gateway was not asked: only the anchors kept here were compared. {check.not_asked}")
    return print_result(call, msgspec.to_builtins(check) | {"whole": check.is_whole}, *lines, *check.losses, code=code)


@desk_command(Permission.MANAGE_KEYS)
def audit_accept_loss(call: Call) -> int:
    """Record that entries of the audit log are lost, after this desk was restored from a backup.

    The loss stays in the log and in every later check, with your name.
    """
    losses = accept_loss(open_desk(call.state), actor=call.actor)
    return print_result(call, {"losses": losses}, *losses)
