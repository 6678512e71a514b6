"""A desk and a gateway that know each other, copied from a model that is made once in a process."""

from pathlib import Path

import requests

from gateway.app import make_app
from gateway.config import StateFolder, load_config, utc_now
from gateway.desk.office.wiring import open_desk
from gateway.store.store import move_store
from gateway.testing.transport import WsgiTransport
from gateway.wiring import make_gateway
from tests.builders import StillClock
from tests.builders.made_once import making_once
from tests.desk.desk_loop import FEED_ORIGIN, Loop, make_loop
from tests.desk.made_models import copy_model, hold_open, move_to_server, name_server


def copy_loop(folder: Path, *, is_enrolled: bool = True, desk_uri: str = "", gateway_uri: str = "") -> Loop:
    """Put both state folders of a model into `folder`, and open them as new processes do.

    The rows of each go to a database of a server, if its address is given.
    """
    copy_model(("loop", is_enrolled), lambda model: _fill_loop(model, is_enrolled=is_enrolled), into=folder)
    move_to_server(folder / "desk", desk_uri)
    if gateway_uri:
        state = StateFolder(folder / "gateway")
        move_store(state.database, lock_path=state.lock, uri=gateway_uri)
        state.database.unlink()
        name_server(state.config, gateway_uri)
    loop = open_loop(folder)
    hold_open(loop.desk.store)
    return loop


def copy_loop_of_now(folder: Path) -> Loop:
    """Put a loop into `folder` whose clock shows the time of this machine: commands have no other clock."""
    loop = copy_loop(folder, is_enrolled=False)
    loop.clock.now = utc_now()
    loop.publish()
    return loop


def open_loop(folder: Path) -> Loop:
    """Open the state folders of a desk and a gateway as new processes do."""
    clock, state = StillClock(), folder / "gateway"
    gateway = make_gateway(load_config(state), state=state, clock=clock)
    with making_once(("feed",)):
        feed_app = make_app(gateway.config, ("feed",), state=state, gateway=gateway)
    transport = WsgiTransport(feed_app, https=False)
    session = requests.Session()
    session.mount(FEED_ORIGIN, transport)
    desk = open_desk(folder / "desk", clock=clock, session=session)
    return Loop(folder, desk, gateway, feed_app, transport, clock)


def _fill_loop(folder: Path, *, is_enrolled: bool) -> None:
    """Make desk and gateway with the bootstrap of WIRE.md §5.6."""
    loop = make_loop(folder)
    if is_enrolled:
        loop.enrol()
    close_loop(loop)


def close_loop(loop: Loop) -> None:
    """Let go of both databases."""
    loop.gateway.store.close()
    loop.desk.store.close()
