"""What the thank-you page advises: entries of the one advice library that fit the answers (R27).

Keeps the codes of entries only, so that the same page can be shown again in either language.
"""

from collections.abc import Sequence
from typing import Final

from gateway.guidance.advice import Audience, fill_sentences, list_fitting_advice
from gateway.public.door import PublicDoor
from gateway.public.journey import Answers, get_one, is_about_other
from gateway.public.wording.languages import DEFAULT_LANGUAGE, get_language
from partner_sdk.wire.public_codes import NOT_UK

UK_EMERGENCY: Final = "999"  # the one number that stands in the library's words
MOST_SPECIAL: Final = 2  # what fits the kind; more than that and nobody reads what holds for everyone
# The page says the first two in words of its own, larger; not to pay is said where somebody threatens.
LEFT_OUT: Final = frozenset(
    {
        *("not_your_fault", "tell_an_adult", "do_not_pay"),
        *("adult_not_their_fault", "adult_talk", "adult_do_not_pay"),
        *("friend_not_their_fault", "friend_talk", "self_talk"),
    }
)
# Report Remove is for who lives in the UK; the page about pictures names who helps in another country.
UK_ONLY: Final = frozenset({"nude_of_you", "friend_nude", "adult_nude_of_child"})
FIRST: Final = frozenset({"call_999_if_worse", "friend_call_999", "adult_call_999", "self_call_999"})


def list_advice_codes(door: PublicDoor, answers: Answers, *, audience: Audience) -> list[str]:
    """List the entries for these answers, danger first and then the most special; `audience` says who reads them."""
    library = door.advice[DEFAULT_LANGUAGE]
    general = sum(one.is_general for one in library.advice if one.is_for(audience))
    found = list_fitting_advice(
        library,
        kinds=answers.get("kinds", ()),
        age_band=get_one(answers, "their_age" if is_about_other(answers) else "age"),
        audience=audience,
        limit=general + MOST_SPECIAL,
    )
    left_out = LEFT_OUT | UK_ONLY if get_one(answers, "region") == NOT_UK else LEFT_OUT
    codes = [advice.code for advice in found if advice.code not in left_out]
    return sorted(codes, key=lambda code: code not in FIRST)  # danger first; the rest as it stands


def say_advice(door: PublicDoor, codes: Sequence[str], *, emergency: str) -> list[str]:
    """Say the entries in the language of this request, each as one text; `emergency` is the reader's number."""
    library = {advice.code: advice for advice in door.advice[get_language()].advice}
    names = {key: post.say_name(get_language()) for key, post in door.signposts.items()}
    texts = [" ".join(fill_sentences(library[code], names=names)) for code in codes if code in library]
    return [text.replace(UK_EMERGENCY, emergency) for text in texts]
