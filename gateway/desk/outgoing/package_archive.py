"""The archive of a package (docs/package.md), the mailbox message or stored body that carries it, and its sealed file.

Equal content, key and evidence give equal bytes, on every machine. The ZIP has one spelling: Python's `zipfile` writes
version numbers that differ between its releases. Facts are CASE/UCO 1.5 in JSON-LD, by hand: the mapping library adds
random ids, and here each is a UUIDv5 of the package and of the part. Evidence is read twice, once to compare it with
its report before a byte is written, and passes through in pieces: a file of 2 GiB takes no memory.

The manifest is signed with the draft and lies in the body, whose hash a second person signs. For a body without keys it
is sealed under a passphrase that goes by another way; `package_reader.py` opens that file.
"""

import hashlib
import io
import struct
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.desk.cases.actions.model import ActionWay
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.package_content import (
    MAX_CONTENT_BYTES,
    Account,
    EvidenceItem,
    Line,
    PackageContent,
    PackageError,
    Person,
    SourceReport,
    check_content,
    name_evidence,
    name_original,
    name_report,
    redact,
    render_html,
    render_pdf,
)
from partner_sdk.errors import FormatError
from partner_sdk.reader.package_reader import (
    ALPHABET,
    HEADER,
    MAGIC,
    MAX_MANIFEST_BYTES,
    PASSPHRASE_SYMBOLS,
    SALT_BYTES,
    SIZE,
    TAG_BYTES,
    TEXT_BYTES,
    VERSION,
    Costs,
    count_text_bytes,
    derive_keys,
    make_nonce,
    normalise_passphrase,
)
from partner_sdk.reader.packages import MANIFEST_FILE, SIGNED_PACKAGE, PackageFile, PackageManifest
from partner_sdk.wire.canonical import encode, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.mailbox import MAX_ARCHIVE_BYTES, Package, encode_body, parse_body

# APPNOTE.TXT 6.3.10: §4.3.7 local header, §4.3.12 central header, §4.3.14 to §4.3.16 the ends, §4.5.3 ZIP64.
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_END: Final = struct.Struct("<4s4H2IH")
_PLAIN: Final = 20  # version 2.0 reads it
_ZIP64: Final = 45
_MOST: Final = 0xFFFFFFFF
_DATE: Final = 0x0021  # 1 January 1980, the first day that the format knows

Open = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive; `open` yields exactly `size_bytes` bytes with this CRC-32."""

    name: str
    size_bytes: int
    crc32: int
    open: Open


def write_zip(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Yield the archive with the files in their order."""
    offset, offsets = 0, []
    for entry in entries:
        offsets.append(offset)
        head = _make_local(entry)
        yield head
        yield from entry.open()
        offset += len(head) + entry.size_bytes
    central = b"".join(_make_central(entry, at) for entry, at in zip(entries, offsets, strict=True))
    yield central + _make_end(len(entries), offset=offset, size=len(central))


def count_zip_bytes(entries: Sequence[Entry]) -> int:
    """Return the size of the archive without reading a file."""
    offset, central = 0, 0
    for entry in entries:
        central += len(_make_central(entry, offset))
        offset += len(_make_local(entry)) + entry.size_bytes
    return offset + central + len(_make_end(len(entries), offset=offset, size=central))


def _make_local(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    is_large = entry.size_bytes >= _MOST
    size = _MOST if is_large else entry.size_bytes
    extra = struct.pack("<2H2Q", 1, 16, entry.size_bytes, entry.size_bytes) if is_large else b""
    version = _ZIP64 if is_large else _PLAIN
    fields = (version, 0, 0, 0, _DATE, entry.crc32, size, size, len(name), len(extra))
    return _LOCAL.pack(b"PK\3\4", *fields) + name + extra


def _make_central(entry: Entry, offset: int) -> bytes:
    name = entry.name.encode("ascii")
    large = [*([entry.size_bytes] * 2 if entry.size_bytes >= _MOST else []), *([offset] if offset >= _MOST else [])]
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = _ZIP64 if large else _PLAIN
    size = min(entry.size_bytes, _MOST)
    fields = (version, version, 0, 0, 0, _DATE, entry.crc32, size, size, len(name), len(extra), 0, 0, 0, 0)
    return _CENTRAL.pack(b"PK\1\2", *fields, min(offset, _MOST)) + name + extra


def _make_end(count: int, *, offset: int, size: int) -> bytes:
    end = _END.pack(b"PK\5\6", 0, 0, count, count, min(size, _MOST), min(offset, _MOST), 0)
    if offset < _MOST:
        return end
    end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _ZIP64, _ZIP64, 0, 0, count, count, size, offset)
    return end64 + _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1) + end


