"""The desk: the separate process that alone holds the private keys, opens sealed reports, and answers partners.

It stands on eight floors. A module imports from its own floor and from lower ones, and two packages never
import each other both ways. Most packages hold a subject: its rules, its pages and its commands.

1. base: `store/`, `vault`, `audit` (with the words of each action), `alarms`, `feed_client`, `addresses`, `uk_times`,
   `config`, `escalation` (whom an alert calls), `carriers`, `wiring`, `organisations`
2. pages and terminal: `hidden_text`, `paper`, `suggestions`, `people/`, `terminal`, `views/`: the
   base of pages, sheets of paper and commands
3. keys: `keyring/`, the agency's own keys and the two lists that it signs
4. exchange: `inbox`, `evidence/`, `outbox/`: incoming sealed items, and all outgoing ones
5. reports: `placements/`, `identifiers/`, `collection/` (pull, verify, file)
6. partners: `partners/`, `actions/` (all that leaves about a case, and to whom), `watch`, `outbox_run`
7. cases: `cases/` (`cases/reading/` is an opened report as text), `digests/`, `packages/`, `figures`,
   `manual_entry` (calls), `rights/` (requests to see, correct or wipe a report), `retention/` (how long a
   case is kept), `duty` (the night's work), `notices/` (requests, referrals, alerts and invitations to services)
8. entry: `doctor`, `audit_log`, `outbox_pages`, `action_pages`, `passkey_pages`, `release_pages`, `app` (all pages),
   `commands/`, `cli`

Never imports the rest of the gateway (only ``gateway.web``, ``gateway.databases`` and ``gateway.guidance``), and the
gateway never imports it.
"""

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from partner_sdk.errors import ReportAbuseError

ReasonT = TypeVar("ReasonT", bound=str)


class RefusalError(ReportAbuseError, Generic[ReasonT]):
    """An error with its only reasons, e.g. `RefusalError[Literal["too-early"]]`: the type checker holds them."""

    reason: ReasonT

    if TYPE_CHECKING:

        def __init__(self, message: str, *, reason: ReasonT) -> None: ...


DEFAULT_PORT: Final = 8702  # of the pages
