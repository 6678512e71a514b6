"""What a person does next after an error: words that the command line adds to those of the library."""

from partner_sdk.errors import KeySetError, NotAuthorisedError, ReportAbuseError
from partner_sdk.wire.problems import NOT_AUTHORISED, UNKNOWN_AGENCY_KEY

# What waits in a folder whose keys count no more can not be opened here, and is never taken from it.
ENROLLED_ANEW = (
    "If the agency has enrolled you anew, submit the reports of `spool status` again, from your own case files and "
    "with the new folder."
)
NOT_KNOWN = (
    "The gateway does not know your key: not approved yet, suspended, revoked, or replaced by a newer enrolment. "
    f"Call the agency; then `spool flush`. {ENROLLED_ANEW} `doctor` shows more."
)
_SEALED_FOR_NOBODY = (
    " Submit the report again from your own case file; once that is delivered, `report discard` takes this one away."
)
_KEY_SET_ADVICE = {
    "wrong-root": " Do not go on. Phone the agency and compare the fingerprint.",
    "wrong-environment": " Ask the agency for a new invitation.",
}


def describe(error: ReportAbuseError) -> str:
    """Return the error in words, with what to do where more than the error is known."""
    if isinstance(error, NotAuthorisedError) and error.detail in ("", NOT_AUTHORISED.advice):
        return f"{NOT_KNOWN} ({error.reason})"
    advice = _KEY_SET_ADVICE.get(error.reason, "") if isinstance(error, KeySetError) else ""
    if error.reason == UNKNOWN_AGENCY_KEY.slug:
        advice = _SEALED_FOR_NOBODY
    return f"{error}{advice} ({error.reason})"