Node = dict[str, Any]
_UCO: Final = "https://ontology.unifiedcyberontology.org/uco"
_CONTEXT: Final = {
    "core": f"{_UCO}/core/",
    "identity": f"{_UCO}/identity/",
    "investigation": "https://ontology.caseontology.org/case/investigation/",
    "marking": f"{_UCO}/marking/",
    "observable": f"{_UCO}/observable/",
    "role": f"{_UCO}/role/",
    "types": f"{_UCO}/types/",
    "victim": f"{_UCO}/victim/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_ROLES: Final = {"child": "victim:Victim", "suspected": "investigation:Subject", "other": "role:Role"}


def make_case_data(content: PackageContent) -> bytes:
    """Return the JSON-LD of a content that was redacted, as canonical JSON."""
    return encode({"@context": _CONTEXT, "@graph": _Graph(content).list_nodes()})


class _Graph:
    """The nodes of one package; each knows the ids of the others."""

    def __init__(self, content: PackageContent) -> None:
        self.content = content
        self.space = uuid.UUID(content.package_id)

    def list_nodes(self) -> list[Node]:
        content = self.content
        parts = [node for person in content.people for node in self.make_person(person)]
        parts += [node for account in content.accounts for node in self.make_account(account)]
        parts += [self.make_file(item) for item in content.evidence]
        parts += [self.make_report(report) for report in content.reports]
        parts += [self.make_note("summary", "Summary", f"{content.title}\n{content.summary}")]
        if content.assessment:
            parts.append(self.make_note("assessment", "Assessment", _join(content.assessment)))
        laws = [self.make_law(place) for place in range(len(content.legal))]
        markings = [self.make_marking()]
        bodies = [
            self.make("issuer", "identity:Organization", core_name=content.issuer),
            self.make("recipient", "identity:Organization", core_name=content.recipient),
        ]
        return [self.make_investigation([*parts, *markings, *bodies], laws=laws), *laws, *parts, *markings, *bodies]

    def name(self, part: str) -> Node:
        """Return the reference to a part, e.g. `p1` or `p1 name`."""
        return {"@id": f"urn:uuid:{uuid.uuid5(self.space, part)}"}

    def make(self, part: str, kind: str, **fields: Any) -> Node:
        """Return a node; `core_name` is the property `core:name`."""
        return {**self.name(part), "@type": kind, **{name.replace("_", ":", 1): one for name, one in fields.items()}}

    def make_investigation(self, parts: list[Node], *, laws: list[Node]) -> Node:
        content = self.content
        return self.make(
            "investigation",
            "investigation:Investigation",
            core_name=f"Package {content.reference}",
            core_description=content.title,
            core_object=[{"@id": one["@id"]} for one in parts],
            core_createdBy=self.name("issuer"),
            core_objectCreatedTime=_make_time(content.issued_at),
            core_objectMarking=self.name("marking"),
            investigation_focus="Online child sexual exploitation",
            investigation_investigationForm="case",
            investigation_relevantAuthorization=[{"@id": one["@id"]} for one in laws],
        )

    def make_person(self, person: Person) -> list[Node]:
        facets = (
            [self.make(f"{person.key} name", "identity:SimpleNameFacet", identity_familyName=person.name)]
            if person.name
            else []
        )
        role = self.make(f"{person.key} role", _ROLES[person.role], core_name=person.title)
        return [
            self.make(
                person.key,
                "identity:Person",
                core_name=person.name or person.title,
                **({"core_description": _join(person.lines)} if person.lines else {}),
                **({"core_hasFacet": facets} if facets else {}),
            ),
            role,
            self.relate(f"{person.key} has", person.key, f"{person.key} role", "Has_Role"),
        ]

    def make_account(self, account: Account) -> list[Node]:
        facet = f"{account.key} facet"
        match account.kind:
            case "email":
                shown = self.make(facet, "observable:EmailAddressFacet", observable_addressValue=account.value)
            case "phone":
                shown = self.make(facet, "observable:PhoneAccountFacet", observable_phoneNumber=account.value)
            case "profile_url":
                shown = self.make(facet, "observable:URLFacet", observable_fullValue=account.value)
            case "ip":
                version = "6" if ":" in account.value else "4"
                shown = self.make(facet, f"observable:IPv{version}AddressFacet", observable_addressValue=account.value)
            case "account_id" | "username":
                shown = self.make(facet, "observable:AccountFacet", observable_accountIdentifier=account.value)
        name = f"{account.value} ({account.service})" if account.service else account.value
        nodes = [self.make(account.key, "observable:ObservableObject", core_name=name, core_hasFacet=[shown])]
        if account.holder:
            nodes.append(self.relate(f"{account.key} of", account.key, account.holder, "Used_By"))
        return nodes

    def make_file(self, item: EvidenceItem) -> Node:
        facets = [
            self.make(
                f"{item.key} file",
                "observable:FileFacet",
                observable_fileName=item.name,
                observable_sizeInBytes=item.size_bytes,
            ),
            self.make(
                f"{item.key} data",
                "observable:ContentDataFacet",
                observable_hash=[self.make_hash(item.key, item.sha256)],
                **({"observable_mimeType": item.media_type} if item.media_type else {}),
            ),
        ]
        where = (
            f"In this archive: {name_evidence(item)}" if item.is_enclosed else f"Not enclosed. {item.held_by}".strip()
        )
        described = f"{item.description}\n{where}".strip()
        return self.make(
            item.key,
            "observable:ObservableObject",
            core_name=item.name,
            core_description=described,
            core_hasFacet=facets,
        )

    def make_report(self, report: SourceReport) -> Node:
        data = self.make(
            f"{report.key} data",
            "observable:ContentDataFacet",
            observable_hash=[self.make_hash(report.key, report.sealed_sha256)],
            observable_isEncrypted=True,
        )
        told = "\n\n".join(f"{section.title}\n{_join(section.lines)}" for section in report.sections)
        return self.make(
            report.key,
            "observable:ObservableObject",
            core_name=f"Report {report.reference}",
            core_description=f"Made by: {report.sender}\n\n{told}",
            core_objectCreatedTime=_make_time(report.received_at),
            core_hasFacet=[data],
        )

    def make_note(self, part: str, title: str, text: str) -> Node:
        return self.make(
            part,
            "core:Annotation",
            core_name=title,
            core_statement=text,
            core_object=[self.name(report.key) for report in self.content.reports],
        )

    def make_law(self, place: int) -> Node:
        ground = self.content.legal[place]
        return self.make(
            f"law {place}",
            "investigation:Authorization",
            core_name=ground.title,
            core_description=f"{ground.say}\n{ground.reason}",
            investigation_authorizationType="Legal basis of a disclosure",
            investigation_authorizationIdentifier=ground.law,
        )

    def make_marking(self) -> Node:
        said = "\n".join((self.content.marking, *(one.say for one in self.content.handling)))
        statement = self.make(
            "marking text", "marking:StatementMarking", marking_definitionType="statement", marking_statement=said
        )
        return self.make(
            "marking", "marking:MarkingDefinition", marking_definitionType="statement", marking_definition=[statement]
        )

    def make_hash(self, part: str, sha256: str) -> Node:
        value = {"@type": "xsd:hexBinary", "@value": sha256.upper()}
        return self.make(f"{part} hash", "types:Hash", types_hashMethod="SHA256", types_hashValue=value)

    def relate(self, part: str, source: str, target: str, kind: str) -> Node:
        return self.make(
            part,
            "core:Relationship",
            core_source=self.name(source),
            core_target=self.name(target),
            core_kindOfRelationship=kind,
            core_isDirectional=True,
        )


def _make_time(text: str) -> Node:
    return {"@type": "xsd:dateTime", "@value": text}


def _join(lines: tuple[Line, ...]) -> str:
    return "\n".join(f"{line.label}: {line.text}" for line in lines)


Sign = Callable[[PackageManifest], bytes]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is ready to be written; `manifest` is its signed manifest."""

    manifest: bytes
    entries: tuple[Entry, ...]

    @property
    def size_bytes(self) -> int:
        """The size, known before it is written."""
        return count_zip_bytes(self.entries)

    def stream(self) -> Iterator[bytes]:
        """Yield the bytes. Raises `PackageError`."""
        return write_zip(self.entries)


def make_archive(content: PackageContent, *, sign: Sign, evidence: Mapping[str, Open] | None = None) -> Archive:
    """Return the archive of a content; `evidence` opens the enclosed items by their keys.

    `sign` is the vault's, e.g. `desk.load_signer().sign`. Raises `PackageError`.
    """
    check_content(content)
    leaving = redact(content)
    files = [
        ("page.html", render_html(leaving)),
        ("page.pdf", render_pdf(leaving)),
        ("case.jsonld", make_case_data(leaving)),
        *((name_report(report), encode(_without_original(report))) for report in leaving.reports),
        *((name_original(report), report.original.encode()) for report in leaving.reports if report.original),
    ]
    listed = [_make_file(name, (body,)) for name, body in files]
    listed += [_check_evidence(item, evidence or {}) for item in leaving.evidence if item.is_enclosed]
    listed.sort(key=lambda one: one[0].name)
    signed = sign(
        PackageManifest(
            environment=leaving.environment,
            files=tuple(one for one, _ in listed),
            issued_at=leaving.issued_at,
            package_id=leaving.package_id,
            recipient=leaving.recipient,
            reference=leaving.reference,
        )
    )
    _, manifest = _make_file(MANIFEST_FILE, (signed,))
    return Archive(signed, (manifest, *(entry for _, entry in listed)))


def build_archive(content: PackageContent, *, sign: Sign) -> bytes:
    """Return an archive without enclosed evidence."""
    return b"".join(make_archive(content, sign=sign).stream())


def _without_original(report: SourceReport) -> dict[str, object]:
    return {
        "received_at": report.received_at,
        "reference": report.reference,
        "sealed_sha256": report.sealed_sha256,
        "sections": [
            {"lines": [{"label": line.label, "text": line.text} for line in section.lines], "title": section.title}
            for section in report.sections
        ],
        "sender": report.sender,
    }


def _make_file(name: str, pieces: Sequence[bytes]) -> tuple[PackageFile, Entry]:
    digest, crc, size = _measure(pieces)
    return PackageFile(name=name, sha256=digest, size_bytes=size), Entry(name, size, crc, lambda: pieces)


def _check_evidence(item: EvidenceItem, evidence: Mapping[str, Open]) -> tuple[PackageFile, Entry]:
    if item.key not in evidence:
        raise PackageError(
            f"The file {item.key} is to be enclosed, and no stream of it was given.", reason="no-evidence"
        )
    open_item = evidence[item.key]
    digest, crc, size = _measure(open_item())
    if (digest, size) != (item.sha256, item.size_bytes):
        raise _make_changed(item)
    name = name_evidence(item)
    entry = Entry(name, size, crc, lambda: _read_again(item, open_item))
    return PackageFile(name=name, sha256=digest, size_bytes=size), entry


def _read_again(item: EvidenceItem, open_item: Open) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), item.size_bytes
    for piece in open_item():
        digest.update(piece)
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left or digest.hexdigest() != item.sha256:
        raise _make_changed(item)


def _make_changed(item: EvidenceItem) -> PackageError:
    return PackageError(f"The file {item.key} is not the one that the package lists.", reason="evidence-changed")


def _measure(pieces: Iterable[bytes]) -> tuple[str, int, int]:
    digest, crc, size = hashlib.sha256(), 0, 0
    for piece in pieces:
        digest.update(piece)
        crc = zlib.crc32(piece, crc)
        size += len(piece)
    return digest.hexdigest(), crc, size


PAGE_FILE: Final = "page.html"


class PackedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an action that goes as a file or letter: its content, and the signed manifest of its archive."""

    content: PackageContent
    manifest: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed draft: its way, the body of its action, and the signed manifest."""

    way: ActionWay
    body: bytes
    manifest: bytes


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A stored package: its signed manifest, the page that the receiving officer reads, and its content if it has one.

    The content of one for a mailbox is in its archive.
    """

    manifest: bytes
    page: bytes
    content: PackageContent | None


def pack(desk: Desk, content: PackageContent, *, way: ActionWay, openers: Mapping[str, Open]) -> Packed:
    """Pack a content; one that is too large for a mailbox becomes a sealed file.

    Raises `PackageError`, `OpeningError` for a file that does not open, `VaultError`.
    """
    archive = make_archive(content, sign=desk.load_signer().sign, evidence=openers)
    if way != "mailbox" or archive.size_bytes > MAX_ARCHIVE_BYTES:
        body = encode(PackedFile(content=content, manifest=to_base64url(archive.manifest)))
        return Packed("sealed-file" if way == "mailbox" else way, body, archive.manifest)
    raw = b"".join(archive.stream())
    digest = hashlib.sha256(raw).hexdigest()
    message = Package(archive=to_base64url(raw), archive_sha256=digest, title=content.title, urgent=content.is_urgent)
    return Packed(way, encode_body(message), archive.manifest)


def unpack(way: ActionWay, body: bytes) -> Unpacked:
    """Return the parts of a stored body. Raises `FormatError`."""
    if way == "mailbox":
        try:
            with zipfile.ZipFile(io.BytesIO(parse_body(body, body=Package).read_archive())) as archive:
                return Unpacked(archive.read(MANIFEST_FILE), archive.read(PAGE_FILE), None)
        except zipfile.BadZipFile:
            raise FormatError("The archive is no ZIP file.", reason="malformed") from None
    packed = parse_exact(body, kind=PackedFile, max_bytes=MAX_CONTENT_BYTES)
    check_content(packed.content)
    manifest = parse_base64url(packed.manifest, max_bytes=MAX_MANIFEST_BYTES)
    return Unpacked(manifest, render_html(packed.content), packed.content)


def pack_again(unpacked: Unpacked, *, openers: Mapping[str, Open]) -> Archive:
    """Return the archive of a stored package, to be written: byte for byte the one that was signed.

    It keeps that signature, because the key may have been rotated since. Raises `PackageError`.
    """
    if unpacked.content is None:
        raise PackageError("This package is for a mailbox.", reason="changed")
    signed = unpacked.manifest

    def keep_signature(manifest: PackageManifest) -> bytes:
        if SIGNED_PACKAGE.peek(signed) != manifest:
            raise PackageError("The archive is not the one that was signed. Make a new package.", reason="changed")
        return signed

    return make_archive(unpacked.content, sign=keep_signature, evidence=openers)


PASSPHRASE_RANDOM_BYTES: Final = 13
_GROUP: Final = 5
_BITS: Final = 5
COSTS: Final = Costs()


def make_passphrase(*, random: bytes) -> str:
    """Return a passphrase like `K7QF2-M9TXD-4BWRZ-0ACH8` from 13 random bytes, of which it holds 100 bits."""
    if len(random) != PASSPHRASE_RANDOM_BYTES:
        raise FormatError("A passphrase takes 13 random bytes.", reason="wrong-length")
    number = int.from_bytes(random, "big")
    symbols = "".join(ALPHABET[number >> _BITS * place & (len(ALPHABET) - 1)] for place in range(PASSPHRASE_SYMBOLS))
    return "-".join(symbols[at : at + _GROUP] for at in range(0, PASSPHRASE_SYMBOLS, _GROUP))


def count_sealed_file_bytes(size_bytes: int) -> int:
    """Return the size of the sealed file of an archive."""
    text = count_text_bytes(size_bytes)
    return HEADER.size + text + -(-text // TEXT_BYTES) * TAG_BYTES


def seal_file(
    archive: Iterable[bytes], *, size_bytes: int, passphrase: str, salt: bytes, costs: Costs = COSTS
) -> Iterator[bytes]:
    """Yield the sealed file of an archive that comes in pieces; `salt` is 16 random bytes, new for each file."""
    if len(salt) != SALT_BYTES:
        raise FormatError("A salt has 16 bytes.", reason="wrong-length")
    key, check = derive_keys(normalise_passphrase(passphrase), salt=salt, costs=costs)
    left = count_text_bytes(size_bytes)
    header = HEADER.pack(MAGIC, VERSION, costs.lanes, costs.passes, costs.memory_kib, left, salt, check)
    yield header
    cipher = AESGCM(key)
    for counter, text in enumerate(_cut(_lay_out(archive, size_bytes))):
        left -= len(text)
        yield cipher.encrypt(make_nonce(counter, is_last=left == 0), text, header)


def _lay_out(archive: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    yield SIZE.pack(size_bytes)
    size = 0
    for piece in archive:
        size += len(piece)
        if size <= size_bytes:
            yield piece
    if size != size_bytes:
        raise FormatError("The archive has another size than was stated.", reason="wrong-length")
    yield bytes(count_text_bytes(size_bytes) - SIZE.size - size_bytes)


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in texts of whole segments; the last may be shorter."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= TEXT_BYTES:
            yield bytes(waiting[:TEXT_BYTES])
            del waiting[:TEXT_BYTES]
    if waiting:
        yield bytes(waiting)
