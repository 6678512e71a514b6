"""Reads the memory of each gateway process from outside while a person writes, sends and comes back.

The plain way leaves the typed words and the return code there, so the search works; the form on the phone, and a page
that keeps the code, leave neither. Without CAP_SYS_PTRACE the test shows instead that no process of the gateway can be
read. It misses a marker that is overwritten between two searches.
"""

import base64
from collections.abc import Mapping
from typing import Final

import pytest
import requests

from gateway.demo.loop import ANSWERS, Loop
from gateway.demo.walks import read_page, read_replies, walk_to_thanks
from gateway.public.returning import derive_return_keys
from partner_sdk.wire.canonical import to_base64url
from tests.desk.vault.vault_process import find_in_memory, may_read_others
from tests.gateway.public.person import SHORT_ANSWERS, list_answers
from tests.whole.browser_walk import REFERENCE, SEND, fill_page, wait_until
from tests.whole.public_server import open_chromium
from tests.whole.senders import kill_gateway, members_of_the_gateway
from tests.whole.test_phone_interview import PATHS, SHOWN

# ASCII alone: escapes of JSON, HTML, addresses and MessagePack leave it as it is.
STORY: Final = "Marker7Story7Kingfisher"
NAME: Final = "Marker7Name7Heron"
LOOKED_AT: Final = ("Check what you wrote",)


def spell(text: str) -> dict[str, bytes]:
    """Return a text in the encodings in which a program may hold it, by their names."""
    raw = text.encode()
    spelt = {"bytes": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "reversed": raw[::-1]}
    spelt |= {code: text.encode(code) for code in ("utf-16-le", "utf-32-le")}  # texts of Python with wide characters
    for before in range(3):  # base64 of it after any number of other bytes: what its own bits alone decide
        whole = base64.b64encode(bytes(before) + raw)
        spelt[f"base64 behind {before}"] = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
    return spelt


def spell_each(texts: Mapping[str, str]) -> dict[str, bytes]:
    """Return each text in each encoding, by both names."""
    return {f"{name}, {code}": raw for name, text in texts.items() for code, raw in spell(text).items()}


def find_at_gateway(loop: Loop, texts: Mapping[str, str]) -> set[str]:
    """Return which of these texts are in the memory of a process of the gateway."""
    members = members_of_the_gateway(loop)
    assert len(members) >= 3  # the command, a server and its worker
    needles, found = spell_each(texts), set[str]()
    for pid in members:
        if may_read_others():
            found |= {name.partition(",")[0] for name in find_in_memory(pid, needles, is_own=True)}
        else:
            with pytest.raises(PermissionError):
                find_in_memory(pid, needles)
    return found


def spell_words(words: str) -> dict[str, str]:
    """Return the five words as they are shown, and as a form posts them."""
    return {"words": words, "posted words": words.replace(" ", "+")}


def return_by_token(loop: Loop, *, reference: str, token: bytes) -> str:
    """Ask for the sealed place as a page does that keeps the words; return the place."""
    with requests.Session() as browser:
        page = read_page(browser.get(f"{loop.origin}/16", timeout=20).text)
        headers = {"X-CSRFToken": dict(page.hidden)["csrf_token"], "Origin": loop.origin}
        body = {"reference": reference, "token": to_base64url(token)}
        answer = browser.post(f"{loop.origin}/16/sealed", json=body, headers=headers, timeout=20)
    assert answer.status_code == 200
    place: str = answer.json()["found"]["place"]
    return place


def test_search_finds_each_encoding() -> None:
    for before in range(3):
        held = base64.b64encode(b"xyz"[:before] + STORY.encode() + b"after")
        assert spell(STORY)[f"base64 behind {before}"] in held
        assert len(spell(STORY)[f"base64 behind {before}"]) >= 28


def test_plain_way_leaves_words_in_memory_and_a_return_by_token_leaves_none(loop: Loop) -> None:
    typed = {"story": STORY, "name": NAME}
    answers = {**ANSWERS, "story": (f"{STORY}.",), "name": (NAME,)}
    seen: dict[str, set[str]] = {}

    def look(heading: str) -> None:
        if heading in LOOKED_AT:
            seen[heading] = find_at_gateway(loop, typed)

    sent = walk_to_thanks(loop.origin, answers, on_page=look)
    if may_read_others():
        assert list(seen.values()) == [{"story", "name"}] * len(LOOKED_AT), "the search must find what is there"
        assert "words" in find_at_gateway(loop, spell_words(sent.words))

    # New processes have what is stored, and nothing of what was typed before.
    kill_gateway(loop)
    loop.start_gateway()
    kept = typed | spell_words(sent.words)
    assert find_at_gateway(loop, kept) == set()
    keys = derive_return_keys(sent.words, reference=sent.reference)
    place = return_by_token(loop, reference=sent.reference, token=keys.token)
    assert len(place) > 1000
    assert find_at_gateway(loop, kept) == set()

    read_replies(loop.origin, reference=sent.reference, words=sent.words)
    if may_read_others():
        assert find_at_gateway(loop, kept) >= {"posted words"}


def test_phone_leaves_no_word_in_memory_at_any_screen_at_send_or_on_return(loop: Loop) -> None:
    kill_gateway(loop)  # nothing of a test before this one
    loop.start_gateway()
    typed = {"story": STORY, "name": NAME}
    way = {**SHORT_ANSWERS, "/9": {"story": f"{STORY}."}, "/11": {"name": NAME}}
    seen: dict[str, set[str]] = {}
    with open_chromium() as chromium:
        page = chromium.new_page(viewport={"width": 320, "height": 640}, reduced_motion="reduce")
        page.goto(f"{loop.origin}/form")
        page.wait_for_load_state("networkidle")
        while (screen := page.evaluate(SHOWN)) != "check":
            button = fill_page(page, list_answers(PATHS[screen], way))
            seen[screen] = find_at_gateway(loop, typed)
            page.locator(button).first.click()
        assert [text for text in typed.values() if text not in page.locator("main").inner_text()] == []
        seen["check"] = find_at_gateway(loop, typed)
        page.locator(SEND).first.click()
        wait_until(page, f"{SHOWN} === 'thanks'")
        reference, words = page.locator(REFERENCE).all_inner_texts()
        kept = typed | spell_words(words)
        seen["thanks"] = find_at_gateway(loop, kept)
    keys = derive_return_keys(words, reference=reference)
    assert len(return_by_token(loop, reference=reference, token=keys.token)) > 1000
    seen["return"] = find_at_gateway(loop, kept)
    assert {"story", "name", "check", "thanks", "return"} <= set(seen)
    assert len(seen) >= 10
    assert {screen: found for screen, found in seen.items() if found} == {}
