"""Authenticates the calling partner by the signature of its request.

Never accepts a key that is not in the register signed by the agency.
"""

from dataclasses import dataclass

from flask import current_app

from gateway.key_state import AcceptedKeys
from gateway.refusals import NotReadyError
from gateway.signed_request import check_signature, parse_public_key
from gateway.wiring import Gateway, get_gateway
from partner_sdk.errors import SignatureProfileError
from partner_sdk.wire.register import RegisterEntry, list_former_keys
from partner_sdk.wire.signature_profile import SignatureClaim


@dataclass(frozen=True, slots=True)
class Caller:
    """A partner, authenticated by the signature over its headers; the body is not yet checked."""

    gateway: Gateway
    keys: AcceptedKeys
    entry: RegisterEntry
    claim: SignatureClaim

    @property
    def partner(self) -> str:
        """The partner's id."""
        return self.entry.partner

    @property
    def submission_keys(self) -> dict[str, bytes]:
        """The keys that may have signed a statement of this caller.

        The key that signed the request, and the partner's recently rotated keys, for signed reports still in its spool.
        A rotated key signs no request; a key that the agency has ended is not included.
        """
        keys = {self.entry.key_id: parse_public_key(self.entry.submission_key)}
        if self.entry.former_keys:
            former = list_former_keys(self.entry, now=self.gateway.clock())
            keys |= {key.key_id: parse_public_key(key.submission_key) for key in former}
        return keys


def get_caller() -> Caller:
    """Return the active partner that signed this request.

    Raises `SignatureProfileError`, the same for every cause, or `NotReadyError` before the first key set.
    """
    gateway = get_gateway(current_app)
    keys = get_accepted_keys(gateway)

    def find_key(key_id: str) -> bytes | None:
        found = keys.find_partner(key_id)
        return None if found is None else parse_public_key(found.submission_key)

    claim = check_signature(
        origin=gateway.config.public_origin, find_key=find_key, now=gateway.clock(), shared=gateway.shared
    )
    entry = keys.find_partner(claim.key_id)
    if entry is None:
        raise SignatureProfileError("The key is unknown.", reason="unknown-key")
    gateway.limits.name_caller(entry.partner)
    return Caller(gateway=gateway, keys=keys, entry=entry, claim=claim)


def get_accepted_keys(gateway: Gateway) -> AcceptedKeys:
    """Return the published keys; raises `NotReadyError` if there are none."""
    keys = gateway.key_state.find_keys()
    if keys is None:
        raise NotReadyError("The agency has not published its keys yet.", reason="no-key-set")
    return keys
