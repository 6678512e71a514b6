"""Makes msgspec look at every type of message once, in one thread, before several threads read messages.

msgspec 0.22 works out how to read a `Struct` when it is first read, and crashes the process when threads do that for
one type at the same moment (a segmentation fault, seen on CPython 3.11).
"""

from collections.abc import Iterator
from contextlib import suppress

import msgspec


def prepare_types() -> int:
    """Prepare every `Struct` that is loaded now, and return how many; call it before the first thread.

    A type that is loaded later is not prepared: import what will be read first. Costs some milliseconds.
    """
    prepared = 0
    for kind in set(_list_kinds(msgspec.Struct)):
        with suppress(TypeError):  # a generic type without its arguments is never read as such
            msgspec.json.Decoder(kind)
            prepared += 1
    return prepared


def _list_kinds(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for child in kind.__subclasses__():
        yield child
        yield from _list_kinds(child)
