"""The sandbox of the SDK and the real gateway behind one way of asking, with a partner that both of them know."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask

from gateway.store.invitations import put_invitation
from partner_sdk.sandbox import Sandbox
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.enrolment import Invitation, secret_sha256
from partner_sdk.wire.keys import SealingKey, find_active_sealing_key
from partner_sdk.wire.problems import ENVIRONMENT_HEADER
from tests.builders import (
    DAY,
    NOW,
    PUBLIC_ORIGIN,
    Agency,
    House,
    Partner,
    SealedReport,
    StillClock,
    make_house,
    seal_report,
    sign_request,
)
from tests.sdk.mailbox_builders import make_post, post_to
from tests.sdk.sdk_builders import make_invitation

PARTNER = Partner(environment="sandbox")
STRANGER = Partner("stranger", environment="sandbox")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FAMILIES = (
    (re.compile(r"/v1/reports/[^/]+"), "/v1/reports/{report_id}"),
    (re.compile(r"/v1/mailbox/[^/]+/ack"), "/v1/mailbox/{message_id}/ack"),
    (re.compile(r"/v1/evidence/[^/]+/complete"), "/v1/evidence/{evidence_id}/complete"),
    (re.compile(r"/v1/evidence/[^/]+/[0-9]+"), "/v1/evidence/{evidence_id}/{part}"),
    (re.compile(r"/v1/evidence/[^/]+"), "/v1/evidence/{evidence_id}"),
)


@dataclass(frozen=True)
class Asked:
    """What one request got, as far as it must be the same: status, problem, pointers, type, whether to wait."""

    status: int
    slug: str
    content_type: str
    must_wait: bool
    allow: str
    environment: str
    members: tuple[str, ...]
    pointers: tuple[str, ...] = ()
    again: bool = False


class Side(ABC):
    """One gateway and the key of a partner that it knows. Requests are signed by hand, the same for both."""

    origin: str
    key: Ed25519PrivateKey
    sealing_key: SealingKey
    invitation: Invitation

    def __init__(self) -> None:
        self.log: list[tuple[str, str, int]] = []
        self._bodies: dict[bytes, int] = {}

    @abstractmethod
    def exchange(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request as it is."""

    @abstractmethod
    def put_message(self) -> str:
        """Put one message into the partner's mailbox and return its id."""

    @abstractmethod
    def suspend(self) -> None:
        """Suspend the partner."""

    @abstractmethod
    def rotate(self) -> None:
        """Destroy the sealing key that was in use, and publish another one."""

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: Ed25519PrivateKey | bool | None = True,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        created: Any = NOW,
        signed_path: str | None = None,
    ) -> Asked:
        """Send one request, signed by the partner unless another key or none is given."""
        raw = body if isinstance(body, bytes) or body is None else encode(body)
        sent = {} if raw is None else {"Content-Type": content_type}
        signer = self.key if key is True else key
        if isinstance(signer, Ed25519PrivateKey):
            url = self.origin + (signed_path or path)
            sent = sign_request(
                method, url, body=raw, private_key=signer, created=created, **_type_of(raw, content_type)
            )
        status, got, answer = self.exchange(method, path, body=raw, headers={**sent, **(headers or {})})
        self.log.append((method, _family(path), status))
        return self._describe(status, got, answer)

    def seal(self, **changes: Any) -> SealedReport:
        """Seal and sign a report of the partner."""
        settings = {"key": self.sealing_key, "signed_by": self.key, **changes}
        return seal_report(settings.pop("sender", PARTNER), **settings)

    def _describe(self, status: int, got: Mapping[str, str], answer: bytes) -> Asked:
        document = msgspec.json.decode(answer)
        is_problem = got["Content-Type"] == "application/problem+json"
        # The same bytes as once before: a repeated receipt is never signed anew.
        seen = self._bodies.setdefault(_ID.sub("", answer.decode()).encode() if is_problem else answer, status)
        return Asked(
            status=status,
            slug=document["type"].rsplit("/", 1)[-1] if is_problem else "",
            content_type=got["Content-Type"],
            must_wait="Retry-After" in got,
            allow=",".join(sorted(set(re.findall(r"[A-Z]+", got.get("Allow", ""))) - {"HEAD", "OPTIONS"})),
            environment=got.get(ENVIRONMENT_HEADER, ""),
            members=tuple(sorted(document)),
            pointers=tuple(fault["pointer"] for fault in document.get("errors", ())),
            again=not is_problem and seen != status,
        )


