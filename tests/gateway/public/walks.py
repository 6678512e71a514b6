"""Answers that lead past every page of the form: one long way, and short ways past the pages that it misses."""

from tests.gateway.public.person import SHORT_ANSWERS

ScreenAnswers = dict[str, dict[str, str | list[str]]]

# Somebody under 18 who helps out with children: nobody answers so much, but nothing forbids it.
LONG_WAY: ScreenAnswers = {
    "/2": {},
    "/3": {"danger": "yes"},
    "/3a": {"called": "called"},
    "/4": {"age": "16_17"},
    "/4b": {"who": "child_i_work_with"},
    "/5": {"their_age": "13_15"},
    "/6": {"region": "not_uk"},
    "/6a": {"country": "us", "there_too": "no"},
    "/6b": {},
    "/7": {"kinds": ["wants_to_meet", "asked_for_pictures"]},
    "/7b": {"meeting_when": "next_days", "meeting_place": "By the clock"},
    "/7d": {},
    "/8": {"pictures": "me"},
    "/8a": {},
    "/9": {"story": "They want to meet by the clock.", "when": "this_week", "still": "yes"},
    "/9a": {"feels": "hurting"},
    "/9c": {},
    "/10c": {
        "relationship": "Coach",
        "child_name": "Alex",
        "child_birth": "In May",
        "child_place": "Exampleton",
        "child_school": "Example School",
        "child_knows": "yes",
        "is_with_you": "no",
    },
    "/10d": {
        "organisation": "Example Club",
        "role": "Coach",
        "already_told": ["police"],
        "other_reference": "EX-1",
    },
    "/11": {"name": "Sam"},
    "/12": {
        "contact_ways": ["adult", "school", "call", "text", "email"],
        "adult": "My aunt, 01632 960001",
        "school": "Ms Example",
        "phone": "01632 960002",
        "email": "sam@child.example",
        "near": "no",
        "who_must_not_know": "My uncle",
    },
    "/14": {"more": "yes"},
    "/10": {
        "person_app": "Example Chat",
        "person_handle": "blue_kite",
        "person_names": "Kit",
        "more_person": "yes",
    },
    "/10a": {
        "person_age": "About 30",
        "how_met": "In a game",
        "in_real_life": "no",
        "knows": ["school"],
        "told": ["friend"],
    },
    "/12a": {
        "who_sees": "yes",
        "may_say_who_we_are": "no",
        "contact_times": "After four",
        "may_send_note": "yes",
        "safe_word": "pancake",
        "more_safe": "yes",
    },
    "/12b": {
        "call_language": "other",
        "other_language": "Polish",
        "access_needs": ["bsl"],
    },
}
GROWN_UP: ScreenAnswers = SHORT_ANSWERS | {"/4": {"age": "18_plus"}, "/7": {"kinds": ["bullying"]}}
ON_A_WEBSITE: ScreenAnswers = SHORT_ANSWERS | {"/7": {"kinds": ["saw_picture"]}, "/8": {"pictures": "website"}}
GROWN_UP_PICTURE: ScreenAnswers = SHORT_ANSWERS | {
    "/9a": {"feels": "hurting"},
    "/4": {"age": "18_plus"},
    "/7": {"kinds": ["threatens_to_share"]},
    "/8": {"pictures": "me"},
}
PICTURE_OF_ANOTHER: ScreenAnswers = SHORT_ANSWERS | {
    "/7": {"kinds": ["shared_things"]},
    "/8": {"pictures": "someone_else"},
}
HURT_AT_HOME: ScreenAnswers = SHORT_ANSWERS | {
    "/7": {"kinds": ["touched_or_hurt"]},
    "/12": SHORT_ANSWERS["/12"] | {"near": "yes"},
    "/12c": {"child_place": "Exampleton"},
    "/10": {},
}
ALL_WAYS = (LONG_WAY, GROWN_UP, ON_A_WEBSITE, GROWN_UP_PICTURE, PICTURE_OF_ANOTHER, HURT_AT_HOME)


