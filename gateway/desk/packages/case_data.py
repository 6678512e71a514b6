"""The facts of a package as CASE/UCO 1.5 in JSON-LD, for the tools of police: people, accounts, files, laws, markings.

Written by hand and checked by `case-utils` in the tests: the mapping library adds random ids, and an archive has none.
Each id is a UUIDv5 of the package and of the part, so equal content gives equal bytes.
"""

import uuid
from typing import Any, Final

from gateway.desk.packages.content import (
    Account,
    EvidenceItem,
    Line,
    PackageContent,
    Person,
    SourceReport,
    name_evidence,
)
from partner_sdk.wire.canonical import encode

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
