"""Loads every file of the release that the desk works by, before it does anything else.

Never leaves a slip in one of them to be found in the night by the first report that needs it.
"""

from gateway.desk.cases.reply_templates import load_library
from gateway.desk.outbox.notes import load_note_words
from gateway.desk.signoffs import load_signoffs
from gateway.web.settings import SettingsError
from partner_sdk.wire.public_codes import LANGUAGES


def check_release() -> None:
    """Load notes, texts for replies with their advice, and sign-offs.

    Raises `SettingsError` naming the file and the key, and saying what to do.
    """
    try:
        load_note_words()
        load_signoffs()
        for language in LANGUAGES:
            load_library(language)
    except SettingsError as error:
        raise SettingsError(
            f"{error} The file is a part of the release: mend this key, or install the release again.",
            reason=error.reason,
        ) from None
