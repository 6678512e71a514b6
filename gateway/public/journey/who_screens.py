"""The first screens: is it safe, is there danger, whose report is it, ages and place."""

from gateway.public.journey.fields import Branch, Field, Given, Screen
from gateway.public.journey.kinds import ABOUT_OTHERS
from partner_sdk.wire.public_codes import (
    ADULT_BAND,
    AGE_BANDS,
    CALLED,
    CANNOT_CALL,
    NO,
    NOT_SURE,
    NOT_UK,
    REGIONS,
    YES,
)
from partner_sdk.wire.public_report import SHORT_MAX

YES_NO_UNSURE = (YES, NO, NOT_SURE)
SHORT = SHORT_MAX

WHO_SCREENS = (
    Screen("start", "", "safe_now"),
    Screen("safe_now", "2", "danger"),
    Screen(
        "danger",
        "3",
        "age",
        fields=(
            Field(
                "danger",
                "radios",
                why="decides whether 999 comes before any form (R5, R24)",
                who_uses="the person who reads first, to sort urgent reports to the top",
                what_if_blank="asked again: the one question that cannot wait",
                options=YES_NO_UNSURE,
                required=True,
            ),
        ),
        branches=(Branch("danger_help", (Given("danger", (YES,)),)),),
    ),
    Screen(
        "danger_help",
        "3a",
        "age",
        fields=(
            Field(
                "called",
                "choice",
                why="whether the police already know",
                who_uses="the person who reads first",
                what_if_blank="nothing: every button continues",
                options=(CALLED, CANNOT_CALL, "carry_on"),
            ),
        ),
        shows=("emergency",),
    ),
    Screen(
        "age",
        "4",
        "who",
        fields=(
            Field(
                "age",
                "radios",
                why="selects the wording, the help and the helpline, and whether an answer is owed (R23, R26)",
                who_uses="the person who answers, and the person who assesses the risk",
                what_if_blank="asked again; 'rather not say' counts as under 18, and no date of birth is asked",
                options=AGE_BANDS,
                required=True,
            ),
        ),
    ),
    Screen(
        "who",
        "4b",
        "region",
        fields=(
            Field(
                "who",
                "radios",
                why="a report may be about another child (R12)",
                who_uses="the person who reads, and the wording of the next pages",
                what_if_blank="the next pages address the person",
                options=("me", *ABOUT_OTHERS),
            ),
        ),
        branches=(
            Branch("their_age", (Given("who", ABOUT_OTHERS),)),
            Branch("grown_up", (Given("age", (ADULT_BAND,)),)),
        ),
    ),
    Screen(
        "their_age",
        "5",
        "region",
        fields=(
            Field(
                "their_age",
                "radios",
                why="a younger child is at more risk (R3: separate from the reporter's age)",
                who_uses="the person who assesses the risk",
                what_if_blank="asked again; 'not sure' is an answer",
                options=AGE_BANDS,
                required=True,
            ),
        ),
        branches=(Branch("grown_up", (Given("their_age", (ADULT_BAND,)),)),),
    ),
    Screen("grown_up", "5a", "region", shows=("police_not_urgent", "revenge_porn_helpline")),
    Screen(
        "region",
        "6",
        "kind",
        fields=(
            Field(
                "region",
                "radios",
                why="each part of the country has its own police and helplines",
                who_uses="the person who decides who is best placed to act (R18)",
                what_if_blank="asked again; 'not sure' is an answer",
                options=REGIONS,
                required=True,
            ),
        ),
        branches=(Branch("country", (Given("region", (NOT_UK,)),)),),
    ),
    Screen(
        "country",
        "6a",
        "abroad",
        fields=(
            Field(
                "country",
                "select",
                why="selects the police and the emergency number of that country (R24, R29)",
                who_uses="the person who decides which country's police to inform",
                what_if_blank="the next page lists international help",
                max_characters=SHORT,
            ),
            Field(
                "there_too",
                "radios",
                why="selects the number and the helpers of the place where the reader is",
                who_uses="the next pages, and the person who answers",
                what_if_blank="the reader counts as in the UK",
                options=(YES, NO),
                shown_if=(Given("who", ABOUT_OTHERS),),
            ),
        ),
    ),
    Screen("abroad", "6b", "kind", shows=("abroad",)),
)
