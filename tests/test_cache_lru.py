"""The segmented LRU by bytes, held against a plain model of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcam_talker.cache.lru import PROTECTED_SHARE, SegmentedLru

pytestmark = pytest.mark.unit

CAPACITY = 100
KEYS = "abcdefgh"

Operation = tuple[str, str, int, bool]
operations = st.lists(
    st.tuples(
        st.sampled_from(("get", "put", "pop")),
        st.sampled_from(KEYS),
        st.integers(0, 120),
        st.booleans(),
    ),
    max_size=80,
)


class Model:
    """Two lists, oldest first; every rule spelled out, nothing clever."""

    def __init__(self) -> None:
        self.probation: list[tuple[str, int]] = []
        self.protected: list[tuple[str, int]] = []

    def size(self) -> int:
        return sum(s for _, s in self.probation + self.protected)

    def remove(self, key: str) -> int | None:
        for segment in (self.probation, self.protected):
            for entry in segment:
                if entry[0] == key:
                    segment.remove(entry)
                    return entry[1]
        return None

    def protect(self, key: str, size: int) -> None:
        limit = int(CAPACITY * PROTECTED_SHARE)
        if size > limit:
            self.probation.append((key, size))
            return
        self.protected.append((key, size))
        while sum(s for _, s in self.protected) > limit:
            self.probation.append(self.protected.pop(0))

    def get(self, key: str) -> bool:
        size = self.remove(key)
        if size is not None:
            self.protect(key, size)
        return size is not None

    def put(self, key: str, size: int, *, protected: bool) -> None:
        self.remove(key)
        if size > CAPACITY:
            return
        if protected:
            self.protect(key, size)
        else:
            self.probation.append((key, size))
        while self.size() > CAPACITY:
            self.probation.pop(0)


@given(operations)
def test_it_does_what_the_model_does(script: list[Operation]) -> None:
    lru: SegmentedLru[str] = SegmentedLru(CAPACITY)
    model = Model()
    for operation, key, size, protected in script:
        if operation == "get":
            assert (lru.get(key) == f"value of {key}") == model.get(key)
        elif operation == "put":
            lru.put(key, f"value of {key}", size, protected=protected)
            model.put(key, size, protected=protected)
        else:
            lru.pop(key)
            model.remove(key)
        held = {k for k, _ in model.probation + model.protected}
        assert {k for k in KEYS if k in lru} == held
        assert len(lru) == len(held)
        assert lru.size == model.size() <= CAPACITY


@given(hot=st.integers(1, 75), chatter=st.lists(st.integers(1, 100), max_size=200))
def test_one_offs_never_push_out_what_was_used_twice(hot: int, chatter: list[int]) -> None:
    lru: SegmentedLru[int] = SegmentedLru(CAPACITY)
    lru.put("hot", 1, hot)
    assert lru.get("hot") == 1
    for number, size in enumerate(chatter):
        lru.put(f"one-off {number}", 0, size)
    assert lru.peek("hot") == 1


def test_the_least_recently_used_goes_first() -> None:
    lru: SegmentedLru[int] = SegmentedLru(100)
    for number, key in enumerate("abcd"):
        lru.put(key, number, 25)
    lru.get("a")
    lru.put("e", 4, 25)
    assert [key for key in "abcde" if key in lru] == ["a", "c", "d", "e"]
    assert lru.evicted == 1


def test_what_is_larger_than_everything_displaces_nothing() -> None:
    lru: SegmentedLru[int] = SegmentedLru(100)
    lru.put("a", 1, 40)
    lru.put("huge", 2, 101)
    assert "a" in lru
    assert "huge" not in lru


def test_room_is_what_a_protected_value_may_take_without_loss() -> None:
    lru: SegmentedLru[int] = SegmentedLru(100)
    assert lru.room() == 75
    lru.put("a", 1, 60, protected=True)
    lru.put("b", 1, 30)
    assert lru.room() == 10
    lru.put("c", 1, lru.room(), protected=True)
    assert lru.evicted == 0
    assert {"a", "b", "c"} <= {key for key in "abc" if key in lru}


def test_clear_and_peek() -> None:
    lru: SegmentedLru[int] = SegmentedLru(100)
    lru.put("a", 7, 10)
    assert lru.peek("a") == 7
    assert lru.peek("b") is None
    lru.clear()
    assert (len(lru), lru.size) == (0, 0)
