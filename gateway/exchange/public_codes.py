"""The codes of the public report that form and desk both act on, each written once; all else is in the form's table.

Never changed, only added to: reports that hold a code are opened for years (WIRE.md §6.4). Imports nothing of ours.
"""

from typing import Final, Literal

ENGLISH: Final[Literal["en"]] = "en"
WELSH: Final[Literal["cy"]] = "cy"

YES: Final = "yes"
NO: Final = "no"
NOT_SURE: Final = "not_sure"
RATHER_NOT_SAY: Final = "rather_not_say"
YES_NO_UNSURE: Final = (YES, NO, NOT_SURE)

UNDER_AGE_LINE: Final = 18  # R3: a child is anyone under 18; the one place where the age line is written
IS_NOT_UNDER_18: Final = NO  # only this counts as an adult; every other answer, and none, as a child (R3, R23)
_OFFERED_YOUNGEST: Final = ("under_12", "12")
FORMER_YOUNGEST: Final = "12_or_under"  # no longer offered; older reports and gateways still carry it
YOUNGEST_BANDS: Final = (*_OFFERED_YOUNGEST, FORMER_YOUNGEST)
ADULT_BAND: Final = f"{UNDER_AGE_LINE}_plus"
AGE_BANDS: Final = (*_OFFERED_YOUNGEST, "13_15", "16_17", ADULT_BAND, RATHER_NOT_SAY)

NOT_UK: Final = "not_uk"
REGIONS: Final = ("england", "wales", "scotland", "northern_ireland", NOT_UK, NOT_SURE)

# Whom the report is about, if not the person who reports.
CARERS: Final = ("child_i_look_after", "child_i_work_with")
ABOUT_OTHERS: Final = ("friend", *CARERS, "another_child", NOT_SURE)

HURT_KINDS: Final = ("made_to_do_things", "touched_or_hurt")
ABOUT_PICTURES: Final = ("asked_for_pictures", "on_camera", "threatens_to_share", "shared_things", "saw_picture")

MEETS_TODAY: Final = "today"
MEETS_SOON: Final = (MEETS_TODAY, "next_days")
MEETING_TIMES: Final = (*MEETS_SOON, "later", "no_day", NOT_SURE)

# The feelings of the child in the report. A child who reports for another uses the second code for their own.
HURTING: Final = "hurting"
REPORTER_HURTING: Final = "reporter_hurting"

CALLED: Final = "called"
CANNOT_CALL: Final = "cannot_call"

# Ways to reach the person: the agency itself uses the last three.
BY_ADULT: Final = "adult"
BY_SCHOOL: Final = "school"
BY_CALL: Final = "call"
BY_TEXT: Final = "text"
BY_EMAIL: Final = "email"
CONTACT_WAYS: Final = (BY_ADULT, BY_SCHOOL, BY_CALL, BY_TEXT, BY_EMAIL)

# Requests of the person who reported about what they told: to see it, to correct it, to wipe it.
REQUESTS: Final = ("see", "correct", "wipe")

# Signals: what the form noticed. All flag a report but those that say what became of the call to 999, and that what a
# service passed on could not be taken along: no fault of who types.
DANGER_PREFIX: Final = "danger-"
HONEYPOT_SIGNAL: Final = "honeypot"
FAST_SIGNAL: Final = "fast"
LIMITED_SIGNAL: Final = "limited"
CONTEXT_REFUSED_SIGNAL: Final = "context_refused"
