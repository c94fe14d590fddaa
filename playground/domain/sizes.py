"""Sizes of files and memory, in words."""

from __future__ import annotations


def size_text(size_bytes: float) -> str:
    """Such as "94.2 MB", "1.92 GB" or, where it is just that, "8 MB": in powers of ten, as hubs and file managers."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        # What would be rounded to 1000 of a unit is one of the next.
        if size_bytes >= unit * 0.9995:
            shown = size_bytes / unit
            digits = 0 if shown >= 99.95 or shown.is_integer() else 1 if shown >= 9.995 else 2
            return f"{shown:.{digits}f} {name}"
    return f"{size_bytes / 1e3:.0f} kB"
