"""A compositor that asks only for what has changed and can be seen.

Textual's own asks every widget within the rectangle around all changes for all of its lines, and then throws most of
them away. Two small changes at opposite corners, such as a new token and a figure in the status bar, thus cost as much
as the whole screen, thirty times a second, and that time is taken from the model. So does every container behind a
changed widget, of which nothing is to be seen.
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
        left = self._changed
        # From front to back: what one widget covers, those behind it need not draw.
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            touched = [part for part in map(seen.intersection, left) if part]
            if not touched:
                continue
            for top, end in _runs(touched):
                part = Region(seen.x, top, seen.width, end - top)
                yield region, part, self._render_part(widget, part.translate(-region.offset))
            left = [other for other in left if not seen.contains_region(other)]
            if not left:
                return

    def _render_part(self, widget: Any, part: Region) -> list[Strip]:
        strips: list[Strip] = widget.render_lines(part)
        return strips


def _runs(regions: Iterable[Region]) -> list[tuple[int, int]]:
    """The lines that some regions touch, as runs without a gap: the first line, and the one behind the last."""
    runs: list[tuple[int, int]] = []
    for top, end in sorted((region.y, region.bottom) for region in regions):
        if runs and top <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(end, runs[-1][1])
        else:
            runs.append((top, end))
    return runs
