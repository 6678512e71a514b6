"""A whole agency for partners' own tests: the real gateway and the real desk in one process. NOT A REPORT, ever.

    from gateway.testing import Sandbox

    with Sandbox() as sandbox:
        partner = sandbox.enrol(Path("partner"))

Never loaded by a gateway that serves: only `report-abuse-gateway sandbox` imports it (docs/decisions/0034). Names load
when they are first used (PEP 562), so that a test run without a sandbox does not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {"Sandbox": "sandbox", "SandboxEntry": "agency", "SandboxReport": "agency"}

__all__ = ["Sandbox", "SandboxEntry", "SandboxReport", "scenarios"]

if TYPE_CHECKING:
    from gateway.testing import scenarios as scenarios
    from gateway.testing.agency import SandboxEntry, SandboxReport
    from gateway.testing.sandbox import Sandbox as Sandbox


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gateway.testing' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
