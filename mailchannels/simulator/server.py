"""Running the application on a loopback socket: in a thread for tests, in the foreground for the command line.

It knows threads and signals, and nothing of the API; the server itself stands in `listening.py`.
"""

import gc
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import orjson

from .accounts import DEMO_KEY, DEMO_SUBSCRIPTION
from .app import BulkDownstreamKey, Traffic, create_app
from .faults import Faults
from .listening import Server, bind, is_loopback
from .mailboxes import DEMO_ACCOUNT, DEMO_TOKEN
from .records import DEFAULT_DOMAIN_LIMIT
from .state import State

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Simulator:
    """An Inbound API server on the loopback interface, running while the `with` block does.

    Args:
        host: A loopback address or `localhost`. Default 127.0.0.1.
        port: The TCP port, 0 for a free one. Default 0.
        latency: How long each answer is held back, in seconds. Default 0.
        rate_limit: How many requests a customer may make within any one second, at least 1. Default None, no limit.
        domain_limit: The quota of the subscription `demo`, in domains. Default 10,000,000.
        bulk_downstream_key: Which key of a bulk item carries the downstream addresses: `both`, `downstreamAddress`
            or `downstreamAddresses`. Default both.
        faults: What goes wrong, and how often. Default nothing.

    Raises:
        ValueError: The host is not a loopback address, or another argument is out of range.
        OSError: On entering, when the port is taken.

    Example:
        >>> import httpx
        >>> with Simulator() as simulator:
        ...     url = simulator.base_url + "/inbound/v1/domains"
        ...     httpx.get(url, headers={"X-API-Key": simulator.api_key}).json()
        {'domains': [], 'total': 0}
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        rate_limit: float | None = None,
        domain_limit: int = DEFAULT_DOMAIN_LIMIT,
        bulk_downstream_key: BulkDownstreamKey = "both",
        faults: Faults | None = None,
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"the simulator listens on loopback addresses only, not on {host!r}")
        self.api_key = DEMO_KEY
        self.subscription = DEMO_SUBSCRIPTION
        self.hybridbox_account = DEMO_ACCOUNT
        self.hybridbox_token = DEMO_TOKEN
        self.state: State = State(domain_limit=domain_limit)
        app = create_app(
            self.state,
            latency=latency,
            rate_limit=rate_limit,
            bulk_downstream_key=bulk_downstream_key,
            faults=faults,
        )
        self._app = app
        self._traffic: Traffic = app.state.traffic
        self._host = host
        self._port = port
        self._base_url: str | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Where it listens, without a path; RuntimeError before it was entered."""
        if self._base_url is None:
            raise RuntimeError("the simulator has no address before it is entered")
        return self._base_url

    @property
    def requests(self) -> int:
        """How many requests have been received so far."""
        return self._traffic.requests

    @property
    def recent(self) -> deque[tuple[str, str, str, int]]:
        """The last 10,000 answers: method, path as it was sent, query, status."""
        return self._traffic.recent

    @property
    def seen(self) -> Counter[tuple[str, str]]:
        """How many requests have been read, by method and path template."""
        return self._traffic.seen

    @property
    def applied(self) -> Counter[tuple[str, str]]:
        """How many requests have succeeded, even if the answer was lost, by method and path template."""
        return self._traffic.applied

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("the simulator is already running")
        listener = bind(self._host, self._port)
        host, port = listener.getsockname()[:2]
        self._base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._server = Server(self._app)
        self._thread = threading.Thread(
            target=self._server.run_on, args=(listener,), name="mailchannels-simulator", daemon=True
        )
        self._thread.start()
        self._server.ready.wait()
        if not self._server.started:
            self._stop()
            raise RuntimeError("the simulator could not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.stop()
            thread.join()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8787,
    latency: float = 0.0,
    rate_limit: float | None = None,
    domain_limit: int = DEFAULT_DOMAIN_LIMIT,
    bulk_downstream_key: BulkDownstreamKey = "both",
    faults: Faults | None = None,
) -> None:
    """Run a simulator until SIGINT or SIGTERM; one line of JSON on stdout tells where it is and what it accepts.

    The line has the keys `base_url`, `api_key`, `subscription`, `hybridbox_account` and `hybridbox_token`, and is
    written once connections are accepted.

    Args:
        host: A loopback address or `localhost`. Default 127.0.0.1.
        port: The TCP port, 0 for a free one. Default 8787.
        latency: How long each answer is held back, in seconds. Default 0.
        rate_limit: How many requests a customer may make within any one second, at least 1. Default None, no limit.
        domain_limit: The quota of the subscription `demo`, in domains. Default 10,000,000.
        bulk_downstream_key: Which key of a bulk item carries the downstream addresses. Default both.
        faults: What goes wrong, and how often. Default nothing.

    Raises:
        ValueError: The host is not a loopback address, or another argument is out of range.
        OSError: The port is taken.

    Example:
        >>> serve(port=8787, latency=0.05, rate_limit=100)  # doctest: +SKIP
    """
    stopped = threading.Event()
    simulator = Simulator(
        host=host,
        port=port,
        latency=latency,
        rate_limit=rate_limit,
        domain_limit=domain_limit,
        bulk_downstream_key=bulk_downstream_key,
        faults=faults,
    )
    with _stop_signals(stopped), _rare_collections(), simulator:
        about = {
            "base_url": simulator.base_url,
            "api_key": simulator.api_key,
            "subscription": simulator.subscription,
            "hybridbox_account": simulator.hybridbox_account,
            "hybridbox_token": simulator.hybridbox_token,
        }
        sys.stdout.write(orjson.dumps(about).decode() + "\n")
        sys.stdout.flush()
        # A signal that reaches another thread, or Windows, does not end a wait by itself.
        while not stopped.wait(0.1):
            pass  # pragma: no cover  # whoever stops it within a tenth of a second, as tests may, never comes here


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector hold up no answer for long: a batch makes thousands of objects that stay, no cycles.

    Young objects are gone through by ten thousands, and those that have stayed for long hardly ever. Only for a process
    of its own; in somebody else's the collector is not ours to set.
    """
    previous = gc.get_threshold()
    gc.set_threshold(20_000, 2, 500)
    try:
        yield
    finally:
        gc.set_threshold(*previous)


@contextmanager
def _stop_signals(stopped: threading.Event) -> Iterator[None]:
    """Set the event on SIGINT and SIGTERM; outside the main thread signals cannot be caught, and are left alone."""
    is_main = threading.current_thread() is threading.main_thread()

    def stop(_number: int, _frame: Any) -> None:
        stopped.set()

    previous = {number: signal.signal(number, stop) for number in _STOPPING if is_main}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
