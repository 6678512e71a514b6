"""The last screens: what to call the person, a safe way to reach them, who will know, check and thanks."""

from gateway.public.journey.shapes import Branch, Field, Given, NotGiven, Screen
from gateway.public.journey.who_screens import SHORT, YES_NO_UNSURE
from partner_sdk.public_report import BLOCK_MAX

CONTACT_WAYS = ("adult", "school", "call", "text", "email")

REACH_SCREENS = (
    Screen(
        "name",
        "11",
        "reach",
        fields=(
            Field(
                "name",
                "text",
                why="reports are not anonymous (R25); a first name is enough",
                who_uses="the person who answers",
                what_if_blank="asked again, with the way to those who take reports without a name",
                required=True,
            ),
        ),
    ),
    Screen(
        "reach",
        "12",
        "safe",
        fields=(
            Field(
                "contact_ways",
                "checkboxes",
                why="an answer must reach the child and nobody else",
                who_uses="the person who answers",
                what_if_blank="asked again; an adult or the school can be the way",
                options=CONTACT_WAYS,
                required=True,
            ),
            Field(
                "adult",
                "text",
                why="who the adult is, and how to reach them",
                who_uses="the person who answers",
                what_if_blank="asked again where an adult was picked",
                goes_with=Given("contact_ways", ("adult",)),
            ),
            Field(
                "school",
                "text",
                why="which school, and whom to ask for",
                who_uses="the person who answers",
                what_if_blank="asked again where the school was picked",
                goes_with=Given("contact_ways", ("school",)),
            ),
            Field(
                "phone",
                "text",
                why="the number to call or text",
                who_uses="the person who answers",
                what_if_blank="asked again where a call or a text was picked",
                max_characters=SHORT,
                goes_with=Given("contact_ways", ("call", "text")),
            ),
            Field(
                "email",
                "text",
                why="the address to write to",
                who_uses="the person who answers",
                what_if_blank="asked again where email was picked",
                goes_with=Given("contact_ways", ("email",)),
            ),
        ),
    ),
    Screen(
        "safe",
        "12a",
        "who_will_know",
        fields=(
            Field(
                "who_sees",
                "radios",
                why="a call may be picked up by the wrong person",
                who_uses="the person who answers",
                what_if_blank="counts as yes: the person who answers says nothing of why they call",
                options=YES_NO_UNSURE,
            ),
            Field(
                "say_who_we_are",
                "radios",
                why="whether our name may be said to others",
                who_uses="the person who answers",
                what_if_blank="counts as no",
                options=YES_NO_UNSURE,
            ),
            Field(
                "contact_times",
                "text",
                why="a safe time",
                who_uses="the person who answers",
                what_if_blank="any time in the day",
                max_characters=SHORT,
            ),
            Field(
                "may_send_note",
                "radios",
                why="a short note that it came in goes out only where it is safe (R22)",
                who_uses="the post room, which sends it",
                what_if_blank="counts as no: nothing is sent by itself",
                options=("yes", "no"),
                # Never offered to the youngest, nor where somebody near may see it: a person answers first.
                shown_if=(
                    Given("contact_ways", ("text", "email")),
                    NotGiven("age", ("12_or_under",)),
                    NotGiven("near", ("yes",)),
                ),
            ),
            Field(
                "more_safe",
                "more",
                why="whoever needs more can say it; nobody has to see the page",
                who_uses="the form",
                what_if_blank="the page is left out",
                options=("yes",),
            ),
        ),
        branches=(Branch("safe_more", (Given("more_safe", ("yes",)),)),),
    ),
    Screen(
        "safe_more",
        "12b",
        "who_will_know",
        fields=(
            Field(
                "safe_word",
                "text",
                why="so that the child knows that it is really us",
                who_uses="the person who answers",
                what_if_blank="none is used",
                max_characters=SHORT,
            ),
            Field(
                "do_not_contact",
                "text",
                why="whom we must not speak to",
                who_uses="everyone who works on the report",
                what_if_blank="not known",
                max_characters=BLOCK_MAX,
            ),
            Field(
                "call_language",
                "radios",
                why="the language of the answer",
                who_uses="the person who answers",
                what_if_blank="the language of the form",
                options=("en", "cy", "other"),
            ),
            Field(
                "other_language",
                "text",
                why="which interpreter is needed",
                who_uses="the person who answers",
                what_if_blank="none",
                max_characters=SHORT,
                goes_with=Given("call_language", ("other",)),
                is_needed_with=False,
            ),
            Field(
                "access_needs",
                "checkboxes",
                why="so that everyone can be answered in a way that works for them",
                who_uses="the person who answers",
                what_if_blank="none",
                options=("bsl", "relay_uk", "easy_read", "adult_helper"),
            ),
        ),
    ),
    Screen("who_will_know", "13", "check"),
    Screen("check", "14", "thanks"),
    Screen("thanks", "15", "thanks"),
)