def _family(path: str) -> str:
    for pattern, family in _FAMILIES:
        if pattern.fullmatch(path):
            return family
    return path


def _type_of(raw: bytes | None, content_type: str) -> dict[str, str]:
    return {} if raw is None or content_type == "application/json" else {"content_type": content_type}


class RealSide(Side):
    """The real gateway, without a socket."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house = house
        self.origin = PUBLIC_ORIGIN
        self.key = PARTNER.submission_key
        self.sealing_key = house.agency.sealing_key
        self.app: Flask = house.open_app("industry")
        newcomer = Partner("new-chat", environment="sandbox")
        self.invitation = make_invitation(house.agency, newcomer, secret="B" * 42 + "A")
        hashed = secret_sha256(parse_base64url(self.invitation.secret))
        with house.open_gateway().store.write() as connection:
            put_invitation(connection, secret_sha256=hashed, partner="new-chat", expires_at=NOW + 7 * DAY)

    def exchange(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        answer = self.app.test_client(use_cookies=False).open(
            path, method=method, base_url=self.origin, data=body, headers=list(headers.items())
        )
        return answer.status_code, answer.headers, answer.data

    def put_message(self) -> str:
        post = make_post(1, agency=self.house.agency)
        post_to(self.house, post)
        return post.item.message_id

    def suspend(self) -> None:
        self.house.publish(PARTNER.entry(state="suspended"), serial=2)

    def rotate(self) -> None:
        agency = self.house.agency
        old = agency.other_sealing_key(agency.name, state="destroyed")
        new = agency.other_sealing_key("second")
        self.house.publish(PARTNER.entry(), serial=2, sealing_keys=(old, new))
        self.sealing_key = new


class FakeSide(Side):
    """The sandbox."""

    def __init__(self, sandbox: Sandbox, *, key: Ed25519PrivateKey) -> None:
        super().__init__()
        self.sandbox = sandbox
        self.origin = sandbox.origin
        self.key = key
        self.session = sandbox.session()
        self.invitation = sandbox.invite("new-chat")
        self.sealing_key = self._find_sealing_key()

    def exchange(
        self, method: str, path: str, *, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        prepared = requests.Request(method, self.origin, data=body, headers=dict(headers)).prepare()
        prepared.url = self.origin + path  # as it is spelled: `requests` would mend it
        answer = self.session.send(prepared)
        return answer.status_code, answer.headers, answer.content

    def put_message(self) -> str:
        return self.sandbox.send_message({"text": "hello"}, partner=PARTNER.partner)

    def suspend(self) -> None:
        self.sandbox.revoke_key(PARTNER.partner)

    def rotate(self) -> None:
        self.sandbox.rotate_sealing_key()
        self.sealing_key = self._find_sealing_key()

    def _find_sealing_key(self) -> SealingKey:
        found = find_active_sealing_key(self.sandbox.key_set, now=NOW)
        assert found is not None
        return found


def make_real_side(state: Path) -> RealSide:
    """Make a gateway of the sandbox environment that knows the partner."""
    house = make_house(state, agency=Agency(environment="sandbox"))
    house.publish(PARTNER.entry())
    return RealSide(house)


def make_fake_side(folder: Path) -> FakeSide:
    """Make a sandbox in which the partner has enrolled."""
    sandbox = Sandbox(clock=StillClock())
    client = sandbox.enrol(folder, partner=PARTNER.partner)
    return FakeSide(sandbox, key=client.state.load_submission_key())
