"""The wire contract as tables: one file for each module of the API, and one for the nine operations on lists."""

from __future__ import annotations

from typing import Final

import pytest

from . import domains, lists, service, users
from .case import Case

CASES: Final = [*domains.CASES, *lists.CASES, *users.CASES, *service.CASES]
BY_NAME: Final = {case.name: case for case in CASES}


def each_case(*names: str) -> pytest.MarkDecorator:
    """Run a test for each of these cases, or for all of them."""
    return parametrised([BY_NAME[name] for name in names] or CASES)


def parametrised(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])
