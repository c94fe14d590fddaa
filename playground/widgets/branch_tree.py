"""Branches as a tree, a line for each. Only lines in sight are made, so it is as quick for thousands as for ten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from playground.domain.branch_rows import BranchRow
from playground.domain.branches import Branch
from playground.domain.messages import Role
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.branch_columns import GAP, cells_of, columns_for, groups_of
from playground.widgets.key_maker import KeyMaker
from playground.widgets.row_list import RowList

_MOST_WAS, _MOST_BECAME, _MOST_TITLE = 12, 18, 24
_HEADING: Final = "branch"
_key = KeyMaker("branches", show=False)


class BranchTree(RowList):
    """Shows branches in the order given, each below its parent; a cursor walks over them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("up,k", "move(-1)", "Up", "The row above", name="up"),
        _key("down,j", "move(1)", "Down", "The row below", name="down"),
        _key("pageup", "page(-1)", "Page up", "A page up", name="pageup"),
        _key("pagedown", "page(1)", "Page down", "A page down", name="pagedown"),
        _key("home", "go_to(0)", "First", "The first row", name="home"),
        _key("end", "go_to(-1)", "Last", "The last row", name="end"),
        _key("left", "out", "Parent", "The branch that this one hangs on"),
        _key("right", "into", "Child", "The first branch that hangs on this one"),
        _key("enter", "choose", "Show", "Put this branch on screen, at the place where it begins"),
    ]
    HEAD = 2
    PARTS = "branch-tree"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"branch-tree--{part}"
        for part in ("head", "guide", "path", "text", "said", "was", "became", "title", "figure", "here", "cursor")
    }
    DEFAULT_CSS = """
    BranchTree {
        & > .branch-tree--head { color: $text-muted; text-style: bold; }
        & > .branch-tree--guide { color: $foreground 35%; }
        & > .branch-tree--path { color: $accent; }
        & > .branch-tree--text { color: $foreground; }
        & > .branch-tree--said { color: $role-user; }
        & > .branch-tree--was { color: $foreground 70%; }
        & > .branch-tree--became { color: $mark; text-style: bold; }
        & > .branch-tree--title { color: $accent; text-style: bold; }
        & > .branch-tree--figure { color: $foreground 75%; }
        & > .branch-tree--here { color: $accent; text-style: bold; }
        & > .branch-tree--cursor { background: $foreground 16%; }
    }
    """

    class Moved(Message):
        """The cursor is on another branch."""

        def __init__(self, branch: Branch) -> None:
            super().__init__()
            self.branch = branch

    class Chosen(Message):
        """A branch is to be put on screen."""

        def __init__(self, branch: Branch) -> None:
            super().__init__()
            self.branch = branch

    def __init__(self, describe: Callable[[Branch], BranchRow], *, id: str | None = None) -> None:
        """`describe` is asked for a branch each time it is drawn."""
        super().__init__(id=id)
        self._describe = describe
        self._branches: Sequence[Branch] = ()
        self._places: dict[int, int] = {}
        self._marks: Mapping[int, str] = {}
        self._path: frozenset[int] = frozenset()

    @property
    def count(self) -> int:
        """How many branches there are."""
        return len(self._branches)

    @property
    def branch(self) -> Branch | None:
        """The branch under the cursor; None without any."""
        return self._branches[self.cursor] if 0 <= self.cursor < len(self._branches) else None

    def show(self, branches: Sequence[Branch], marks: Mapping[int, str], path: frozenset[int], cursor: int) -> None:
        """Show other branches.

        Args:
            branches: Each behind its parent.
            marks: By row, what stands before the branches that are on screen: a dot, numbers of panes.
            path: Ids of the turns on screen in this pane.
            cursor: The row to be on.
        """
        self._branches, self._marks, self._path = branches, marks, path
        self._places = {id(branch): place for place, branch in enumerate(branches)}
        self.virtual_size = Size(self.size.width, len(branches) + self.HEAD)
        self.cursor = -1
        self.go(cursor)
        self.refresh()

    def below(self, branch: Branch) -> list[Branch]:
        """A branch and all that hang on it, as they are drawn."""
        start = self._places[id(branch)]
        end = start + 1
        while end < len(self._branches) and self._branches[end].depth > branch.depth:
            end += 1
        return list(self._branches[start:end])

    # -- moving ------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Say, perhaps once more, which branch the cursor is on."""
        if self.branch is not None:
            self.post_message(self.Moved(self.branch))

    def action_out(self) -> None:
        """To what this one hangs on."""
        if self.branch is not None and self.branch.parent is not None:
            self.action_go_to(self._places[id(self.branch.parent)])

    def action_into(self) -> None:
        """To the first that hangs on this one."""
        if self.branch is not None and len(self.below(self.branch)) > 1:
            self.action_move(1)

    def action_choose(self) -> None:
        """Tell that this one is to be put on screen."""
        if self.branch is not None:
            self.post_message(self.Chosen(self.branch))

    # -- drawing -----------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """The titles, or one branch."""
        width = self.scrollable_content_region.width
        columns = columns_for(width)
        room = width - sum(column.width + GAP for column in columns) - 3
        if y < self.HEAD:
            head, last = self.part("head"), y == self.HEAD - 1
            titles = cells_of(columns, [c.title for c in columns], head) if last else groups_of(columns, head)
            segments = [Segment(f"   {fit(_HEADING if last else '', room)}", head), *titles]
            return Strip(segments).apply_style(self.rich_style).adjust_cell_length(width, self.rich_style)
        place = y - self.HEAD + self.scroll_offset.y
        if place >= len(self._branches):
            return Strip.blank(width, self.rich_style)
        branch = self._branches[place]
        row = self._describe(branch)
        segments = [Segment(f"{self._marks.get(place, ''):<3.3}", self.part("here"))]
        segments += _fitted([*self._guides(branch, room // 3), *self._words(row)], room)
        segments += cells_of(columns, [column.text(row) for column in columns], self.part("figure"))
        base = self.rich_style
        if place == self.cursor:
            base = self.under_cursor(base)
        return Strip(segments).apply_style(base).adjust_cell_length(width, base)

    def _on_path(self, branch: Branch) -> bool:
        return branch.turn.id in self._path

    def _guides(self, branch: Branch, room: int) -> list[Segment]:
        """Lines from a branch up to the left; of very deep ones only the last few levels."""
        parts: list[Segment] = []
        at: Branch | None = branch
        guide, path = self.part("guide"), self.part("path")
        while at is not None and at.depth > 0:
            if 2 * len(parts) >= room - 2:
                parts.append(Segment("⋯ ", guide))
                break
            if at is branch:
                parts.append(Segment("└ " if at.last else "├ ", path if self._on_path(branch) else guide))
            else:
                parts.append(Segment("  " if at.last else "│ ", guide))
            at = at.parent
        return parts[::-1]

    def _words(self, row: BranchRow) -> list[Segment]:
        """What the fork put in place of what, and the text that follows."""
        words: list[Segment] = []
        if row.title:
            words += [Segment(_cut(row.title, _MOST_TITLE), self.part("title")), Segment("  ")]
        if row.became:
            was = _cut(row.was, _MOST_WAS) or UNKNOWN
            became = _cut(row.became, _MOST_BECAME)
            words += [Segment(f"{was} → ", self.part("was")), Segment(became, self.part("became"))]
        for role, text in row.said:
            if role is Role.USER:
                words.append(Segment(f"› {text}  ", self.part("said")))
            elif text:
                words.append(Segment(f"{text}  ", self.part("text")))
        return words


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else fit(text, width)


def _fitted(parts: Sequence[Segment], room: int) -> list[Segment]:
    """The parts in exactly so many cells; the one that does not fit any more ends in an ellipsis."""
    kept: list[Segment] = []
    for part in parts:
        need = cell_len(part.text)
        if need > room:
            kept.append(Segment(fit(part.text, room), part.style))
            room = 0
            break
        kept.append(part)
        room -= need
    return [*kept, Segment(" " * room)]
