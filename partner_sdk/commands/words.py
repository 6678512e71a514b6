"""The first words of `report-abuse-partner`, each with what the help says of it."""

from typing import Final

from partner_sdk.word_table import WordTable

# A new word is one line.
WORDS: Final = WordTable(
    room="partner_sdk.commands",
    files={
        "report": {"report": "submit reports and follow them"},
        "spool": {"spool": "what is sealed and waits for its receipt"},
        "evidence": {"evidence": "hand over files that belong to reports"},
        "receipts": {"receipt": "check and keep receipts"},
        "mailbox": {"inbox": "fetch, check, save and list the agency's messages", "digest": "show your newest digest"},
        "information_requests": {
            "requests": "list what the agency asks and by when; `requests show ID` shows one whole"
        },
        "keys": {"keys": "the keys of this partner"},
        "account": {"account": "what this partner registers of itself"},
        "button": {"button": "the Report Abuse button on your own pages"},
        "service": {"enrol": "answer the agency's invitation", "doctor": "say what is wrong and how to mend it"},
    },
)
