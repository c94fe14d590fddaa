"""A compositor that asks only for what has changed.

Textual's own asks every widget within the rectangle around all changes for all of its lines, and then throws most of
them away. Two small changes at opposite corners, such as a new token and a figure in the status bar, thus cost as much
as the whole screen, thirty times a second, and that time is taken from the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class SparingCompositor(Compositor):
    """Give it to a screen as its `_compositor`; what is drawn is the same."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: Sequence[Region] = ()

    def render_partial_update(self) -> ChopsUpdate | None:
        """An update of what has changed."""
        self._changed = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = ()

    def _get_renders(self, crop: Region | None = None) -> Iterable[Any]:
        if not self._changed:
            yield from super()._get_renders(crop)
            return
        near = Region.from_union(self._changed).overlaps
        for widget, (region, clip) in self.visible_widgets.items():
            if not near(region):
                continue
            seen = region.intersection(clip)
            part = _lines_within(seen, self._changed)
            if part:
                yield region, part, self._render_part(widget, part.translate(-region.offset))

    def _render_part(self, widget: Any, part: Region) -> list[Strip]:
        strips: list[Strip] = widget.render_lines(part)
        return strips


def _lines_within(seen: Region, changed: Iterable[Region]) -> Region:
    """The lines of a region, in its full width, between the first and the last that any change touches."""
    touched = [part for part in (seen.intersection(other) for other in changed) if part]
    if not touched:
        return Region()
    top = min(part.y for part in touched)
    return Region(seen.x, top, seen.width, max(part.bottom for part in touched) - top)
