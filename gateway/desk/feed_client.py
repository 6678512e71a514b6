"""Speaks with the gateway's feed: signed requests, strict replies, no redirect; the desk always calls, never listens.

Never believes a reply: what it says is judged by the statements inside (row_checks.py).
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk import __version__
from partner_sdk.client.exchange_bounds import MAX_REPLY_BYTES, Timeouts
from partner_sdk.errors import FormatError
from partner_sdk.wire.account import AccountChangeAck, AccountChangeAckPost, AccountChangePage
from partner_sdk.wire.adoption import AdoptionAckPost, AdoptionPage
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.evidence import PART_BYTES, EvidenceAck, EvidenceAckPost, EvidencePage
from partner_sdk.wire.feed_messages import (
    Acknowledgement,
    AcknowledgementPost,
    AcknowledgementReply,
    EnrolmentAckPost,
    EnrolmentPage,
    FeedStatus,
    InvitationHash,
    InvitationPost,
    MailboxPost,
    MailboxPostItem,
    ReconciliationPage,
    ReplyPost,
    ReplyPostItem,
    ReplyPostReply,
    ReplyResult,
    ReportPage,
    StageItem,
    StagePost,
)

if TYPE_CHECKING:
    import requests

USER_AGENT: Final = f"report-abuse-desk/{__version__}"
TIMEOUTS: Final = Timeouts(connect_seconds=5.0, read_seconds=30.0, total_seconds=120.0)

T = TypeVar("T")


class FeedClient:
    """One desk's connection to its gateway. Raises `TransportError`, `ProblemError` and `FormatError`; every call may
    be repeated.
    """

    def __init__(
        self,
        *,
        origin: str,
        private_key: Ed25519PrivateKey,
        clock: Callable[[], datetime],
        session: "requests.Session | None" = None,
    ) -> None:
        # Imported here: with it comes `requests`, a tenth of a second that a command which sends nothing does not need.
        from partner_sdk.client.transport import Transport

        self._transport = Transport(
            origin, private_key=private_key, session=session, clock=clock, timeouts=TIMEOUTS, user_agent=USER_AGENT
        )

    def get_status(self) -> FeedStatus:
        """Return where the gateway's chains stand and which lists it serves."""
        return self._get("/feed/status", kind=FeedStatus)

    def get_reports(self, *, limit: int, after: int = 0) -> ReportPage:
        """Return the oldest reports behind a position that are not acknowledged."""
        return self._get(f"/feed/reports?after={after}&limit={limit}", kind=ReportPage)

    def get_reconciliation(self, *, after: int) -> ReconciliationPage:
        """Return the links of the gateway's chains behind a position."""
        return self._get(f"/feed/reconciliation?after={after}", kind=ReconciliationPage)

    def get_enrolments(self) -> EnrolmentPage:
        """Return the sealed enrolments that are not acknowledged."""
        return self._get("/feed/enrolments", kind=EnrolmentPage)

    def post_acknowledgements(self, rows: tuple[Acknowledgement, ...]) -> int:
        """Say which rows are durable here; return how many the gateway knows."""
        return self._post_rows("/feed/acknowledgements", rows)

    def post_withdrawn_acknowledgements(self, rows: tuple[Acknowledgement, ...]) -> int:
        """Say which rows are no longer here; return how many the gateway can show again."""
        return self._post_rows("/feed/acknowledgements/withdrawn", rows)

    def put_keys(self, bundle: bytes) -> None:
        """Publish the key set."""
        self._send("PUT", "/feed/keys", bundle)

    def put_register(self, register: bytes) -> None:
        """Publish the partner register."""
        self._send("PUT", "/feed/register", register)

    def post_invitations(self, invitations: tuple[InvitationHash, ...]) -> None:
        """Let the gateway know the hashes of open invitations."""
        self._send("POST", "/feed/invitations", encode(InvitationPost(invitations=invitations)))

    def post_enrolment_acks(self, ids: tuple[str, ...]) -> None:
        """Say which enrolments are durable here."""
        self._send("POST", "/feed/enrolment-acks", encode(EnrolmentAckPost(ids=ids)))

    def get_account_changes(self) -> AccountChangePage:
        """Return the sealed changes of partners' accounts that are not acknowledged."""
        return self._get("/feed/account-changes", kind=AccountChangePage)

    def post_account_change_acks(self, changes: tuple[AccountChangeAck, ...]) -> None:
        """Say which of these changes are durable here."""
        self._send("POST", "/feed/account-change-acks", encode(AccountChangeAckPost(acknowledged=changes)))

    def get_adoption_requests(self) -> AdoptionPage:
        """Return the sealed requests to show the button that are not acknowledged."""
        return self._get("/feed/adoption-requests", kind=AdoptionPage)

    def post_adoption_acks(self, ids: tuple[str, ...]) -> None:
        """Say which of these requests are durable here."""
        self._send("POST", "/feed/adoption-acks", encode(AdoptionAckPost(ids=ids)))

    def post_mailbox(self, item: MailboxPostItem) -> None:
        """Put one sealed message into a partner's mailbox; the same message again is harmless."""
        self._send("POST", "/feed/mailbox", encode(MailboxPost(messages=(item,))))

    def post_replies(self, items: tuple[ReplyPostItem, ...]) -> tuple[ReplyResult, ...]:
        """Leave sealed messages for whoever comes back with a return code; return what became of each, in order."""
        reply = self._send("POST", "/feed/replies", encode(ReplyPost(replies=items)))
        results = parse_exact(reply, kind=ReplyPostReply, max_bytes=MAX_REPLY_BYTES).results
        if len(results) != len(items):
            raise FormatError("The answer does not say of each message what became of it.", reason="malformed")
        return results

    def post_stages(self, items: tuple[StageItem, ...]) -> None:
        """Say how far partners' reports are."""
        self._send("POST", "/feed/stages", encode(StagePost(stages=items)))

    def get_evidence(self, *, after: str) -> EvidencePage:
        """Return the evidence that waits behind an evidence id (`""` for the first), the oldest id first."""
        return self._get(f"/feed/evidence?after={after}" if after else "/feed/evidence", kind=EvidencePage)

    def get_evidence_part(self, *, partner: str, evidence_id: str, part: int) -> bytes:
        """Return the sealed bytes of one part, whatever they are: the caller checks them."""
        path = f"/feed/evidence/{partner}/{evidence_id}/{part}"
        return self._transport.send("GET", path, max_bytes=PART_BYTES).body

    def post_evidence_acks(self, rows: tuple[EvidenceAck, ...]) -> int:
        """Say which evidence is whole on this desk's disk; return how many of it the gateway knows."""
        if not rows:
            return 0
        reply = self._send("POST", "/feed/evidence-acks", encode(EvidenceAckPost(acknowledged=rows)))
        return parse_exact(reply, kind=AcknowledgementReply, max_bytes=MAX_REPLY_BYTES).acknowledged

    def _post_rows(self, path: str, rows: tuple[Acknowledgement, ...]) -> int:
        if not rows:
            return 0
        reply = self._send("POST", path, encode(AcknowledgementPost(acknowledged=rows)))
        return parse_exact(reply, kind=AcknowledgementReply, max_bytes=MAX_REPLY_BYTES).acknowledged

    def _get(self, path: str, *, kind: type[T]) -> T:
        return parse_exact(self._transport.send("GET", path).body, kind=kind, max_bytes=MAX_REPLY_BYTES)

    def _send(self, method: str, path: str, body: bytes) -> bytes:
        return self._transport.send(method, path, body=body).body
