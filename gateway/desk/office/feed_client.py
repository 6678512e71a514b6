"""Client of the gateway's feed: signed requests, strict replies, no redirect; the desk always calls, never listens.

Never trusts a reply: the statements inside are verified (row_checks.py).
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.exchange.desk_statements import AnchorPage
from gateway.exchange.feed import (
    MAX_ROWS,
    Acknowledgement,
    AcknowledgementPost,
    AcknowledgementReply,
    FeedStatus,
    InvitationHash,
    InvitationPost,
    ItemKind,
    ItemPage,
    ItemPost,
    ItemPostReply,
    NewItem,
    PutResult,
    ReconciliationPage,
    StageItem,
    StagePost,
)
from partner_sdk import __version__
from partner_sdk.client.exchange import MAX_REPLY_BYTES, Timeouts
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode, parse_exact
from partner_sdk.wire.evidence import PART_BYTES

if TYPE_CHECKING:
    import requests

USER_AGENT: Final = f"report-abuse-desk/{__version__}"
# Of two a day for sixty years: a gateway that shows more is not believed.
MOST_ANCHORS: Final = 50_000
TIMEOUTS: Final = Timeouts(connect_seconds=5.0, read_seconds=30.0, total_seconds=120.0)

T = TypeVar("T")


class FeedClient:
    """One desk's connection to its gateway. Every call may be repeated.

    Raises `TransportError`, `ProblemError` and `FormatError`.
    """

    def __init__(
        self,
        *,
        origin: str,
        private_key: Ed25519PrivateKey,
        clock: Callable[[], datetime],
        session: "requests.Session | None" = None,
    ) -> None:
        # Imported here: it brings `requests`, a tenth of a second that commands without a request do not need.
        from partner_sdk.client.transport import Transport

        self._transport = Transport(
            origin, private_key=private_key, session=session, clock=clock, timeouts=TIMEOUTS, user_agent=USER_AGENT
        )

    def get_status(self) -> FeedStatus:
        """Return the gateway's chain positions and the lists that it serves."""
        return self._get("/feed/status", kind=FeedStatus)

    def get_reconciliation(self, *, after: int) -> ReconciliationPage:
        """Return the links of the gateway's chains after a position."""
        return self._get(f"/feed/reconciliation?after={after}", kind=ReconciliationPage)

    def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
        """Return the oldest unacknowledged items of a kind after a position, as raw rows."""
        most = limit or kind.max_items
        page = self._get(f"/feed/items/{kind.name}?after={after}&limit={most}", kind=ItemPage)
        if len(page.items) > most:
            raise FormatError("The feed page has more items than requested.", reason="malformed")
        return page

    def put_items(self, kind: ItemKind, items: tuple[NewItem, ...]) -> tuple[PutResult, ...]:
        """Post sealed items for partners or return codes; return the result of each, in order.

        Posting an item again is harmless.
        """
        reply = self._send("POST", f"/feed/items/{kind.name}", encode(ItemPost(items=items)))
        results = parse_exact(reply, kind=ItemPostReply, max_bytes=MAX_REPLY_BYTES).results
        if len(results) != len(items):
            raise FormatError("The reply does not give a result for each item.", reason="malformed")
        return results

    def acknowledge(self, kind: ItemKind, items: tuple[Acknowledgement, ...], *, is_withdrawn: bool = False) -> int:
        """Acknowledge items as durable here, or (`is_withdrawn`) withdraw that; return how many the gateway knows."""
        return sum(
            self._acknowledge(
                AcknowledgementPost(items=items[start : start + MAX_ROWS], kind=kind.name, is_withdrawn=is_withdrawn)
            )
            for start in range(0, len(items), MAX_ROWS)
        )

    def get_evidence_part(self, *, partner: str, evidence_id: str, part: int) -> bytes:
        """Return the sealed bytes of one part, unchecked: the caller checks them."""
        path = f"/feed/evidence/{partner}/{evidence_id}/{part}"
        return self._transport.send("GET", path, max_bytes=PART_BYTES).body

    def get_log_file(self, name: str, *, max_bytes: int) -> bytes:
        """Return a file of the public log, unchecked."""
        return self._transport.send("GET", f"/feed/log/{name}", max_bytes=max_bytes).body

    def list_anchors(self) -> list[bytes]:
        """Return every anchor of the audit log that the gateway shows, unchecked."""
        anchors: list[bytes] = []
        while True:
            page = self._get(f"/feed/anchors?after={len(anchors)}", kind=AnchorPage)
            anchors += [encode(statement) for statement in page.anchors]
            if not page.more:
                return anchors
            if not page.anchors or len(anchors) > MOST_ANCHORS:
                raise FormatError("The gateway shows anchors without end.", reason="malformed")

    def put_list(self, name: Literal["keys", "register", "audit", "staffing", "forget"], document: bytes) -> None:
        """Publish a signed list or the statement of staffing, lay down an anchor, or have reports forgotten."""
        self._send("PUT", f"/feed/lists/{name}", document)

    def post_invitations(self, invitations: tuple[InvitationHash, ...]) -> None:
        """Send the hashes of open invitations."""
        self._send("POST", "/feed/invitations", encode(InvitationPost(invitations=invitations)))

    def post_stages(self, items: tuple[StageItem, ...]) -> None:
        """Send the stages of partners' reports."""
        self._send("POST", "/feed/stages", encode(StagePost(stages=items)))

    def _acknowledge(self, post: AcknowledgementPost) -> int:
        reply = self._send("POST", "/feed/acknowledgements", encode(post))
        return parse_exact(reply, kind=AcknowledgementReply, max_bytes=MAX_REPLY_BYTES).acknowledged

    def _get(self, path: str, *, kind: type[T]) -> T:
        return parse_exact(self._transport.send("GET", path).body, kind=kind, max_bytes=MAX_REPLY_BYTES)

    def _send(self, method: str, path: str, body: bytes) -> bytes:
        return self._transport.send(method, path, body=body).body
