"""The first screens: is it safe, is someone in danger, who is this about, how old, and where."""

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
                who_uses="the person who reads first, to put urgent reports on top",
                what_if_blank="asked again: it is the one question that cannot wait",
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
                why="says whether the police already know",
                who_uses="the person who reads first",
                what_if_blank="nothing: every button carries on",
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
                why="chooses the words, the help and the helpline, and decides who is owed an answer (R23, R26)",
                who_uses="the person who answers, and the person who assesses the risk",
                what_if_blank="asked again; rather not say counts as under 18, and no birthday is asked",
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
                who_uses="the person who reads, and the next pages, for their words",
                what_if_blank="the next pages speak to the person",
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
                why="a younger child is at more risk (R3: kept apart from the age of who reports)",
                who_uses="the person who assesses the risk",
                what_if_blank="asked again; not knowing is an answer",
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
                why="each part of the country has its own police and its own helpers",
                who_uses="the person who decides who is best placed to act (R18)",
                what_if_blank="asked again; not sure is an answer",
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
                why="names the police and the emergency number of that country (R24, R29)",
                who_uses="the person who decides which country's police to tell",
                what_if_blank="the next page names help for any country",
                max_characters=SHORT,
            ),
        ),
    ),
    Screen("abroad", "6b", "kind", shows=("abroad",)),
)
