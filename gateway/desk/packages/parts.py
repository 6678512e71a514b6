"""The parts that one report brings to a package, from a person or a partner."""

from dataclasses import dataclass

from gateway.desk.packages.content import Account, Line, Person, Section


@dataclass(frozen=True, slots=True)
class Parts:
    """People, accounts, sections and lines on safe contact from one report; keys are unique in the package."""

    people: tuple[Person, ...]
    accounts: tuple[Account, ...]
    sections: tuple[Section, ...]
    safe_contact: tuple[Line, ...] = ()
