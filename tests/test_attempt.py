"""Results as pairs: what becomes a value, and what stays an exception."""

from __future__ import annotations

import asyncio

import pytest

from mailchannels import (
    AsyncMailChannels,
    Attempt,
    InvalidInput,
    MailChannels,
    MailChannelsError,
    attempt,
    attempt_sync,
)

REFUSED = InvalidInput("domain", "is empty")


async def coroutine(outcome: object) -> object:
    return function(outcome)


def function(outcome: object, *, extra: object = None) -> object:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome if extra is None else (outcome, extra)


async def attempted(outcome: object, way: str) -> Attempt[object]:
    return await attempt(coroutine(outcome)) if way == "async" else attempt_sync(function, outcome)


ways = pytest.mark.parametrize("way", ["async", "sync"])


@ways
@pytest.mark.asyncio
async def test_a_value_comes_without_an_error(way: str) -> None:
    data, error = await attempted(3, way)

    assert (data, error) == (3, None)


@ways
@pytest.mark.asyncio
async def test_an_error_of_ours_comes_without_a_value(way: str) -> None:
    data, error = await attempted(REFUSED, way)

    assert data is None
    assert error is REFUSED


@ways
@pytest.mark.parametrize(("outcome", "success"), [(3, True), (None, True), (0, True), (REFUSED, False)])
@pytest.mark.asyncio
async def test_success_is_the_absence_of_an_error(outcome: object, success: bool, way: str) -> None:
    assert (await attempted(outcome, way)).success is success


@ways
@pytest.mark.parametrize("cls", [ValueError, TimeoutError, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.asyncio
async def test_only_errors_of_ours_become_values(cls: type[BaseException], way: str) -> None:
    with pytest.raises(cls):
        await attempted(cls("a bug"), way)


@ways
@pytest.mark.asyncio
async def test_what_came_of_a_call_has_names_and_unpacks_into_two(way: str) -> None:
    result = await attempted(3, way)

    assert isinstance(result, Attempt)
    assert len(result) == 2
    assert (result.data, result.error) == (*result,)


def test_arguments_are_passed_on() -> None:
    assert attempt_sync(function, 3, extra="more").data == (3, "more")


@pytest.mark.asyncio
async def test_a_call_of_the_async_client_can_be_attempted(environment: pytest.MonkeyPatch) -> None:
    async with AsyncMailChannels("key") as client:
        data, error = await attempt(client.domains.delete(""))

    assert data is None
    assert isinstance(error, MailChannelsError)


def test_a_call_of_the_blocking_client_can_be_attempted(environment: pytest.MonkeyPatch) -> None:
    with MailChannels("key") as client:
        data, error = attempt_sync(client.domains.list, limit=0)

    assert data is None
    assert isinstance(error, InvalidInput)
