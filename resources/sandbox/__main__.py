"""`python -m resources.sandbox`: serves a generated world until it is stopped."""

import argparse
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import get_args, get_type_hints

from resources.sandbox import SandboxServer
from resources.sandbox.api import DEMO_SECRET, DEMO_TOKEN, Behaviour
from resources.sandbox.faults import Faults
from resources.sandbox.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a generated world until stopped; print one line of JSON once it is ready."""
    options = _parser().parse_args(arguments)
    end = options.end or datetime.now(UTC).date()
    first = end - timedelta(days=options.days - 1)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.with_parent:
        threading.Thread(target=_wait_for_parent, args=(ended,), daemon=True).start()
    gc.disable()  # it would go over the world's growing millions again and again, and find nothing
    server = _server(options, first)
    if options.warm:
        server.api.warm()
    gc.freeze()  # the world stays
    gc.enable()
    with server:
        ready = {
            "url": server.url,
            "admin_url": server.admin_url,
            "token": DEMO_TOKEN,
            "secret": DEMO_SECRET,
            "projects": server.world.projects,
            "first_day": first.isoformat(),
            "last_day": end.isoformat(),
            "days": options.days,
            "operations": len(server.world),
        }
        print(json.dumps(ready), flush=True)  # noqa: T201  this line is what a caller waits for
        ended.wait()
    return 0


def _server(options: argparse.Namespace, first: date) -> SandboxServer:
    drawn = {name: getattr(options, name) for name in ("seed", "days", "operations", "now", "order", "fractions")}
    world = World.generate(start=first, **drawn)
    behaviour = Behaviour(**{one.name: getattr(options, one.name) for one in fields(Behaviour)})
    faults = Faults.parse(options.faults, options.seed)
    return SandboxServer(world, faults=faults, behaviour=behaviour, port=options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ecommpay-sync sandbox", description="A local Data API with made-up data.")
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    add("--seed", type=int, default=1, help="the same seed draws the same world")
    add("--operations", type=int, default=20_000, help="how many operations there are")
    add("--days", type=int, default=31, help="over how many days they are spread")
    add("--end", type=date.fromisoformat, help="the last of these days (default: today, UTC)")
    add("--now", help="a fixed time of the world's clock (default: the real clock)")
    add("--order", choices=["newest", "oldest", "shuffled"], default="newest", help="order of the operations")
    add("--fractions", action="store_true", help="keep fractions of a second, and show whole ones")
    add("--faults", default="", help="name=chance[:number],... such as http_500=0.05,slow=0.1:2.5")
    add("--warm", action="store_true", help="encode the rows at the start: so many pages a second from the first")
    add("--with-parent", action="store_true", help="end when standard input is closed")
    hints = get_type_hints(Behaviour, include_extras=True)
    for one in fields(Behaviour):
        flag, (kind, help_text) = "--" + one.name.replace("_", "-"), get_args(hints[one.name])
        if one.default is False:
            add(flag, action="store_true", help=help_text)
        else:
            choices = get_args(kind) or None
            add(flag, type=type(one.default), default=one.default, choices=choices, help=help_text)
    return parser


def _wait_for_parent(ended: threading.Event) -> None:
    # Not sys.stdin: a thread waiting inside its lock would trouble the interpreter's end.
    while os.read(0, 1024):
        pass
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
