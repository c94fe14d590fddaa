"""Stop strings that span tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from playground.domain.stop_strings import StopStrings, held_back

TEXTS = st.text("ab🙂", min_size=1, max_size=4)


def grow(pieces: list[bytes], stops: list[str]) -> tuple[bytes, str] | None:
    """Feed a reply piece by piece; the text that is left and the stop string that ended it."""
    watcher, reply = StopStrings(stops), bytearray()
    for piece in pieces:
        reply += piece
        match = watcher.find(reply, len(piece))
        if match is not None:
            return bytes(reply[: len(reply) - match.trimmed_bytes]), match.text
    return None


@given(st.text("ab🙂", max_size=12), st.lists(TEXTS, max_size=3), st.integers(1, 4))
def test_however_the_bytes_are_cut_the_text_ends_before_the_stop_string(text: str, stops: list[str], size: int) -> None:
    data = text.encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = grow(pieces, stops)
    if not any(stop in text for stop in stops):
        assert found is None
        return
    assert found is not None
    left, stop = found
    assert data.startswith(left + stop.encode())
    assert not any(other.encode() in left for other in stops)


def test_what_was_written_before_does_not_count() -> None:
    watcher = StopStrings(["ab", "much longer than that"])
    assert watcher.find(b"xxab yy", 1) is None
    assert watcher.find(b"xxab yab", 1) == ("ab", 2)
    assert watcher.find(b"anything", 0) is None


@given(st.text("ab🙂", max_size=8), st.lists(TEXTS, max_size=3))
def test_what_is_held_back_is_what_could_become_a_stop_string(text: str, stops: list[str]) -> None:
    held = held_back(text, stops)
    assert 0 <= held <= len(text)
    could = [
        size for size in range(1, len(text) + 1) if any(s.startswith(text[-size:]) and s != text[-size:] for s in stops)
    ]
    assert held >= max((size for size in could), default=0)
