"""A local Data API: signed, seeded, faults on request; no code in common with the client it is there to test.

with SandboxServer(World.of([{"operation_id": "1"}], now="2024-03-01")) as sandbox:
    ...  # sandbox.url, DEMO_TOKEN, DEMO_SECRET
"""

from resources.sandbox.accounts import DEMO_SECRET, DEMO_TOKEN, Account
from resources.sandbox.api import Behaviour
from resources.sandbox.balances import Balance
from resources.sandbox.faults import Fault, Faults
from resources.sandbox.frauds import Fraud
from resources.sandbox.process import SandboxProcess, sandbox_process
from resources.sandbox.queries import Query
from resources.sandbox.server import SandboxServer
from resources.sandbox.world import World

__all__ = [
    "DEMO_SECRET",
    "DEMO_TOKEN",
    "Account",
    "Balance",
    "Behaviour",
    "Fault",
    "Faults",
    "Fraud",
    "Query",
    "SandboxProcess",
    "SandboxServer",
    "World",
    "sandbox_process",
]
