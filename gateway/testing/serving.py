"""`report-abuse-gateway sandbox`: the server of a live gateway, and beside it the staff of a sandbox in this process.

The desk's keys stay in this process; the server's worker holds no more than that of any other gateway.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from gateway.commands.serve import make_listener
from gateway.commands.terminal import print_json, say
from gateway.config import ListenerConfig
from gateway.testing.agency import SandboxAgency, SandboxStepError, make_temporary_folder
from gateway.web import serving
from gateway.web.logs import log_failure
from gateway.web.serving import ServerGroup, check_port_is_free
from partner_sdk.client.account import enrol
from partner_sdk.client.transport import make_session
from partner_sdk.durable_files import write_durably
from partner_sdk.wire.canonical import encode

HOST: Final = "127.0.0.1"
ROUND_SECONDS: Final = 1.0
READY_PARTNER: Final = "example-service"
STOP_SIGNALS: Final = (*serving.STOP_SIGNALS, signal.SIGHUP)


def serve_sandbox(*, port: int, partner_folder: Path | None, as_json: bool) -> int:
    """Serve a sandbox on this machine until SIGTERM, SIGINT or SIGHUP, and return the exit code. Main thread only.

    `partner_folder` becomes the folder of a partner that is enrolled and approved; without it, one in the temporary
    folder does. Raises `ServingError` for a port in use, `LocalStateError` for a folder that is enrolled already.
    """
    listener = ListenerConfig(host=HOST, port=port, roles=("industry",), workers=1)
    check_port_is_free(make_listener(listener, state=Path()))
    with (
        _own_folder() as (folder, leave_if_asked),
        closing(SandboxAgency(folder, origin=f"http://{HOST}:{port}")) as agency,
    ):
        files = {
            "invitation": folder / "invitation.json",
            "partner_folder": partner_folder or folder / "partner",
            "pin": agency.desk.paths.pin,
        }
        stop = threading.Event()
        staff = threading.Thread(target=_work, args=(agency, files["invitation"], stop), name="staff")

        def begin() -> None:
            invitation = agency.invite(READY_PARTNER, name="Example Service")
            with closing(make_session()) as session:
                session.trust_env = False  # the machine's proxy may not reach this machine's own address
                enrol(invitation, folder=files["partner_folder"], session=session)
            agency.approve()
            _invite(agency, files["invitation"], number=1)
            staff.start()
            _print_ready(agency.config.public_origin, files, as_json=as_json)

        leave_if_asked()
        try:
            return ServerGroup([make_listener(listener, state=agency.gateway_state)]).run(on_ready=begin)
        finally:
            _ignore_stop_signals()  # a second Ctrl-C must not delete the folder while the staff still writes there
            stop.set()
            if staff.ident is not None:
                staff.join()


@contextmanager
def _own_folder() -> Iterator[tuple[Path, Callable[[], None]]]:
    """Make the temporary folder and delete it at the end, even if a signal stops the command: it holds keys.

    Yields it with a function that raises `SystemExit` once more if a signal came: Python drops an exception that is
    raised while it finalizes an object, and the command would then serve for ever.

    The first signal raises `SystemExit`, and later ones are ignored, so that they do not interrupt the deletion: a
    terminal that closes may send SIGHUP twice. SIGKILL leaves the folder behind.
    """

    asked: list[int] = []

    def leave(number: int, _frame: FrameType | None) -> None:
        _ignore_stop_signals()
        asked.append(number)
        raise SystemExit(128 + number)

    def leave_if_asked() -> None:
        if asked:
            raise SystemExit(128 + asked[0])

    # A signal that is ignored stays so, e.g. SIGHUP under nohup.
    former = {one: signal.getsignal(one) for one in STOP_SIGNALS if signal.getsignal(one) is not signal.SIG_IGN}
    for one in former:
        signal.signal(one, leave)
    try:
        with make_temporary_folder() as name:
            try:
                yield Path(name), leave_if_asked
            finally:
                _ignore_stop_signals()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _ignore_stop_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _work(agency: SandboxAgency, invitation: Path, stop: threading.Event) -> None:
    """Let the staff work until it is stopped; an invitation that was answered is followed by the next one."""
    number, told = 1, ""
    while not stop.wait(ROUND_SECONDS):
        try:
            agency.approve()
            # By the register, not by what this call approved: a partner may enrol between it and the one in `work`.
            if agency.has_partner(_name(number)):
                number += 1
                _invite(agency, invitation, number=number)
            agency.work()
            told = ""
        except SandboxStepError as error:
            if str(error) != told:  # once, not each second
                told = str(error)
                say(told, to=sys.stderr)
        except Exception as error:  # noqa: BLE001 - the next round tries again; its words may be those of a report
            log_failure(error, event="sandbox-desk-failed")


def _invite(agency: SandboxAgency, path: Path, *, number: int) -> None:
    write_durably(path, encode(agency.invite(_name(number), name=f"Sandbox {number}")))


def _name(number: int) -> str:
    return f"sandbox-{number}"


def _print_ready(origin: str, files: dict[str, Path], *, as_json: bool) -> None:
    if as_json:
        print_json({"environment": "sandbox", "origin": origin} | {name: str(path) for name, path in files.items()})
        return
    say("SANDBOX: nothing sent here is a report, and all of it is deleted at the end.")
    say(f"{'the gateway':18} {origin}")
    say(f"{'a ready partner':18} {files['partner_folder']}")
    say(f"{'an invitation':18} {files['invitation']}")
    say(f"{'the agency pin':18} {files['pin']}")
    say("Ctrl-C ends it.")
