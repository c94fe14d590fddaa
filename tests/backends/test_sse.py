"""Events are the same however the network cuts them."""

from __future__ import annotations

import time

import pytest

from playground.backends import sse
from playground.backends.sse import EventReader

STREAM = (
    b': hello\n\nevent: a\ndata: {"one": 1}\n\nid: 7\nretry: 10\ndata:no space\r\n\r\n\n\n'
    b"data: two\ndata: lines\n\ndata: \xe4\xbd\xa0\n\nevent: nothing\n\ndata: [DONE]\n\n"
)
EVENTS = [b'{"one": 1}', b"no space", b"two\nlines", b"\xe4\xbd\xa0", b"[DONE]"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_pieces_of_any_size_give_the_same_events(size: int) -> None:
    reader = EventReader()
    events = [event for at in range(0, len(STREAM), size) for event in reader.feed(STREAM[at : at + size])]
    assert events == EVENTS
    assert reader.finish() == []


def test_an_event_without_its_empty_line_counts_at_the_end() -> None:
    reader = EventReader()
    assert reader.feed(b"data: one\n\ndata: tw") == [b"one"]
    assert reader.feed(b"o") == []
    assert reader.finish() == [b"two"]


def test_an_event_of_many_small_pieces_costs_no_more_than_its_length() -> None:
    def seconds(size: int) -> float:
        reader, line = EventReader(), b"data: " + b"x" * size + b"\n\n"
        began = time.process_time()
        events = [event for at in range(0, len(line), 64) for event in reader.feed(line[at : at + 64])]
        assert [len(event) for event in events] == [size]
        return time.process_time() - began

    seconds(10_000)
    assert seconds(4_000_000) < 40 * max(seconds(400_000), 0.001)


def test_an_event_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_EVENT", 1000)
    reader = EventReader()
    for _ in range(5):
        reader.feed(b"data: " + b"x" * 500 + b"\n\n")
    reader.feed(b"x" * 600)
    with pytest.raises(ValueError, match="an event of more than"):
        reader.feed(b"x" * 600)
