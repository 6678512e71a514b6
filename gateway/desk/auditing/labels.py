"""Labels of the audit log: each action, the purpose of each opening of content, and the details of an entry."""

import json
import re
from types import MappingProxyType
from typing import Final

# One table for every code in the source; a house test compares. A past participle: "Amina Okafor opened a report".
ACTIONS: Final = MappingProxyType(
    {
        "accept-account-change": "Accepted a change that a partner asked for",
        "accept-audit-loss": "Accepted that entries of the audit log are lost",
        "acknowledge-action": "Recorded that a recipient acknowledged an action",
        "acknowledge-alert": "Acknowledged an alert",
        "add-adopter": "Added a service that shows the button",
        "add-gateway": "Added a gateway",
        "add-passkey": "Added a passkey",
        "add-person": "Added a person",
        "add-service": "Added a service that reports are about",
        "advise-case": "Gave a safeguarding adviser's view",
        "agree-adoption": "Agreed to a request for the button",
        "agree-placement": "Agreed to a placement of the button",
        "answer-action": "Recorded an answer to an action",
        "answer-request-case": "Answered a request of a person who reported",
        "approve-partner": "Approved a partner",
        "ask-partner": "Asked a partner about a report",
        "assess-case": "Assessed a case",
        "begin-rotation-feed": "Made a new feed key",
        "begin-rotation-mailbox-signing": "Made a new key that signs messages",
        "begin-rotation-register": "Made a new key that signs the register",
        "came-through-gateway-too": "Filed a report from a file that came through the gateway too",
        "carry-holder": "Kept a case with its holder when it was joined to another",
        "certify-destruction": "Certified a destruction",
        "change-placement": "Changed the terms of a placement",
        "change-root": "Changed the root key",
        "child-outcome-case": "Recorded the outcome for the child",
        "claim-case": "Took a case",
        "clear-alarm": "Cleared an alarm",
        "close-case": "Closed a case",
        "collect": "Collected reports",
        "collect-evidence": "Collected a file of evidence",
        "decide-outcome": "Decided the outcome for a partner",
        "decline-adoption": "Declined a request for the button",
        "destroy-case": "Destroyed the content of a case",
        "destroy-sealing-key": "Destroyed a sealing key",
        "digest-draw-restored": "Took the noise of a digest from the journal",
        "digest-frozen": "Fixed the cases that a digest counts",
        "digest-made": "Made a digest",
        "digest-rejected": "Rejected a digest",
        "digest-released": "Released a digest",
        "draft-action": "Drafted an action",
        "draft-release": "Asked a second person to sign a release",
        "drop-alert": "Gave up an alert",
        "drop-evidence": "Gave up a file of evidence",
        "end-action": "Ended an action",
        "end-invitation": "Ended an invitation",
        "end-log-key": "Ended a key of a public log",
        "end-passkey": "Ended a passkey",
        "end-person": "Ended a person",
        "end-placement": "Ended a placement",
        "end-receipt-key": "Ended a receipt key",
        "end-role": "Took a role from a person",
        "exempt-case": "Let an urgent case close without a package",
        "export-audit": "Exported entries of the audit log",
        "export-case": "Exported a report for the person who sent it",
        "finish-rotation-feed": "Began to use the new feed key",
        "finish-rotation-mailbox-signing": "Began to use the new key that signs messages",
        "finish-rotation-register": "Began to use the new key that signs the register",
        "forget-runner-token": "Ended the checker's token",
        "give-signoff": "Signed off words that this desk sends",
        "grant-role": "Gave a person a role",
        "hand-over-case": "Handed a case over",
        "import": "Imported a report from a file",
        "index-case": "Opened a report",
        "invite-adoption": "Invited a service that asked for the button",
        "invite-partner": "Invited a partner",
        "keep-apart-case": "Recorded that two cases do not belong together",
        "keep-thread-entry": "Kept a note about an action",
        "key-in-case": "Keyed in a call, a letter or a visit",
        "legal-hold-case": "Put a case under legal hold",
        "lift-hold-case": "Lifted the legal hold of a case",
        "link-case": "Linked two cases",
        "lock-vault": "Locked the vault",
        "make-desk": "Made this desk",
        "make-key": "Made a key",
        "make-link": "Made a one-time link for a person",
        "make-runner-token": "Made the checker's token",
        "make-synthetic-cases": "Filed made-up cases",
        "merge-services": "Merged two services",
        "move-case": "Moved a case in the queue",
        "no-place": "Could not send a reply: its return code is gone",
        "no-read-note": "Sent no note that a report was read",
        "note-openings": "Noted the head of the vault's record",
        "open-adoption": "Opened a request for the button",
        "open-case": "Opened a report",
        "open-evidence": "Opened a file of evidence",
        "open-set-aside": "Opened a row that was set aside",
        "overview-made-public": "Made an overview public",
        "overview-proposed": "Asked a second person to sign an overview",
        "part-service": "Split a merged service",
        "pass-on-case": "Passed a report on to another body",
        "protect-keys": "Protected the keys with passphrases",
        "publish-keys": "Published the key set",
        "publish-register": "Published the register",
        "read-action": "Read the content of an action",
        "read-case-steps": "Read the reasons and notes of a case",
        "read-replies": "Read the replies of a case",
        "read-thread": "Read the thread of an action",
        "refuse-account-change": "Refused a change that a partner asked for",
        "refuse-touch": "Refused a touch of a passkey",
        "release-action": "Released an action",
        "release-case": "Gave a case back",
        "release-outcome": "Told a partner an outcome",
        "renew-delegation": "Renewed the delegation of the root key",
        "reopen-case": "Reopened a case",
        "repeat-alert": "Sent an alert again",
        "repeat-destruction": "Destroyed cases again after a restore",
        "replace-sealing-key": "Replaced a sealing key",
        "reply-case": "Recorded a reply",
        "request-case": "Recorded a request of a person who reported",
        "resolve-set-aside": "Resolved a row that was set aside",
        "resolve-set-aside-group": "Resolved rows that were set aside",
        "resume-placement": "Resumed a placement",
        "revoke-key": "Revoked a key",
        "search": "Searched cases",
        "send-action": "Sent an action",
        "send-again": "Sent an entry of the outbox again",
        "send-alert": "Sent an alert",
        "send-note": "Sent a short note",
        "set-account": "Set a person's account",
        "set-aside": "Set a row aside",
        "set-authority": "Recorded a person's authority",
        "set-service-case": "Recorded the service of a case",
        "sign-in": "Signed in",
        "sign-keys": "Signed the key set",
        "sign-register": "Signed the register",
        "sign-release": "Signed a release as the second person",
        "suspend-partner": "Suspended a partner",
        "suspend-placement": "Suspended a placement",
        "take-account-change": "Took a change from a partner",
        "take-adoption": "Took a request for the button",
        "take-back-feed-key": "Went back to the former feed key",
        "take-back-outcome": "Withdrew an outcome",
        "take-enrolment": "Took an enrolment",
        "take-over-case": "Took a case over",
        "take-placement-checks": "Took checks of placements",
        "take-thread-entry": "Took an entry of a thread",
        "unlink-case": "Ended the link of two cases",
        "unlock-refused": "Was refused by the vault: wrong passphrase",
        "unlock-vault": "Unlocked the vault",
        "withdraw-action": "Withdrew an action",
        "withdraw-destruction": "Withdrew a list of cases to destroy",
        "withdraw-signoff": "Withdrew a sign-off",
        "write-message": "Wrote a message to a partner",
        "write-thread-entry": "Wrote into the thread of an action",
        "write-to-return-code": "Wrote a reply to a return code",
    }
)
# The actions that showed content to a person or a program of the desk, each with its purpose.
OPENINGS: Final = MappingProxyType(
    {
        "index-case": "to find its links; nobody read it",
        "open-adoption": "to decide it",
        "open-case": "to read it",
        "open-evidence": "to look at it or save it",
        "open-set-aside": "to settle it",
        "read-action": "to work on the case",
        "read-case-steps": "to work on the case",
        "read-replies": "to work on the case",
        "read-thread": "to work on the case",
    }
)
_HASH: Final = re.compile(r"[0-9a-f]{64}|[A-Za-z0-9_-]{43}")


def format_action(action: str) -> str:
    """Return an action in words; one of a later release by its own code, e.g. "Archive case"."""
    return ACTIONS.get(action, action.replace("-", " ").capitalize())


def list_details(detail: str) -> list[tuple[str, str]]:
    """Return the details of an entry as pairs of words, e.g. ("role", "partner manager"); hashes are shortened."""
    return [
        (name.removesuffix("_sha256").replace("_", " "), _format_value(value))
        for name, value in json.loads(detail).items()
        if name != "purpose" and value not in (None, "")
    ]


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if _HASH.fullmatch(text):
        return f"{text[:12]}…"
    return text if any(one.isdigit() for one in text) else text.replace("_", " ").replace("-", " ")
