"""Which requests meet which fault: what may go wrong between a client and the API, and how often.

A specification is one fault, or several separated by semicolons: `KIND`, `KIND:OPTIONS` or `KIND=VALUE:OPTIONS`, where
the options are `NAME=NUMBER` or `NAME=TEXT`, separated by commas. For example

    drop-after:every=3;status=503:for=10,path=/domains/batch

loses every third answer and, of the other requests, turns away the batches for ten seconds.

| kind | what happens |
| --- | --- |
| `drop-before` | the connection is reset; nothing was applied |
| `drop-after` | the request is applied, then the connection is reset: the answer is lost |
| `truncate` | applied; the connection ends in the middle of the answer's body (an answer without one is lost) |
| `drip` | applied; the body comes one byte every `interval` seconds (default 1) |
| `stall` | applied; no answer ever comes |
| `garbage=text`, `html`, `types`, `utf8` | applied; the body is no JSON, a page with status 200, JSON with a wrong type in every place, or not UTF-8 |
| `status=CODE` | nothing is applied; the answer has this status, 200 to 599 |
| `redirect=URL` | nothing is applied; the answer is a 307 to this location (without `;` in it) |
| `drop-idle` | answered as ever; the connection is closed when it was idle for `after` seconds (default 0) |

| option | which requests |
| --- | --- |
| `method=DELETE` | only those with this method |
| `path=TEXT` | only those with this text in their path, as it was sent |
| `every=N` | every Nth of these |
| `first=N` | the first N of these |
| `for=SECONDS` | those within this time, which begins with the first of these |
| `probability=P` | a share of these, from 0 to 1, drawn with `seed=N` (default 0) |

Options narrow each other down; without any, a fault meets each request. A request that meets one fault is not shown to
those after it. What is done about a fault stands in `mishaps.py`.
"""  # noqa: E501 - a row of a table is one line

import random
import re
from dataclasses import dataclass, field
from typing import Self

KINDS = ("drop-before", "drop-after", "truncate", "drip", "stall", "garbage", "status", "redirect", "drop-idle")
GARBAGE = ("text", "html", "types", "utf8")
_VALUED = ("garbage", "status", "redirect")
# Names as they are spelled, and those of the arguments where `for` is a keyword.
_OPTIONS = {
    "method": str,
    "path": str,
    "every": int,
    "first": int,
    "for": float,
    "probability": float,
    "seed": int,
    "interval": float,
    "after": float,
}
_OPTION = rf"(?:{'|'.join(_OPTIONS)})=[^,:]+"
_FAULT = re.compile(rf"(?P<kind>[a-z-]+)(?:=(?P<value>.+?))?(?::(?P<options>{_OPTION}(?:,{_OPTION})*))?")
_STATUS = re.compile("[2-5][0-9][0-9]")


@dataclass(slots=True)
class Fault:
    """One kind of fault and which requests it meets; `struck` counts those that it met.

    Args:
        kind: One of `KINDS`.
        value: The status, the kind of garbage, or the location; only of the kinds that need one.
        method: Only requests with this method. Default any.
        path: Only requests with this text in their path. Default any.
        every: Every how many of these requests. Default each.
        first: How many of these requests at most. Default no limit.
        seconds: How long, from the first of these requests on; spelled `for` in a specification. Default no limit.
        probability: The share of these requests, from 0 to 1. Default all.
        seed: What the share is drawn with. Default 0.
        interval: Seconds between two bytes of a drip. Default 1.
        after: Seconds for which a connection is idle before it is closed. Default 0.

    Raises:
        ValueError: An argument is missing, out of range, or does not go with the kind.

    Example:
        >>> Fault("status", "503", path="/domains/batch", first=2)  # doctest: +SKIP
    """

    kind: str
    value: str | None = None
    method: str | None = None
    path: str = ""
    every: int = 1
    first: int | None = None
    seconds: float | None = None
    probability: float = 1.0
    seed: int = 0
    interval: float = 1.0
    after: float = 0.0
    struck: int = field(default=0, init=False, compare=False)
    _met: int = field(default=0, init=False, repr=False, compare=False)
    _began: float | None = field(default=None, init=False, repr=False, compare=False)
    _random: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no fault {self.kind!r}: it must be one of {', '.join(KINDS)}")
        if (self.value is None) == (self.kind in _VALUED):
            need = "needs a value" if self.value is None else "takes no value"
            raise ValueError(f"the fault {self.kind} {need}")
        if self.kind == "garbage" and self.value not in GARBAGE:
            raise ValueError(f"the value of garbage must be one of {', '.join(GARBAGE)}, not {self.value!r}")
        if self.kind == "status" and not _STATUS.fullmatch(self.value or ""):
            raise ValueError(f"the value of status must be a number from 200 to 599, not {self.value!r}")
        if self.every < 1 or (self.first is not None and self.first < 1):
            raise ValueError("every and first of a fault must be 1 or more")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability of a fault must be from 0 to 1")
        if min(self.interval, self.after, self.seconds or 0) < 0:
            raise ValueError("for, interval and after of a fault must be 0 or more seconds")
        self._random = random.Random(self.seed)  # noqa: S311 - nothing secret hangs on it

    def meets(self, method: str, path: str, now: float) -> bool:
        """Whether the fault strikes this request; each call counts as one request."""
        if (self.method is not None and self.method.upper() != method) or self.path not in path:
            return False
        self._met += 1
        if self._began is None:
            self._began = now
        if (
            self._met % self.every
            or (self.first is not None and self._met > self.first)
            or (self.seconds is not None and now - self._began >= self.seconds)
            or self._random.random() >= self.probability
        ):
            return False
        self.struck += 1
        return True


class Faults:
    """Faults in the order in which each request is shown to them; the list may be changed while a simulator runs.

    Example:
        >>> faults = Faults(Fault("drop-after", every=3), Fault("status", "503", seconds=10))
        >>> same = Faults.parse("drop-after:every=3;status=503:for=10")
    """

    def __init__(self, *faults: Fault) -> None:
        self.faults: list[Fault] = list(faults)

    @classmethod
    def parse(cls, specification: str) -> Self:
        """Read a specification, in the form that the docstring of this module describes.

        Args:
            specification: The faults, separated by semicolons; none when it is empty.

        Returns:
            The faults, in this order.

        Raises:
            ValueError: A fault cannot be read, or is none.

        Example:
            >>> [fault.kind for fault in Faults.parse("stall:first=1;drip:interval=0.1").faults]
            ['stall', 'drip']
        """
        return cls(*(_parse(part.strip()) for part in specification.split(";") if part.strip()))

    def choose(self, method: str, path: str, now: float) -> Fault | None:
        """Find the fault that this request meets, if any."""
        return next((fault for fault in tuple(self.faults) if fault.meets(method, path, now)), None)


def _parse(text: str) -> Fault:
    match = _FAULT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"the fault {text!r} cannot be read: write KIND, KIND=VALUE or either with :NAME=VALUE,... after it, "
            f"where the kinds are {', '.join(KINDS)} and the names {', '.join(_OPTIONS)}"
        )
    options = dict(option.split("=", 1) for option in (match["options"] or "").split(",") if option)
    read = {}
    for name, value in options.items():
        try:
            read["seconds" if name == "for" else name] = _OPTIONS[name](value)
        except ValueError:
            raise ValueError(f"{name} of the fault {text!r} must be a number, not {value!r}") from None
    return Fault(match["kind"], match["value"], **read)
