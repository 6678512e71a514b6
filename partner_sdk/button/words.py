"""The words of the button in each language: the sentence beside it, what it shows, and its accessible name.

One list for the snippet, the checker and the element: nobody words it anew (R35). The sentence says what the button is
for, whose it is, that people who do this are found (R39), and 999. It is read by the reading-age test of the form.
"""

from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["en", "cy"]


@dataclass(frozen=True, slots=True)
class ButtonWords:
    """What stands there in one language. `label` begins with `text`: who speaks to the machine says what they see."""

    sentence: str
    text: str
    label: str


WORDS: Final[dict[Language, ButtonWords]] = {
    "en": ButtonWords(
        sentence="Has someone online scared you, or done something sexual? Tell the police team who keep children "
        "safe. They find people who do this. In danger now? Call 999.",
        text="Report Abuse",
        label="Report Abuse to the police (opens their site)",
    ),
    "cy": ButtonWords(
        sentence="Oes rhywun ar-lein wedi codi ofn arnat ti, neu wedi gwneud rhywbeth rhywiol? Dwed wrth y tîm heddlu "
        "sy'n cadw plant yn ddiogel. Maen nhw'n dod o hyd i bobl sy'n gwneud hyn. Mewn perygl nawr? Ffonia 999.",
        text="Riportio Camdriniaeth",
        label="Riportio Camdriniaeth i'r heddlu (ar eu safle)",
    ),
}
