"""Figures of packages on their way: released at the desk, delivered to the gateway, and taken by the force.

    .venv/bin/python -m tests.bench.deliveries

One process holds desk, gateway and the SDK of one force, so that all of the work is counted and no socket. Every
package is a draft of its own. Their archives are alike, because `tests.bench.packages` measures the time to build one.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

from gateway.desk.actions.ledger import draft_action, release_action
from gateway.desk.actions.model import list_waiting
from gateway.desk.cases.opening import open_case
from gateway.desk.outbox_run import send_due
from gateway.desk.packages.archive import build_archive
from partner_sdk import Partner
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.mailbox import Package, encode_body
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.desk.packages.package_builders import make_content, sign
from tests.desk.people_builders import ACTOR
from tests.desk.work_builders import assess
from tests.whole.whole_loop import WholeLoop, make_whole_loop

POLICE, DESTINATION = "kent-police", "kent"


def make_body() -> bytes:
    """Return the body of a package as the desk packs it."""
    raw = build_archive(make_content(), sign=sign)
    digest = hashlib.sha256(raw).hexdigest()
    return encode_body(Package(archive=to_base64url(raw), archive_sha256=digest, title="An example", urgent=False))


def measure(work: Callable[[], None], *, count: int, name: str) -> Figure:
    """Return how many packages a second of this core passes through a step."""
    began = process_time()
    work()
    return make_figure(name, count / (process_time() - began), unit="a CPU-second")


@dataclass
class Deliveries:
    """The same packages at every step, by their ids."""

    whole: WholeLoop
    police: Partner
    case_id: str
    count: int
    ids: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def draft(self) -> None:
        """Keep the drafts."""
        body, desk = make_body(), self.whole.loop.desk
        for _ in range(self.count):
            with desk.store.write() as connection:
                action = draft_action(
                    desk,
                    connection,
                    kind="package",
                    case_id=self.case_id,
                    recipient=DESTINATION,
                    way="mailbox",
                    body=body,
                    actor=ACTOR,
                    covers=1,
                )
            self.ids.append(action.action_id)

    def release(self) -> None:
        """Release each in a transaction of its own, as people sign them."""
        desk = self.whole.loop.desk
        for action_id in self.ids:
            with desk.store.write() as connection:
                release_action(desk, connection, action_id, signature="sent-alone", actor=ACTOR)

    def deliver(self) -> None:
        """Send until the gateway has all of them."""
        desk, left = self.whole.loop.desk, True
        while left:
            send_due(desk).raise_first()
            with desk.store.read() as connection:
                left = any(one.posted_at is None for one in list_waiting(connection))

    def take(self) -> None:
        """Collect the mailbox until it is empty."""
        while self.police.collect_mailbox().messages:
            pass
        self.taken = [thread.message_id for thread in self.police.threads.read("package").threads]


def run(*, count: int) -> list[Figure]:
    """Take so many packages through every step; raise if one was lost or came twice."""
    with tempfile.TemporaryDirectory() as folder:
        whole = make_whole_loop(Path(folder))
        police = whole.add_partner(POLICE, name="Kent Police", type="police", country="GB")
        whole.agree_with(DESTINATION, partner=POLICE)
        reference = whole.loop.send_public().reference
        whole.loop.collect()
        case_id = open_case(whole.loop.desk, reference, actor=ACTOR).case.case_id
        assess(whole.loop.desk, case_id)
        packages = Deliveries(whole, police, case_id, count)
        steps = {
            "drafts kept": packages.draft,
            "released": packages.release,
            "delivered to the gateway": packages.deliver,
            "taken by the force": packages.take,
        }
        found = [measure(work, count=count, name=name) for name, work in steps.items()]
        if sorted(packages.taken) != sorted(packages.ids):
            raise AssertionError(f"{count} packages were released, and {len(packages.taken)} arrived.")
        return found


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--count", type=int, default=1000, help="packages (default: 1,000)")
    words = parser.parse_args()
    print_figures(run(count=words.count), as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
