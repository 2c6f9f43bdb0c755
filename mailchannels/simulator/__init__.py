"""An in-memory server that answers as MailChannels Inbound and HybridBox do, for tests, trials and benchmarks.

It speaks real HTTP on the loopback interface and knows nothing of the rest of this package: it has its own spelling
of every key, so a key misspelt in the client cannot pass unnoticed here.
"""

try:
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ModuleNotFoundError as _error:
    _hint = 'mailchannels.simulator needs more: pip install "mailchannels-sdk[simulator]"'
    raise ModuleNotFoundError(_hint, name=_error.name) from None

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
