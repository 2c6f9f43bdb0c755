"""The items of a result: a list to whoever reads them, and no objects to whoever only counts them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
from attrs import define

from mailchannels import BulkProvisionItem, BulkProvisionResult, Domain, Outcome
from mailchannels.models.items import Items, Unmade, joined, split


@define
class Item:
    index: int


class Maker:
    """Makes the items of some indexes, and counts how often."""

    def __init__(self, *indexes: int) -> None:
        self.indexes = indexes
        self.calls = 0

    def __call__(self) -> list[Item]:
        self.calls += 1
        return [*map(Item, self.indexes)]


def items_of(makers: list[Maker], *made: int) -> Items[Item]:
    return Items(map(Item, made), [Unmade(len(maker.indexes), maker) for maker in makers])


def test_counting_items_makes_none() -> None:
    maker = Maker(0, 1, 2)
    items = items_of([maker], 3)

    assert len(items) == 4
    assert items
    assert maker.calls == 0


def test_items_are_made_once_whatever_is_read_of_them() -> None:
    maker = Maker(0, 1, 2)
    items = items_of([maker])

    assert items[0] is items[0]
    assert [*items] == items[:]
    assert maker.calls == 1


def test_items_that_were_joined_before_they_were_made_are_the_same_objects() -> None:
    parts = [items_of([Maker(0)]), items_of([Maker(1)])]

    together = joined(parts)

    assert [*together] == [Item(0), Item(1)]
    assert all(one is another for one, another in zip(together, chain(*parts), strict=True))


def test_threads_that_read_items_at_the_same_time_find_the_same_objects() -> None:
    class Slow(Maker):
        def __call__(self) -> list[Item]:
            with ThreadPoolExecutor(1) as somebody_else:  # lets the other threads run meanwhile
                somebody_else.submit(int).result()
            return super().__call__()

    items = items_of([Slow(0, 1)])
    with ThreadPoolExecutor(4) as threads:
        found = [*threads.map(lambda _: items[0], range(4))]

    assert len({*map(id, found)}) == 1


def test_items_stand_in_the_order_of_their_index() -> None:
    items = items_of([Maker(4, 2), Maker(3)], 5, 1)

    assert [item.index for item in items] == [1, 2, 3, 4, 5]
    assert [item.index for item in Items(map(Item, [2, 0, 1]))] == [0, 1, 2]


def test_items_equal_a_list_and_other_items_and_nothing_else() -> None:
    items = items_of([Maker(0)], 1)

    assert items == [Item(0), Item(1)]
    assert [Item(0), Item(1)] == items
    assert items == items_of([], 0, 1)
    assert items != [Item(0)]
    assert items != (Item(0), Item(1))


def test_items_and_a_list_add_up_to_a_list() -> None:
    items = items_of([Maker(0)])

    assert items + [Item(1)] == [Item(0), Item(1)]  # noqa: RUF005  # adding is what is tested
    assert [Item(1)] + items == [Item(1), Item(0)]  # noqa: RUF005
    assert items + items == [Item(0), Item(0)]


def test_items_look_like_a_list() -> None:
    assert repr(items_of([Maker(0)], 1)) == "[Item(index=0), Item(index=1)]"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda items: pickle.loads(pickle.dumps(items))])
def test_items_can_be_copied_and_pickled(again: Callable[[Items[Item]], Items[Item]]) -> None:
    assert again(items_of([Maker(0)], 1)) == [Item(0), Item(1)]


def test_joining_and_splitting_make_no_items() -> None:
    makers = [Maker(0), Maker(3)]

    together = joined([items_of(makers[:1], 2), items_of(makers[1:]), [Item(1)]])
    even, odd = split(together, lambda item: item.index % 2 == 0)

    assert (len(together), len(even), [item.index for item in odd]) == (4, 3, [1])
    assert [maker.calls for maker in makers] == [0, 0]
    assert [item.index for item in chain(even, odd)] == [0, 2, 3, 1]


def test_a_result_is_ordered_also_where_its_items_were_not() -> None:
    items = [BulkProvisionItem(index, Domain("a.example"), outcome=Outcome.SUCCEEDED) for index in (1, 0)]

    assert [item.index for item in BulkProvisionResult(items).successes] == [0, 1]


def test_a_result_keeps_the_order_that_its_successes_are_given_later() -> None:
    items = [BulkProvisionItem(index, Domain("a.example"), outcome=Outcome.SUCCEEDED) for index in (0, 1)]
    result = BulkProvisionResult(items)

    result.successes = [*reversed(result.successes)]  # type: ignore[assignment]

    assert [item.index for item in result.successes] == [1, 0]
