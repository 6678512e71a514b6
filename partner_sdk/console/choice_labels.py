"""Labels for the choices of a report, in the order in which a page offers them.

A label belongs to a field: `none` is "No action" of a service, and "None of these" of the kind of case.
"""

from collections.abc import Mapping
from typing import Final

Labels = Mapping[str, str]

_OTHER: Final = {"other": "Something else"}
_ACCOUNT_USES: Final = {"account": "The account's own", "recovery": "To recover the account", "billing": "For bills"}
_CHILD_TOOK_IT: Final = "A picture or film that a child took of themselves"

LABELS: Final[Mapping[str, Labels]] = {
    "category": {
        "meet_offline": "Asked to meet in person",
        "grooming": "Grooming: winning a child's trust to harm them",
        "coercion_blackmail": "Coercion or blackmail",
        "sexual_talk": "Sexual talk",
        "sexual_acts_live": "Sexual acts, live",
        "risk_behaviour": "Risky behaviour by a child",
    },
    "sub_label": {
        "sextortion": "Sextortion: blackmail with pictures",
        "livestream": "On a live stream",
        "sadistic_exploitation": "Sadistic exploitation: made to harm themselves or others",
        "self_generated_images": "Pictures that a child took of themselves",
        "child_to_child": "Between children",
        "off_platform_move": "Asked to go on in another app",
        "ai_generated": "Made with AI",
        "none": "None of these",
    },
    "sector": {
        "online": "Online service",
        "mobile": "Mobile network",
        "financial": "Financial service",
        "other": "Another sector",
    },
    "discovered_by": {
        "user_complaint": "A user complained",
        "moderator": "A moderator saw it",
        "employee": "Another employee saw it",
        "hash_match": "A match with a list of known files",
        "classifier": "A program that judges content",
        "external_tip": "A tip from outside",
        "other": "Another way",
    },
    "actions/action": {
        "content_removed": "Content removed",
        "account_limited": "Account limited",
        "account_suspended": "Account suspended",
        "account_closed": "Account closed",
        "none": "No action",
        **_OTHER,
    },
    "account_actions/action": {
        "limited": "Limited",
        "suspended": "Suspended",
        "closed": "Closed",
        "restored": "Restored",
        **_OTHER,
    },
    "medium": {
        "chat": "Chat",
        "voice_video": "Voice or video call",
        "live_stream": "Live stream",
        "game": "Game",
        "forum": "Forum",
        "web_page": "Web page",
        "email": "Email",
        "phone_sms": "Phone or text message",
        "payment": "Payment",
        "peer_to_peer": "File sharing between users",
        "ai_tool": "AI tool",
        "offline": "In person",
    },
    "incident/tags": {
        "sextortion": "Sextortion: blackmail with pictures",
        "solicitation": "A child was asked for sexual acts or pictures",
        "minor_to_minor": "Between children",
        "livestream": "On a live stream",
        "self_generated": _CHILD_TOOK_IT,
        "sadistic_exploitation": "Sadistic exploitation: made to harm themselves or others",
        "ai_generated": "Made with AI",
        "spam": "Sent to many, as spam",
    },
    "harm_signs": {
        "threat_to_life": "A life is in danger",
        "self_harm": "A child harms themselves, or may",
        "meeting_soon": "A meeting is planned soon",
        "ongoing_abuse": "The abuse is still going on",
        "lives_with_child": "The suspect lives with the child",
        "other": "Another sign",
    },
    "body": {
        "police": "Police",
        "child_protection": "Child protection",
        "hotline": "A hotline, such as the IWF",
        "ncmec": "NCMEC, in the United States",
        "other_agency": "Another agency",
    },
    "emails/use": {**_ACCOUNT_USES, "other": "Another use"},
    "phones/type": {
        "mobile": "Mobile",
        "home": "Home",
        "work": "Work",
        "recovery": "To recover the account",
        "other": "Another kind",
    },
    "addresses/use": {
        "home": "Home",
        "work": "Work",
        "school": "School",
        "billing": "For bills",
        "shipping": "For deliveries",
        "other": "Another use",
    },
    "logins/event": {
        "login": "Signed in",
        "registration": "Opened the account",
        "upload": "Uploaded a file",
        "message": "Sent a message",
        "payment": "Paid",
        **_OTHER,
    },
    "age_band": {
        "under_11": "Under 11",
        "11_12": "11 or 12",
        "13_15": "13 to 15",
        "16_17": "16 or 17",
        "under_18": "Under 18",
        "18_plus": "18 or older",
    },
    "age_basis": {
        "verified": "Verified by the service",
        "stated": "Stated by the person",
        "estimated": "Estimated by the service",
        "appearance": "Judged by how they look",
        "unknown": "Not known",
    },
    "part": {
        "complainant": "Person who complained",
        "witness": "Witness",
        "recipient": "Intended recipient",
        "other": "Another part",
    },
    "messages/type": {
        "text": "Text",
        "picture": "Picture",
        "video": "Film",
        "voice": "Voice message",
        "file": "File",
        "link": "Link",
        "call": "Call",
        "system": "Line of the service itself",
        **_OTHER,
    },
    "relevance": {"reported": "The file that is reported", "supplemental": "A file that helps to understand it"},
    "hashes/type": {
        "sha256": "SHA-256",
        "sha1": "SHA-1",
        "md5": "MD5",
        "pdq": "PDQ",
        "photodna": "PhotoDNA",
        "tmk": "TMK",
        "other": "Another kind",
    },
    "files/tags": {
        "infant": "A baby or a toddler",
        "physical_harm": "Physical harm",
        "gore": "Gore",
        "bestiality": "With an animal",
        "live": "From a live stream",
        "self_produced": _CHILD_TOOK_IT,
        "ai_generated": "Made with AI",
        "drawing_or_virtual": "A drawing, or made by a computer",
        "meme": "Sent as a joke (meme)",
        "viral": "Shared by many (viral)",
    },
    "industry_class": {"A1": "A1", "A2": "A2", "B1": "B1", "B2": "B2"},
    "not_held": {
        "none_exists": "We looked: there is none",
        "not_collected": "We do not collect it",
        "no_longer_kept": "We no longer keep it",
        "deleted_by_user": "The user deleted it",
        "not_applicable": "It does not apply here",
        "not_yet_known": "We do not know yet",
        "law_forbids": "The law forbids it",
        "unknown": "We cannot say",
    },
}


def find_labels(pattern: str) -> Labels | None:
    """Return the labels of the choices of a field by its place, e.g. `/suspects/phones/type`, or None."""
    name = pattern.rpartition("/")[2]
    return LABELS.get("/".join(pattern.split("/")[-2:])) or LABELS.get(name)
