"""A worker process for tests: `writer_process STATE COUNT` sends reports and prints the ones with a receipt."""

import sys
from pathlib import Path

import msgspec

from gateway.config import load_config
from gateway.intake import NewReport
from gateway.wiring import make_gateway
from tests.builders import Partner, StillClock
from tests.gateway.store_builders import PATIENT_SECONDS, new_industry_report, new_public_report


def main(state: Path, count: int) -> None:
    """Send `count` reports, every third one by the public door; a printed id is a promise made to a sender."""
    config = msgspec.structs.replace(load_config(state), lock_timeout_seconds=PATIENT_SECONDS)
    gateway = make_gateway(config, state=state, clock=StillClock())
    for number in range(count):
        report: NewReport = new_public_report() if number % 3 == 0 else new_industry_report(Partner())
        accepted = gateway.intake.accept(report)
        sys.stdout.write(f"{report.clear.report_id}:{accepted.reference}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
