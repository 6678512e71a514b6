"""Files that the service keeps or hands over as evidence. A report never carries a file: it describes it."""

from typing import Annotated, Literal

import msgspec

from partner_sdk.report.values import (
    NCMEC,
    UK,
    Address,
    Count,
    Moment,
    NotHeld,
    Port,
    Short,
    Text,
    YesNoUnknown,
    may,
    must,
    should,
)

HashType = Literal["md5", "sha1", "sha256", "pdq", "tmk", "photodna", "other"]
FileTag = Literal[
    "drawing_or_virtual",
    "meme",
    "viral",
    "self_produced",
    "physical_harm",
    "gore",
    "bestiality",
    "live",
    "infant",
    "ai_generated",
]
Relevance = Literal["reported", "supplemental"]
IndustryClass = Literal["A1", "A2", "B1", "B2"]


class FileHash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One hash of the plain file."""

    type: Annotated[HashType, must("Kind of hash.", UK, NCMEC)]
    value: Annotated[Short, must("The hash, in hexadecimal or as its kind spells it.", UK, NCMEC)]


class ReportedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that the service keeps or hands over as evidence; what opens the sealed copy is added at sealing."""

    file_id: Annotated[Short, must("Id of the file in this report.")]
    relevance: Annotated[Relevance, must("Reported itself, or beside it.", NCMEC)]
    viewed_by_staff: Annotated[bool, must("Whether a person of the service viewed it.", NCMEC)]
    exif_viewed_by_staff: Annotated[bool, must("Whether they viewed its EXIF data.", NCMEC)]
    copy_kept_until: Annotated[Moment | None, must("Until when a copy is kept, null for none.", UK)]
    name: Annotated[Short | NotHeld | None, should("Name as it was uploaded.", NCMEC)] = None
    size_bytes: Annotated[Count | NotHeld | None, should("Size in bytes.")] = None
    media_type: Annotated[Short | NotHeld | None, should("Media type, like image/png.")] = None
    hashes: Annotated[tuple[FileHash, ...] | NotHeld, should("Hashes of the plain file.", UK, NCMEC)] = ()
    uploaded_at: Annotated[Moment | NotHeld | None, should("When it was uploaded.", UK, NCMEC)] = None
    upload_ip: Annotated[Short | NotHeld | None, should("IP address of the upload.", UK, NCMEC)] = None
    upload_port: Annotated[Port | NotHeld | None, should("Source port of the upload.", UK, NCMEC)] = None
    upload_device: Annotated[Short | NotHeld | None, should("Device of the upload.", UK, NCMEC)] = None
    url: Annotated[Address | NotHeld | None, should("Where it is or was.", UK, NCMEC)] = None
    is_public: Annotated[YesNoUnknown | NotHeld | None, should("Whether everyone could see it.", NCMEC)] = None
    exif: Annotated[Text | NotHeld | None, may("EXIF data, as text.", UK, NCMEC)] = None
    tags: Annotated[tuple[FileTag, ...] | NotHeld, may("What kind of file it is.", NCMEC)] = ()
    industry_class: Annotated[
        IndustryClass | NotHeld | None, may("Class of the industry scheme, for its members.", NCMEC)
    ] = None
    hash_list: Annotated[Short | NotHeld | None, may("The list of known hashes that it is on.")] = None
