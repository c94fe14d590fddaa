"""Sizes are written in one way everywhere."""

from __future__ import annotations

import pytest

from playground.domain.sizes import size_text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 kB"),
        (999, "1 kB"),
        (94_200_000, "94.2 MB"),
        (8_000_000, "8 MB"),
        (999_600_000, "1.00 GB"),
        (1_920_000_000, "1.92 GB"),
        (128 << 30, "137 GB"),
        (2_000_000_000_000, "2 TB"),
    ],
)
def test_sizes_in_words(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text
