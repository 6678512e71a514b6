"""NCMEC's words for ours: the fixed values of the CyberTipline schema.

Facts from the public technical documentation of the CyberTipline Reporting API and from public code that follows it
(github.com/Nachtalb/ncmec-cybertip, github.com/roostorg/coop), checked on 2026-11-25. The schema itself is at
https://report.cybertip.org/ispws/xsd, which asks for credentials: a service validates against it before it sends.
"""

from typing import Final

ENTICEMENT: Final = "Online Enticement of Children for Sexual Acts"
IMAGERY: Final = "Child Pornography (possession, manufacture, and distribution)"

INCIDENT_TYPES: Final = (
    IMAGERY,
    "Child Sex Trafficking",
    "Child Sex Tourism",
    "Child Sexual Molestation",
    "Misleading Domain Name",
    "Misleading Words or Digital Images on the Internet",
    ENTICEMENT,
    "Unsolicited Obscene Material Sent to a Child",
)
# By our category; the sub-label of made or shared images decides before it. Risky behaviour alone is no kind of theirs.
TYPE_OF_SUB_LABEL: Final = {"self_generated_images": IMAGERY, "ai_generated": IMAGERY}
TYPE_OF_CATEGORY: Final = {
    "meet_offline": ENTICEMENT,
    "grooming": ENTICEMENT,
    "coercion_blackmail": ENTICEMENT,
    "sexual_talk": ENTICEMENT,
    "sexual_acts_live": ENTICEMENT,
}

# In the order of the schema.
ANNOTATIONS: Final = (
    ("sextortion", "sextortion"),
    ("csamSolicitation", "solicitation"),
    ("minorToMinorInteraction", "minor_to_minor"),
    ("spam", "spam"),
    ("sadisticOnlineExploitation", "sadistic_exploitation"),
)
TAG_OF_SUB_LABEL: Final = {
    "sextortion": "sextortion",
    "child_to_child": "minor_to_minor",
    "sadistic_exploitation": "sadistic_exploitation",
}

EVENTS: Final = {
    "login": "Login",
    "registration": "Registration",
    "payment": "Purchase",
    "upload": "Upload",
    "message": "Other",
    "other": "Other",
}
DEVICE_EVENTS: Final = {name: name.capitalize() for name in ("login", "registration", "purchase", "upload", "other")}
EMAIL_TYPES: Final = {"recovery": "Recovery"}
PHONE_TYPES: Final = {"mobile": "Mobile", "home": "Home", "work": "Work", "recovery": "Recovery"}
ADDRESS_TYPES: Final = {"home": "Home", "billing": "Billing", "shipping": "Shipping"}
RELEVANCE: Final = {"reported": "Reported", "supplemental": "Supplemental Reported"}
HASH_TYPES: Final = {
    "md5": "MD5",
    "sha1": "SHA1",
    "sha256": "SHA256",
    "pdq": "PDQ",
    "tmk": "TMK",
    "photodna": "PhotoDNA",
}
# In the order of the schema.
FILE_ANNOTATIONS: Final = (
    ("animeDrawingVirtualHentai", "drawing_or_virtual"),
    ("potentialMeme", "meme"),
    ("viral", "viral"),
    ("possibleSelfProduction", "self_produced"),
    ("physicalHarm", "physical_harm"),
    ("violenceGore", "gore"),
    ("bestiality", "bestiality"),
    ("liveStreaming", "live"),
    ("infant", "infant"),
    ("generativeAi", "ai_generated"),
)
NOT_OF_SUPPLEMENTAL: Final = "meme"
