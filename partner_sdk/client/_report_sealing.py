"""Makes the body of `POST /v1/reports`: the sealed report, and the partner's signature over it (WIRE.md §6.1).

A report is sealed under the key set that is saved here, before the network is asked for a newer one, and it leaves the
folder only if a key set in force allows its key (docs/decisions/0026).
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from partner_sdk.client._earlier_reports import note_answer
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.errors import (
    KeySetError,
    LocalStateError,
    ProblemError,
    ReportAbuseError,
    SealingError,
    TransportError,
)
from partner_sdk.report import IndustryReport, encode_sealed_report, make_sealed_report
from partner_sdk.wire.canonical import check_filled_in, encode, format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.envelope import MAX_ENVELOPE_BYTES, Envelope
from partner_sdk.wire.evidence import EvidenceReference
from partner_sdk.wire.keys import KeySet, SealingKey, accepts_envelope, find_active_sealing_key, find_saving_key
from partner_sdk.wire.problems import UNKNOWN_AGENCY_KEY
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import (
    ClearFields,
    ReportPost,
    SubmissionStatement,
    peek_submission,
    report_context,
    sign_submission,
)

_EXAMPLES: Final = ("report.json", "full-report.json")


def make_report_body(
    report: IndustryReport,
    *,
    clear: ClearFields,
    evidence: tuple[EvidenceReference, ...],
    key: SealingKey,
    submission_key: Ed25519PrivateKey,
    now: datetime,
) -> bytes:
    """Seal a report to `key` and sign for it at `now`; other bytes each time, so they are made once and then kept."""
    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear, evidence=evidence))
    envelope = seal(plaintext, key=key, context=report_context(clear))
    statement = SubmissionStatement(
        **{name: getattr(clear, name) for name in ClearFields.__struct_fields__},
        created_at=format_time(now),
        envelope_sha256=envelope.sha256().hex(),
    )
    signed = sign_submission(statement, submission_key=submission_key)
    return encode(ReportPost(envelope=to_base64url(envelope.to_bytes()), statement=parse_statement(signed)))


def seal_and_save(
    state: PartnerState,
    report: IndustryReport,
    *,
    clear: ClearFields,
    evidence: tuple[EvidenceReference, ...],
    get_key_set: Callable[[], KeySet],
    clock: Callable[[], datetime],
    notify: Callable[[str], None],
    replaces: bool,
    on_saved: Callable[[str], None],
) -> None:
    """Seal and save a report, and only then renew the key set and seal anew if it names another key.

    Without a saved key set one is fetched first. An error before `on_saved` was called means that nothing is
    saved; nothing is raised afterwards. A live agency is never sent an example of this package as it was: `FormatError`
    (`unchanged-example`).
    """
    if clear.environment == "live":
        plain = structs.replace(report, answers_request=None)
        check_filled_in(plain, examples=_load_examples())
    submission_key = state.load_submission_key()

    def make_body(key: SealingKey) -> bytes:
        return make_report_body(
            report, clear=clear, evidence=evidence, key=key, submission_key=submission_key, now=clock()
        )

    key = _find_saved_key(state, now=clock()) or _fetch_key(get_key_set, clock=clock)
    body = make_body(key)
    # Held until the newest key has sealed it: a flush beside this must not send a report that is about to be replaced.
    with state.holding_submission(clear.report_id):
        note_answer(state, clear.report_id, report=report, kind=clear.kind)
        (state.replace_submission if replaces else state.save_submission)(clear.report_id, body)
        on_saved(clear.report_id)
        try:
            newest = find_active_sealing_key(get_key_set(), now=clock())
            if newest is not None and newest.key_id != key.key_id:
                state.replace_submission(clear.report_id, make_body(newest))
        except ReportAbuseError as error:
            notify(f"Report {clear.report_id} is sealed and saved. The key set could not be renewed: {error}")


@cache
def _load_examples() -> tuple[IndustryReport, ...]:
    folder = files("partner_sdk") / "examples"
    return tuple(msgspec.json.decode((folder / name).read_bytes(), type=IndustryReport) for name in _EXAMPLES)


def _find_saved_key(state: PartnerState, *, now: datetime) -> SealingKey | None:
    try:
        return find_saving_key(state.read_key_set(now=now, allow_expired=True), now=now)
    except (KeySetError, LocalStateError):
        return None


def _fetch_key(get_key_set: Callable[[], KeySet], *, clock: Callable[[], datetime]) -> SealingKey:
    try:
        key = find_active_sealing_key(get_key_set(), now=clock())
    except (TransportError, ProblemError) as error:
        # Not the error itself: it promises that the report is saved.
        raise SealingError(
            f"Nothing was sealed or saved: this folder holds no key of the agency to seal to. {error}",
            reason="nothing-saved",
        ) from None
    if key is None:
        raise SealingError(
            "Nothing was sealed or saved: the agency has no key to seal reports to now.", reason="no-active-key"
        )
    return key


def check_may_leave(post: ReportPost, *, key_set: KeySet, now: datetime) -> None:
    """Raise unless a sealed report may leave the folder under the newest key set that is known.

    `KeySetError` (`expired`): sealed under an expired key set, so that its key may not have counted any more.
    `SealingError` (`unknown-agency-key`): a key set in force says that the agency opens nothing under this key.
    """
    if parse_time(peek_submission(post.statement).created_at) >= parse_time(key_set.expires_at):
        raise KeySetError(
            "The report was sealed under a key set that had expired: it waits for a newer one.", reason="expired"
        )
    if now >= parse_time(key_set.expires_at):
        return  # it was sealed in time, and nothing newer is known: the gateway decides
    key_id = to_base64url(Envelope.parse(parse_base64url(post.envelope, max_bytes=MAX_ENVELOPE_BYTES)).key_id)
    if not any(key.key_id == key_id and accepts_envelope(key, now=now) for key in key_set.sealing_keys):
        raise SealingError(
            "The agency no longer opens boxes sealed to the key of this report, and you cannot open it either.",
            reason=UNKNOWN_AGENCY_KEY.slug,
        )