def flatten(way: ScreenAnswers) -> dict[str, list[str]]:
    """Return the answers of a way by the name of their field, as a draft holds them."""
    return {
        name: [value] if isinstance(value, str) else value
        for answers in way.values()
        for name, value in answers.items()
    }


# What each row of requirements.md about the public speaks of, as somebody would answer.
UNDER_18 = SHORT_ANSWERS
ADULT: ScreenAnswers = SHORT_ANSWERS | {
    "/4": {"age": "18_plus"},
    "/4b": {"who": "child_i_look_after"},
    "/5": {"their_age": "13_15"},
    "/10c": {"relationship": "Mother"},
}
CONTENT_ONLY = ON_A_WEBSITE
BULLYING_ONLY: ScreenAnswers = SHORT_ANSWERS | {"/7": {"kinds": ["bullying"]}}
OVERSEAS: ScreenAnswers = SHORT_ANSWERS | {"/6": {"region": "not_uk"}, "/6a": {"country": "us"}}
URGENT: ScreenAnswers = SHORT_ANSWERS | {
    "/3": {"danger": "yes"},
    "/3a": {"called": "cannot_call"},
    "/7": {"kinds": ["wants_to_meet"]},
    "/7b": {"meeting_when": "today", "meeting_place": "By the clock"},
}

# The shortest way of a child: six answers and Send.
SHORTEST: ScreenAnswers = {path: SHORT_ANSWERS[path] for path in ("/3", "/4", "/6", "/7", "/11", "/12")}
TOLD_LATER: ScreenAnswers = SHORT_ANSWERS | {
    "/4": {"age": "18_plus"},
    "/4b": {"who": "another_child"},
    "/5": {"their_age": "13_15"},
    "/7": {"kinds": ["wants_to_meet"]},
    "/9a": {"feels": "hurting"},
    "/10": {"more_person": "yes"},
}
FRIEND: ScreenAnswers = SHORT_ANSWERS | {
    "/4b": {"who": "friend"},
    "/5": {"their_age": "18_plus"},
    "/7": {"kinds": ["threatens_to_share", "wants_to_meet"]},
    "/10": {},
    "/9a": {"feels": "reporter_hurting"},
}
BULLIED: ScreenAnswers = ADULT | {
    "/4": {"age": "16_17"},
    "/7": {"kinds": ["bullying"]},
    "/9a": {"feels": "reporter_hurting"},
}
CARER: ScreenAnswers = ADULT | {
    "/7": {"kinds": ["shared_things", "wants_to_meet"]},
    "/8": {"pictures": "someone_else"},
    "/10": {"more_person": "yes"},
}
BLACKMAILED_TODAY: ScreenAnswers = SHORT_ANSWERS | {
    "/7": {"kinds": ["threatens_to_share", "wants_to_meet"]},
    "/7b": {"meeting_when": "today"},
}
MEETS: ScreenAnswers = SHORT_ANSWERS | {"/7": {"kinds": ["wants_to_meet"]}, "/7b": {"meeting_when": "today"}}
# With these every branch of the table is walked.
EVERY_WAY = (
    LONG_WAY,
    SHORTEST,
    ON_A_WEBSITE,
    GROWN_UP_PICTURE,
    TOLD_LATER,
    FRIEND,
    BULLIED,
    CARER,
    MEETS,
    BLACKMAILED_TODAY,
    HURT_AT_HOME,
)
# Whichever way they come, the desk gets the same report.
HURTING: ScreenAnswers = SHORT_ANSWERS | {"/9a": {"feels": "hurting"}}
YOUNG: ScreenAnswers = SHORT_ANSWERS | {"/4": {"age": "under_12"}}
COMPARED_WAYS = (SHORTEST, LONG_WAY, BLACKMAILED_TODAY, MEETS, HURTING, OVERSEAS, YOUNG, CARER)
