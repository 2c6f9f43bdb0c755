"""An in-memory server that answers as MailChannels Inbound and HybridBox do, for tests, trials and benchmarks.

It speaks real HTTP on the loopback interface and knows nothing of the rest of this package: it has its own spelling
of every key, so a key misspelt in the client cannot pass unnoticed here.
"""

from .app import Traffic, create_app
from .faults import Fault, Faults
from .mailboxes import HybridBox, Mailbox
from .records import Customer, Domain, Subscription
from .server import Simulator, serve
from .state import State

__all__ = [
    "Customer",
    "Domain",
    "Fault",
    "Faults",
    "HybridBox",
    "Mailbox",
    "Simulator",
    "State",
    "Subscription",
    "Traffic",
    "create_app",
    "serve",
]
