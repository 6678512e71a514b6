"""Requests to services for tests, as the accredited officer writes them."""

from typing import Any

from gateway.desk.cases.actions.model import Action
from gateway.desk.outgoing.service_requests import Asking, ask_service
from partner_sdk.wire.mailbox import AskedAccount
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.work_builders import make_ready

NIGHT_OWL = AskedAccount(kind="username", value="night_owl7")


def make_asking(loop: Loop, **changes: Any) -> Asking:
    """Return a question to the example partner about its own report, with the changes."""
    values: dict[str, Any] = {
        "request_id": loop.desk.make_id(),
        "kind": "information-request",
        "recipient": "example-chat",
        "law": "own_report",
        "purpose": "To find the child.",
        "necessity": "Nothing else shows who it is, and one account is the least.",
        "question": "Which addresses did it sign in from in November?",
        **changes,
    }
    return Asking(**values)


def make_preservation(loop: Loop, **changes: Any) -> Asking:
    """Return a request to keep the data of one account."""
    values: dict[str, Any] = {
        "kind": "preservation-request",
        "law": "preservation",
        "accounts": (NIGHT_OWL,),
        "question": "",
        **changes,
    }
    return make_asking(loop, **values)


def make_stranger(loop: Loop, **changes: Any) -> Asking:
    """Return a question about an account of another sender's report, under an authorisation."""
    values: dict[str, Any] = {
        "law": "communications_data",
        "number": "AUTH-2026-17",
        "accounts": (NIGHT_OWL,),
        **changes,
    }
    return make_asking(loop, **values)


def ask(loop: Loop, reference: str, asking: Asking | None = None, *, actor: str = ACTOR) -> Action:
    """Assess a read case if it needs that, and ask."""
    make_ready(loop.desk, reference, actor=actor)
    return ask_service(loop.desk, reference, asking or make_asking(loop), actor=actor)
