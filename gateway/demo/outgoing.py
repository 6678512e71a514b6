"""The demonstration's steps by which something leaves the desk, as a package, a request or a digest."""

import json
from typing import Any, Final

from gateway.demo.desk_walk import get_action_id
from gateway.demo.form_walk import FormWalkError, read_page
from gateway.demo.loop import PARTNER, PARTNER_ID, Loop
from gateway.demo.processes import DemoError

POLICE_ID: Final = "example-police"
POLICE_NAME: Final = "Example Police"
OFFICER: Final = "Sergeant Anna Example"
# A body of this agency's own: the forces of the register are real, and agreed nothing with an example.
DESTINATION: Final = f"""
[example_police]
name = "{POLICE_NAME}"
group = "police"
takes = ["package", "crisis"]
nations = ["england"]
channel = "mailbox"
contact = "nobody: it is an example"
partner = "{POLICE_ID}"
checked_on = 2026-11-28
source = "the demonstration"

[example_police.protocol]
version = "1.0"
agreed_on = 2026-11-28
review_on = 2036-11-28
may_pass = ["packages"]
"""
# On the page of a package that was acknowledged.
TAKEN: Final = "Taken there"
# On the page of a request that was answered.
ANSWERED: Final = "Answered"
# Mild and synthetic; the fields of the desk's forms.
REQUEST: Final[dict[str, str]] = {
    "kind": "information-request",
    "recipient": PARTNER_ID,
    "law": "own_report",
    "question": "When did the account write to the child first? [message]",
    "purpose": "To find out who uses the account.",
    "necessity": "Nobody else knows the day.",
}
PACKAGE: Final[dict[str, str]] = {
    "kind": "package",
    "destination": "example_police",
    "why": "The account is in their area.",
    "title": "An adult account wrote to a child",
    "summary": "Please find out who uses the account. [message]",
    "legal": "nca_disclosure",
    "necessity": "Only police can find out who it is.",
    "handling": "official_sensitive",
    "officer": "a-analyst",
    "officer_telephone": "0000 000",
    "evidence_as": "by_reference",
    "reporter": "left_out",
}


def enrol_police(loop: Loop) -> str:
    """Enrol the example force, for `enrol_partner` to approve, and agree its mailbox for packages; returns a line."""
    invitation, state = loop.folder / "example-police.invitation", loop.folder / "police"
    loop.run_desk(
        *("partner", "invite", POLICE_NAME, "--partner", POLICE_ID, "--type", "police", "--country", "GB"),
        *("--out", str(invitation)),
    )
    loop.processes.run(PARTNER, "enrol", str(invitation), "--state", str(state))
    (loop.desk_state / "destinations.toml").write_text(DESTINATION, encoding="utf-8")
    return f"{POLICE_NAME} enrolled by invitation, and the desk agreed to send packages to its mailbox"


def run_police(loop: Loop, *arguments: str) -> Any:
    """Run a command of the force and return the parsed object."""
    words = (*arguments, "--json", "--state", str(loop.folder / "police"))
    return json.loads(loop.processes.run(PARTNER, *words))


def release_package(loop: Loop, reference: str) -> str:
    """Make a package of a case as an analyst, and sign it as a supervisor; returns its id."""
    case_id = loop.case_ids[reference]
    page = f"/cases/{case_id}"
    try:
        analyst, supervisor = loop.sign_in("a-analyst", "s-supervisor")
        analyst.send(page, f"{page}/take-over", over_from="a-administrator", over_reason="I go on with it.")
        previewed = dict(read_page(analyst.show(page, f"{page}/package/preview", **PACKAGE, reports=case_id)).hidden)
        checked = {name: previewed[name] for name in ("mark", "package_id")}
        package = get_action_id(analyst.send(page, f"{page}/package/draft", **PACKAGE, reports=case_id, **checked))
        supervisor.sign(f"/packages/{package}", "release", after="read")
        analyst.send(page, f"{page}/release")
    except FormWalkError as error:
        raise DemoError(str(error)) from None
    return package


def ask_partner(loop: Loop, reference: str) -> str:
    """Ask the partner about its report as the single point of contact; returns the id of the request."""
    page = f"/cases/{loop.case_ids[reference]}/ask"
    try:
        (officer,) = loop.sign_in("s-spoc")
        request_id = dict(read_page(officer.read(page)).hidden)["request_id"]
        officer.send(page, page, **REQUEST, request_id=request_id)
    except FormWalkError as error:
        raise DemoError(str(error)) from None
    return request_id


def take_answers(loop: Loop, *, package: str, request_id: str) -> tuple[bool, bool]:
    """Send both, and answer as their recipients; returns whether the desk shows either answer."""
    answer = loop.folder / "answer.txt"
    answer.write_text("On the first of November. [message]", encoding="utf-8")
    loop.run_desk("collect")
    run_police(loop, "package", "open", package, "--out", str(loop.folder / "police-package"))
    run_police(loop, "package", "acknowledge", package, "--by", OFFICER)
    loop.run_partner("request", "answer", request_id, "--by", "Trust and Safety", "--text-file", str(answer))
    loop.run_desk("collect")
    analyst, officer = loop.sign_in("a-analyst", "s-spoc")
    is_answered = ANSWERED in officer.read(f"/service-requests/{request_id}")
    return TAKEN in analyst.read(f"/packages/{package}"), is_answered


def publish_digest(loop: Loop, quarter: str) -> str:
    """Make the digest of a past quarter, in which this desk had no reports, and release it; returns its id."""
    made = json.loads(
        loop.run_desk("digest", "make", "--partner", PARTNER_ID, "--quarter", quarter, "--adopted", "--json")
    )
    digest_id = str(made["digest_id"])
    try:
        (supervisor,) = loop.sign_in("s-supervisor")
        supervisor.sign(f"/digests/{digest_id}", "release")
    except FormWalkError as error:
        raise DemoError(str(error)) from None
    return digest_id


def pull_digest(loop: Loop, quarter: str) -> dict[str, Any]:
    """Pull, verify and open the digest as the partner; returns the digest from the command's output."""
    pulled: dict[str, Any] = loop.run_partner("digest", "--quarter", quarter, "--json")
    return pulled
