"""The last screens: the person's name, a safe way to reach them, check and thanks."""

from gateway.exchange.public_codes import (
    BY_ADULT,
    BY_CALL,
    BY_EMAIL,
    BY_SCHOOL,
    BY_TEXT,
    CONTACT_WAYS,
    NO,
    RATHER_NOT_SAY,
    YES,
    YOUNGEST_BANDS,
)
from gateway.exchange.public_report import BLOCK_MAX
from gateway.public.journey.fields import Branch, Field, Given, NotGiven, Screen
from gateway.public.journey.screens import CARERS, CHILD_PLACE, HURT_KINDS, SHORT, TOLD_KINDS, YES_NO_UNSURE
from partner_sdk.wire.button import LANGUAGES

_TO_MORE = Branch("person", (Given("more", (YES,)),))

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
                what_if_blank="asked again, with a link to services that take anonymous reports",
                required=True,
            ),
        ),
    ),
    Screen(
        "reach",
        "12",
        "check",
        fields=(
            Field(
                "contact_ways",
                "checkboxes",
                why="an answer must reach only the child",
                who_uses="the person who answers",
                what_if_blank="asked again; an adult or the school can be the way",
                options=CONTACT_WAYS,
                required=True,
            ),
            Field(
                "adult",
                "text",
                why="the adult's name, and a way to reach them",
                who_uses="the person who answers",
                what_if_blank="asked again where an adult was picked",
                goes_with=Given("contact_ways", (BY_ADULT,)),
            ),
            Field(
                "school",
                "text",
                why="the school, and the person to ask for",
                who_uses="the person who answers",
                what_if_blank="asked again where the school was picked",
                goes_with=Given("contact_ways", (BY_SCHOOL,)),
            ),
            Field(
                "phone",
                "text",
                why="the number to call or text",
                who_uses="the person who answers",
                what_if_blank="asked again where a call or a text was picked",
                max_characters=SHORT,
                goes_with=Given("contact_ways", (BY_CALL, BY_TEXT)),
            ),
            Field(
                "email",
                "text",
                why="the address to write to",
                who_uses="the person who answers",
                what_if_blank="asked again where email was picked",
                goes_with=Given("contact_ways", (BY_EMAIL,)),
            ),
            Field(
                "near",
                "radios",
                why="an answer must not reach someone who lives there or sees the phone",
                who_uses="the person who answers",
                what_if_blank="not known: nothing is sent automatically",
                options=YES_NO_UNSURE,
            ),
            Field(
                "who_must_not_know",
                "text",
                why="people whom the agency must not contact",
                who_uses="everyone who works on the report",
                what_if_blank="not known",
                max_characters=BLOCK_MAX,
            ),
        ),
        # Hurt by someone near, or told in words alone: help has to come to a place. A carer was asked for it before.
        branches=(
            Branch("home", (Given("kinds", HURT_KINDS), Given("near", (YES,)), NotGiven("who", CARERS))),
            Branch("home", (NotGiven("kinds", TOLD_KINDS), Given("near", (YES,)), NotGiven("who", CARERS))),
            _TO_MORE,
        ),
    ),
    Screen("home", "12c", "check", fields=(CHILD_PLACE,), branches=(_TO_MORE,)),
    Screen(
        "safe",
        "12a",
        "check",
        fields=(
            Field(
                "who_sees",
                "radios",
                why="a call may be picked up by the wrong person",
                who_uses="the person who answers",
                what_if_blank="counts as yes: the caller does not mention the reason for the call",
                options=YES_NO_UNSURE,
                shown_if=(Given("contact_ways", (BY_CALL, BY_TEXT, BY_EMAIL)),),
            ),
            Field(
                "may_say_who_we_are",
                "radios",
                why="whether the caller may mention our name to others",
                who_uses="the person who answers",
                what_if_blank="counts as no",
                options=YES_NO_UNSURE,
                shown_if=(Given("contact_ways", (BY_CALL, BY_ADULT)),),
            ),
            Field(
                "contact_times",
                "text",
                why="a safe time",
                who_uses="the person who answers",
                what_if_blank="any time of day",
                max_characters=SHORT,
            ),
            Field(
                "may_send_note",
                "radios",
                why="a note of receipt is sent only if that is safe (R22)",
                who_uses="the desk, which sends it",
                what_if_blank="counts as no: nothing is sent automatically",
                options=(YES, NO),
                # Offered only if the desk would send it: never for the youngest or an unknown age (each age is required
                # where it is asked), and only if the person is not near.
                shown_if=(
                    Given("contact_ways", (BY_TEXT, BY_EMAIL)),
                    NotGiven("age", (*YOUNGEST_BANDS, RATHER_NOT_SAY)),
                    NotGiven("their_age", (*YOUNGEST_BANDS, RATHER_NOT_SAY)),
                    Given("near", (NO,)),
                ),
            ),
            Field(
                "safe_word",
                "text",
                why="proves to the child that the caller is the agency",
                who_uses="the person who answers",
                what_if_blank="none is used",
                max_characters=SHORT,
            ),
            Field(
                "more_safe",
                "more",
                why="optional details on a page of their own",
                who_uses="the form",
                what_if_blank="the page is skipped",
                options=(YES,),
            ),
        ),
        branches=(Branch("safe_more", (Given("more_safe", (YES,)),)),),
    ),
    Screen(
        "safe_more",
        "12b",
        "check",
        fields=(
            Field(
                "call_language",
                "radios",
                why="the language of the answer",
                who_uses="the person who answers",
                what_if_blank="the language of the form",
                options=(*LANGUAGES, "other"),
            ),
            Field(
                "other_language",
                "text",
                why="the interpreter needed",
                who_uses="the person who answers",
                what_if_blank="none",
                max_characters=SHORT,
                goes_with=Given("call_language", ("other",)),
                is_needed_with=False,
            ),
            Field(
                "access_needs",
                "checkboxes",
                why="adapts the answer to the person's needs",
                who_uses="the person who answers",
                what_if_blank="none",
                options=("bsl", "relay_uk", "easy_read", "adult_helper"),
            ),
        ),
    ),
    Screen(
        "check",
        "14",
        "thanks",
        fields=(
            Field(
                "more",
                "more",
                why="optional details are asked only after Send is there to press",
                who_uses="the form",
                what_if_blank="the screens about the person and about safe contact are skipped",
                options=(YES,),
            ),
        ),
    ),
    Screen("thanks", "15", "thanks"),
)
