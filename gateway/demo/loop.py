"""The loop of the demonstration, a step a method: what agency, gateway and one partner do, with their own commands.

Everything goes through commands and HTTP, so this file imports neither the desk nor the partner's keys.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.demo.form_walk import Answers, FormWalkError, read_button, read_replies, walk_to_thanks
from gateway.demo.processes import DemoError, Processes, check_ports_are_free
from gateway.demo.service.app import CHAT, PLACES, Place
from partner_sdk.button.well_known import PATH
from partner_sdk.wire.canonical import encode

GATEWAY, DESK, PARTNER = "gateway.cli", "gateway.desk.cli", "partner_sdk.cli"
PARTNER_ID: Final = "example-chat"
PARTNER_NAME: Final = "Example Chat"
ASSESSOR: Final = "Alex Assessor"
MAKER, RELEASER = "Morgan Maker", "Robin Releaser"
SYNTHETIC_CASES: Final = 400
COLLECT_SECONDS: Final = 2
BANNER: Final = "Demonstration. Nothing that you type here reaches anyone. In danger? Call 999."

# Mild and made up. Every word is a placeholder for what a child might say.
ANSWERS: Final[Answers] = {
    "danger": ("no",),
    "age": ("13_15",),
    "who": ("me",),
    "region": ("england",),
    "kinds": ("extra_nice",),
    "story": ("Someone in a game is very nice to me and asks for pictures. [message]",),
    "feels": ("scared",),
    "name": ("Sam",),
    "contact_ways": ("school",),
    "school": ("Ask for Sam at Example School",),
}
POST_ROOM: Final = """[carriers]
notes = "on"
mail = "folder"
mail_from = "hello@team.example"
mail_name = "The team"
sms = "folder"
sms_sender = "The team"
"""
PAGER: Final = """
[pager]
desk = "mailto:day@team.example"
out_of_hours = "mailto:night@team.example"
"""
REPLY: Final = "Hello Sam. Thank you for telling us. We will call your school today. [message]"
CLOSING: Final = (
    *("--outcome", "used", "--kind", "grooming", "--age-band", "13_15", "--weakness", "open_direct_messages"),
    *("--assessor", ASSESSOR, "--immediate-risk", "no", "--urgent", "no", "--urgent-dissemination", "no"),
    *("--best-placed", "harm_reduction"),
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Four ports in a row."""

    first: int

    @property
    def gateway(self) -> int:
        """Public and industry doors."""
        return self.first

    @property
    def feed(self) -> int:
        """Where the desk collects."""
        return self.first + 1

    @property
    def desk(self) -> int:
        """The desk's pages."""
        return self.first + 2

    @property
    def service(self) -> int:
        """The example service."""
        return self.first + 3


def make_agreement(place: Place, *, service: str) -> tuple[str, ...]:
    """Return the desk's command that agrees one place of the example service."""
    return (
        *("placement", "agree", "--owner", PARTNER_ID, "--service", PARTNER_NAME, "--surface", place.surface),
        *("--address", f"{service}{place.path}", "--position", place.position, "--link-id", place.placement),
    )


