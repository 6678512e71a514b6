"""The words of the page for services: for adults at work, apart from the words that a child reads.

They have no reading age to keep, so they stand in files of their own, which no screen of the form can show.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from partner_sdk.wire.public_codes import LANGUAGES, Language

ServiceWords = Mapping[str, Any]

_FOLDER: Final = Path(__file__).parent / "for_services"


def load_service_words() -> Mapping[Language, ServiceWords]:
    """Load the page's words in every language; a file that is missing is an error at the start."""
    return {language: tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8")) for language in LANGUAGES}
