"""A desk and a gateway that know each other, copied from a model that is made once in a process."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import requests

from gateway.app import make_app
from gateway.config import load_config
from gateway.desk.wiring import open_desk
from gateway.wiring import make_gateway
from tests.builders import StillClock
from tests.builders.made_once import making_once
from tests.desk.desk_loop import FEED_ORIGIN, Loop, make_loop
from tests.wsgi_transport import WsgiTransport


def copy_loop(folder: Path, *, is_enrolled: bool = True) -> Loop:
    """Put both state folders of a model into `folder`, and open them as new processes do."""
    for path in _get_model(is_enrolled=is_enrolled).iterdir():
        shutil.copytree(path, folder / path.name)
    clock, state = StillClock(), folder / "gateway"
    gateway = make_gateway(load_config(state), state=state, clock=clock)
    with making_once(("feed",)):
        feed_app = make_app(gateway.config, ("feed",), state=state, gateway=gateway)
    transport = WsgiTransport(feed_app, https=False)
    session = requests.Session()
    session.mount(FEED_ORIGIN, transport)
    desk = open_desk(folder / "desk", clock=clock, session=session)
    return Loop(folder, desk, gateway, feed_app, transport, clock)


@functools.cache
def _get_model(*, is_enrolled: bool) -> Path:
    """Make a model with the bootstrap of WIRE.md §5.6; its folder is gone when the process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    loop = make_loop(Path(folder.name))
    if is_enrolled:
        loop.enrol()
    # Without an open connection each database is whole in its one file.
    loop.gateway.store.close()
    loop.desk.store.close()
    return loop.folder
