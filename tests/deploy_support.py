"""What the tests of the deployment share: where its files are, and a free port."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from support import ROOT

BIN = Path(sys.executable).parent
DEPLOY = ROOT / "deploy"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
