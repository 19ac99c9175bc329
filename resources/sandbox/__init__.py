"""A local Data API: signed, seeded, faults on request; no code in common with the client it is there to test.

with SandboxServer(World.of([{"operation_id": "1"}], now="2024-03-01")) as sandbox:
    ...  # sandbox.url, DEMO_TOKEN, DEMO_SECRET
"""

from resources.sandbox.api import Behaviour
from resources.sandbox.documents import Balance, Document, Fraud
from resources.sandbox.faults import Fault, Faults
from resources.sandbox.operations import Query
from resources.sandbox.requests import DEMO_SECRET, DEMO_TOKEN, Account
from resources.sandbox.server import SandboxProcess, SandboxServer, sandbox_process
from resources.sandbox.world import World

__all__ = [
    "DEMO_SECRET",
    "DEMO_TOKEN",
    "Account",
    "Balance",
    "Behaviour",
    "Document",
    "Fault",
    "Faults",
    "Fraud",
    "Query",
    "SandboxProcess",
    "SandboxServer",
    "World",
    "sandbox_process",
]
