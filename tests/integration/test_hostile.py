"""A hostile or broken server cannot exhaust the memory of the machine that asks it.

Each answer is received by a process of its own, whose peak of memory is measured.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import zlib
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resources.sandbox import DEMO_SECRET
from resources.sandbox.signing import sign

MIB = 1 << 20
MOST_GROWTH = 400 * MIB  # over what the imports take; a body is at most 32 MiB, its values at most 300,000

ASK = """
import sys
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.errors import SyncError
from fixtures.commands import client_of

def peak():
    with open("/proc/self/status") as status:  # getrusage would count the process that this one was forked from
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

before = peak()
policy = RetryPolicy(attempts=1)
with client_of(sys.argv[1], policy=policy) as client:
    try:
        print("answered", len(DataApi(client).balances().document["balance"]))
    except SyncError as error:
        print(type(error).__name__, str(error))
print(peak() - before)
"""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with suppress(OSError):  # the client hangs up
            self.server.answer(self)

    def begin(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(answer):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None
    server.answer = answer
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def asked(answer) -> tuple[str, int]:
    """What the client says of the answer, and by how many bytes its memory grew at most."""
    tests = Path(__file__).parents[1]
    with answering(answer) as url:
        ended = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tests)!r})\n{ASK}", url],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
    said, grown = ended.stdout.splitlines()
    return said, int(grown) * 1024


def whole(make, status: int = 200):
    """Answer with the body that `make` gives, made only when it is asked for."""

    def answer(handler):
        body = make()
        handler.begin(status, Content_Length=str(len(body)))
        handler.wfile.write(body)

    return answer


def endless(handler):
    """2 GB of blanks."""
    handler.begin()
    for _ in range(2048):
        handler.wfile.write(b" " * MIB)


def bomb(handler):
    """A few megabytes for 2 GB."""
    handler.begin(Content_Encoding="gzip")
    packer = zlib.compressobj(1, wbits=31)
    for _ in range(2048):
        handler.wfile.write(packer.compress(b" " * MIB) + packer.flush(zlib.Z_SYNC_FLUSH))


def twice_packed(handler):
    handler.begin(Content_Encoding="gzip, gzip")
    inner = gzip.compress(b" " * (64 * MIB), 1)
    handler.wfile.write(gzip.compress(inner * 200, 1))  # less than a megabyte for 12.5 GiB


def signed(document: dict) -> bytes:
    return json.dumps({**document, "signature": sign(document, DEMO_SECRET)}).encode()


HOSTILE = {
    "2 GB": (endless, "BodyTooLarge", "larger than 32 MiB"),
    "a gzip bomb": (bomb, "BodyTooLarge", "larger than 32 MiB"),
    "a gzip bomb in a gzip bomb": (twice_packed, "BrokenBody", "encoded in a way that was not asked for"),
    "a million keys": (
        whole(lambda: b'{"balance":[{' + b",".join(b'"%d":1' % n for n in range(1_000_000)) + b"}]}"),
        "BodyTooLarge",
        "more than 300,000 values",
    ),
    "16 million values": (whole(lambda: b'{"balance":[' + b"0," * (16 * MIB - 20) + b"0]}"), "BodyTooLarge", "values"),
    "nearly as many values as are read, badly signed": (
        whole(lambda: b'{"balance":[{' + b",".join(b'"%d":1' % n for n in range(299_990)) + b'}],"signature":"x"}'),
        "BadSignature",
        "does not carry the platform's signature",
    ),
    "10,000 levels": (
        whole(lambda: b'{"balance":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
        "BrokenBody",
        "nested too deeply",
    ),
    "30 MiB of four-byte characters": (
        whole(lambda: b'{"balance":["' + "😀".encode() * (30 * MIB // 4) + b'"]}'),
        "BadSignature",
        "does not carry",
    ),
    "a refusal of 30 MiB": (
        whole(lambda: b"[" + b"0," * (15 * MIB) + b"0]", 400),
        "BadRequest",
        "answered 400",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_page_is_gets_refused_in_bounded_memory(name):
    answer, kind, message = HOSTILE[name]
    said, grown = asked(answer)
    print(f"{name}: {said[:150]} ({grown / MIB:.0f} MiB)")
    assert said.startswith(f"{kind} ")
    assert message in said
    assert len(said) < 800
    assert grown < MOST_GROWTH


def test_the_largest_page_that_there_is_passes_by_far():
    """1000 rows of 57 fields, each with commas in it."""
    row = {f"field_{number}": "some, text" for number in range(57)}
    said, grown = asked(whole(lambda: signed({"balance": [row] * 1000})))
    assert said == "answered 1000"
    assert grown < MOST_GROWTH
