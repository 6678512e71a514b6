"""A worker process under a limit of the system.

`limited_process file-size|full-disk|read-only-file|read-only-folder STATE`.
"""

import ctypes
import resource
import signal
import sys
from pathlib import Path

from gateway.store import StorageUnavailableError
from gateway.wiring import Gateway
from tests.builders import Partner, StillClock, make_box
from tests.gateway.store_builders import new_industry_report

CAPABILITY_VERSION_3 = 0x20080522  # capabilities(7)
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def open_gateway(state: Path) -> Gateway:
    """Open the gateway of a state folder."""
    from gateway.config import load_config
    from gateway.wiring import make_gateway

    return make_gateway(load_config(state), state=state, clock=StillClock())


def give_up_the_rights_of_root() -> None:
    """Let the modes of files count for this process, also when the tests run as root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    assert libc.capset(header, sets) == 0


def send_until_refused(gateway: Gateway) -> None:
    """Send reports until one is refused, printing the id of each that got a receipt and the reason at the end."""
    for _ in range(1000):
        report = new_industry_report(Partner(), envelope=make_box(AGENCY_KEY, size=40_000))
        try:
            gateway.intake.accept(report)
        except StorageUnavailableError as error:
            sys.stdout.write(f"refused:{error.reason}\n")
            return
        sys.stdout.write(f"{report.clear.report_id}\n")


def fill_the_disk(state: Path) -> None:
    """Print the answers of `/health` and `doctor` before, during and after a full disk."""
    from gateway.app import make_app
    from gateway.doctor import examine
    from gateway.store import store

    gateway = open_gateway(state)
    client = make_app(gateway.config, ("industry",), state=state, gateway=gateway).test_client()
    store.PROBE_SECONDS = 0.0  # type: ignore[misc]  # a process of its own, which waits for nothing

    def tell(line: object) -> None:
        sys.stdout.write(f"{line}\n")

    def ask_doctor() -> str:
        return next(one.verdict for one in examine(state, clock=StillClock()) if one.name == "store")

    tell(client.get("/health").status_code)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (state / "gateway.sqlite").stat().st_size + 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    for _ in range(1000):
        try:
            gateway.intake.accept(new_industry_report(Partner(), envelope=make_box(AGENCY_KEY, size=40_000)))
        except StorageUnavailableError:
            tell("refused")
            break
    tell(client.get("/health").status_code)
    tell(ask_doctor())
    tell(client.get("/health").status_code)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    tell(client.get("/health").status_code)
    tell(ask_doctor())


def main(limit: str, state: Path) -> None:
    """Set the limit, then send."""
    if limit == "full-disk":
        fill_the_disk(state)
        return
    gateway = open_gateway(state)
    gateway.key_state.find_keys()
    if limit == "file-size":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (state / "gateway.sqlite").stat().st_size + 200_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    else:
        gateway.store.close()
        give_up_the_rights_of_root()
        (state / "gateway.sqlite").chmod(0o400)
        if limit == "read-only-folder":
            state.chmod(0o500)
    send_until_refused(gateway)


if __name__ == "__main__":
    from tests.builders import Agency

    AGENCY_KEY = Agency().sealing_key
    main(sys.argv[1], Path(sys.argv[2]))
