"""The line of a Content-Security-Policy: the narrowest that is enough, in words that say what is not needed."""

import pytest

from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.snippet import make_policy
from partner_sdk.errors import FormatError
from tests.sdk.renew_button_release import ORIGIN


@pytest.mark.parametrize(
    ("form", "by", "line"),
    [
        ("script", "host", f"script-src {ORIGIN}/button/"),
        ("script", "hash", f"script-src '{SCRIPT_INTEGRITY}'"),
        ("link", "host", f"img-src {ORIGIN}/button/"),
    ],
)
def test_line_is_one_directive_with_one_source(form: str, by: str, line: str) -> None:
    policy = make_policy(ORIGIN, form=form, by=by)
    assert policy.line == line
    assert policy.why
    assert any(never.startswith("style-src") for never in policy.never)


def test_folder_of_the_line_holds_both_released_files() -> None:
    folder = make_policy(ORIGIN, form="script", by="host").source.removeprefix(ORIGIN)
    assert SCRIPT_PATH.startswith(folder)
    assert ICON_PATH.startswith(folder)
    assert folder.endswith("/")  # CSP: with a slash at its end a path stands for all that lies below


def test_each_form_says_that_it_does_not_need_what_the_other_needs() -> None:
    assert make_policy(ORIGIN, form="script", by="hash").never[0].startswith("img-src")
    assert make_policy(ORIGIN, form="link", by="host").never[0].startswith("script-src")


def test_form_without_a_script_is_not_told_of_one() -> None:
    said = " ".join(make_policy(ORIGIN, form="link", by="host").never[1:])
    assert "script" not in said
    assert "style-src" in said


def test_image_by_hash_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        make_policy(ORIGIN, form="link", by="hash")
    assert caught.value.reason == "bad-policy"


@pytest.mark.parametrize("origin", ["http://report.example", "https://report.example; default-src *", "*"])
def test_address_that_would_change_the_policy_is_refused(origin: str) -> None:
    with pytest.raises(FormatError) as caught:
        make_policy(origin, form="script", by="host")
    assert caught.value.reason == "bad-origin"