class Loop:
    """One agency, one gateway, one partner, on one machine, under one folder. `tell` hears of pages as they come."""

    def __init__(self, folder: Path, *, port: int, tell: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder
        self.ports = Ports(port)
        self.gateway_state, self.desk_state, self.partner_state = (
            folder / name for name in ("gateway", "desk", "partner")
        )
        self._tell = tell
        self.return_words = ""
        self.processes = Processes(folder / "logs")

    @property
    def origin(self) -> str:
        """Where the public and partners reach the gateway."""
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def feed_origin(self) -> str:
        """Where the desk reaches the feed."""
        return f"http://127.0.0.1:{self.ports.feed}"

    @property
    def service(self) -> str:
        """Where the example service is."""
        return f"http://127.0.0.1:{self.ports.service}"

    def make_keys(self) -> str:
        """Make the desk with its keys, the gateway with that pin, and tell the desk of the gateway's receipt key."""
        check_ports_are_free(range(self.ports.first, self.ports.first + 4))
        self.run_desk("init", "--gateway-origin", self.origin, "--feed", self.feed_origin)
        self._write_to_a_folder()
        self.processes.run(
            GATEWAY, "init", "--state", str(self.gateway_state), "--pin", str(self.desk_state / "agency.pin"),
            "--origin", self.origin, "--port", str(self.ports.gateway), "--feed-port", str(self.ports.feed),
            "--agency-name", "The example agency", "--banner", BANNER,
        )  # fmt: skip
        self.run_desk("gateway", "add", str(self.gateway_state / "gateway.card"))
        return "the desk made the agency's keys, the gateway its receipt key"

    def _write_to_a_folder(self) -> None:
        """Let the desk write its notes and pages into a folder: a demonstration writes to nobody."""
        settings = self.desk_state / "desk.toml"
        before, _, _ = settings.read_text(encoding="utf-8").partition("\n[carriers]\n")
        folder = json.dumps(str((self.folder / "sent-notes").resolve()))  # a JSON string is a TOML string
        settings.write_text(f"{before}\n{POST_ROOM}folder = {folder}\n{PAGER}", encoding="utf-8")

    def start_gateway(self) -> str:
        """Start the gateway's listeners."""
        self.processes.start("gateway", GATEWAY, "serve", "--state", str(self.gateway_state))
        self.processes.wait_for(f"{self.origin}/health")
        self.processes.wait_for(f"{self.feed_origin}/health")
        return f"the gateway serves on {self.ports.gateway}, the feed on {self.ports.feed}"

    def publish(self) -> str:
        """Publish the first key set and register through the feed."""
        self.run_desk("publish")
        return "the desk signed its key set and published it through the feed"

    def start_desk(self) -> str:
        """Start the desk's pages."""
        self.processes.start("desk", DESK, "serve", "--state", str(self.desk_state), "--port", str(self.ports.desk))
        return f"the desk's pages are on {self.ports.desk}"

    def enrol_partner(self, *, places: Sequence[Place] = ()) -> str:
        """Invite the example partner, let it enrol, agree places of the button meanwhile, and approve it."""
        invitation = self.folder / "example-chat.invitation"
        self.run_desk("partner", "invite", PARTNER_NAME, "--partner", PARTNER_ID, "--out", str(invitation))
        enrol = (PARTNER, "enrol", str(invitation), "--state", str(self.partner_state))
        agreements = [(DESK, *make_agreement(one, service=self.service), *self._desk_words()) for one in places]
        self.processes.run_together([enrol, *agreements])
        self.run_desk("collect")
        self.run_desk("partner", "approve", PARTNER_ID)
        return (
            f"{PARTNER_NAME} enrolled by invitation; the desk agreed {len(places)} places of the button and approved it"
        )

    def start_service(self) -> str:
        """Start the example service, which works in the partner's folder, and wait for it and the desk's pages."""
        self.processes.start(
            "service", "gateway.demo.service", "--port", str(self.ports.service), "--origin", self.origin,
            "--partner-state", str(self.partner_state),
        )  # fmt: skip
        self.processes.wait_for(f"http://127.0.0.1:{self.ports.desk}/health")
        self.processes.wait_for(f"{self.service}{PATH}")
        return f"an example service is on {self.ports.service}, with the button on each of its pages"

    def look_at_buttons(self) -> int:
        """Let the partner check the button of every page and the desk file what was found; returns how many pass."""
        commands = [
            (PARTNER, "button", "check", f"{self.service}{one.path}", "--placement", one.placement, "--json")
            for one in PLACES
        ]
        where = ("--state", str(self.partner_state))
        found = [json.loads(said) for said in self.processes.run_together([(*one, *where) for one in commands])]
        file = self.folder / "button-checks.json"
        file.write_bytes(encode({"checks": found}))
        self.run_desk("placement", "import-checks", str(file))
        return len([one for one in found if one["result"] == "passes"])

    def file_public_report(self) -> str:
        """Walk the real form, from the button of the service's chat page on; returns the reference of the last page."""
        try:
            entry = read_button(f"{self.service}{CHAT.path}", origin=self.origin)
            thanks = walk_to_thanks(self.origin, ANSWERS, entry=entry, tell=self._tell)
        except FormWalkError as error:
            raise DemoError(str(error)) from None
        self.return_words = thanks.words
        return thanks.reference

    def reply_to_child(self, reference: str) -> str:
        """Let the desk read and answer, and the person come back with number and words; returns what they read."""
        text = self.folder / "reply.txt"
        text.write_text(REPLY, encoding="utf-8")
        self.run_desk("case", "show", reference)
        self.run_desk("case", "reply", reference, "--text-file", str(text), "--yes")
        self.run_desk("collect")
        try:
            said = read_replies(self.origin, reference=reference, words=self.return_words)
        except FormWalkError as error:
            raise DemoError(str(error)) from None
        if said != [REPLY]:
            raise DemoError("The person who came back does not see what the desk wrote.")
        return said[0]

    def submit_industry_report(self, file: Path) -> dict[str, Any]:
        """Submit a report file through the SDK and verify the receipt offline; returns what the command says."""
        sent: dict[str, Any] = self.run_partner("report", "submit", str(file), "--priority", "P2", "--json")
        return sent

    def verify_receipt(self, report_id: str) -> bool:
        """Verify the saved receipt with nothing but what the partner keeps."""
        file = self.partner_state / "receipts" / f"{report_id}.json"
        self.run_partner("receipt", "verify", str(file))
        return True

    def collect(self) -> int:
        """Let the desk collect; returns how many cases are open."""
        self.run_desk("collect")
        return len(self._list_open())

    def start_collecting(self) -> None:
        """Let the desk go on collecting, so that what is typed into the form from now on reaches its queue."""
        every = ("--every", str(COLLECT_SECONDS))
        self.processes.start("collect", DESK, "collect", *every, *self._desk_words())

    def open_and_close(self, references: Collection[str]) -> int:
        """Open, assess and close these cases and no other; returns how many."""
        cases = [case for case in self._list_open() if case["reference"] in references]
        for case in cases:
            self.run_desk("case", "show", case["reference"])
            reply = ("--reply-recorded", "replied_through_school") if case["reply_owed"] else ()
            self.run_desk("case", "close", case["reference"], *CLOSING, *reply)
        return len(cases)

    def publish_digest(self, quarter: str) -> str:
        """Make synthetic cases of a past quarter, make its digest and release it; returns the digest's id."""
        self.run_desk(
            "synthetic", "--partner", PARTNER_ID, "--quarter", quarter, "--count", str(SYNTHETIC_CASES),
        )  # fmt: skip
        made = json.loads(
            self.run_desk(
                "digest", "make", "--partner", PARTNER_ID, "--quarter", quarter, "--adopted", "--json", actor=MAKER
            )
        )
        self.run_desk("digest", "release", str(made["digest_id"]), actor=RELEASER)
        return str(made["digest_id"])

    def pull_digest(self, quarter: str) -> dict[str, Any]:
        """Let the partner pull, verify and open its digest; returns the digest as the command says it."""
        pulled: dict[str, Any] = self.run_partner("digest", "--quarter", quarter, "--json")
        return pulled

    def make_start_link(self) -> str:
        """Return a link that signs a person in at the desk, once."""
        return self.run_desk("start-link", "--port", str(self.ports.desk)).strip().splitlines()[-1]

    def run_desk(self, *words: str, actor: str = ASSESSOR) -> str:
        """Run a command of the desk and return what it printed."""
        return self.processes.run(DESK, *words, *self._desk_words(actor))

    def _desk_words(self, actor: str = ASSESSOR) -> tuple[str, ...]:
        return ("--state", str(self.desk_state), "--as", actor)

    def run_partner(self, *words: str) -> Any:
        """Run a command of the partner; returns the parsed object with `--json`, else None."""
        said = self.processes.run(PARTNER, *words, "--state", str(self.partner_state))
        return json.loads(said) if "--json" in words else None

    def _list_open(self) -> list[dict[str, Any]]:
        listed: dict[str, Any] = json.loads(self.run_desk("case", "list", "--json"))
        cases: list[dict[str, Any]] = listed["cases"]
        return cases

    def stop(self) -> None:
        """End every process."""
        self.processes.stop()
