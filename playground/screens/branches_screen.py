"""All branches of a conversation as a tree, with the text of the one under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from playground.domain.branch_rows import WRITING, BranchRow, row_of
from playground.domain.branches import Branch, branches
from playground.domain.errors import PlaygroundError
from playground.domain.names import check_name
from playground.domain.transcript import Turn
from playground.screens.branching import Branching
from playground.screens.notices import tell_error
from playground.screens.pane import Pane
from playground.screens.text_dialog import TextDialog
from playground.widgets.branch_preview import facts_of, text_of
from playground.widgets.branch_tree import BranchTree
from playground.widgets.key_maker import KeyMaker

_LOOK_SECONDS: Final = 0.25
"""How often is looked what other panes write meanwhile."""
_REST_SECONDS: Final = 0.06
_key = KeyMaker("branches")


class BranchesScreen(ModalScreen[None]):
    """Goes to branches, names them, deletes them and puts them back."""

    HORIZONTAL_BREAKPOINTS = [(0, "-below"), (150, "-beside")]  # noqa: RUF012 - Textual's interface
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("escape,alt+g", "leave", "Close", "Back to the transcript"),
        _key("r", "rename", "Name", "Give the branch a name, or take it away"),
        _key("d,delete", "delete", "Delete", "Delete the branch and all that hang on it; u brings them back"),
        _key("x", "delete_alone", "Delete alone", "Delete the branch; forks of it stay and move up"),
        _key("u", "undo", "Undo", "Put back what was deleted last, then what was deleted before it"),
    ]
    DEFAULT_CSS = """
    BranchesScreen {
        align: center middle;
        & > Vertical { width: 97%; height: 94%; border: round $border; background: $surface; padding: 0 1; }
        & #branches-body { height: 1fr; layout: vertical; }
        & BranchTree { height: 3fr; }
        & #branches-more { height: 2fr; border-top: solid $border-blurred; }
        & #branch-facts { height: auto; max-height: 4; color: $text-muted; }
        & #branch-scroll { height: 1fr; scrollbar-size-vertical: 1; }
        & #branch-text { height: auto; }
        &.-beside {
            & #branches-body { layout: horizontal; }
            & BranchTree { height: 1fr; width: 3fr; }
            & #branches-more { height: 1fr; width: 1fr; min-width: 48; border-top: none; }
            & #branches-more { border-left: solid $border-blurred; padding: 0 0 0 1; }
            & #branch-facts { max-height: 12; margin: 0 0 1 0; }
        }
    }
    """

    def __init__(self, branching: Branching, pane: Pane) -> None:
        super().__init__()
        self._branching = branching
        self._pane = pane
        self._branches: list[Branch] = []
        self._rows: dict[int, BranchRow] = {}
        """By the id of a branch's first turn; those that are being written are made anew with every look."""
        self._changes = -1
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        """The tree, and beside or below it the text of one branch."""
        with Vertical() as box:
            box.border_title = Content("Branches")
            box.border_subtitle = Content("enter shows · r names · d deletes (x it alone) · u undoes · esc back")
            with Horizontal(id="branches-body"):
                yield BranchTree(self._describe, id="branch-tree")
                with Vertical(id="branches-more"):
                    yield Static("", id="branch-facts", markup=False)
                    with VerticalScroll(id="branch-scroll", can_focus=False):
                        yield Static("", id="branch-text", markup=False)

    def on_mount(self) -> None:
        """Begin at the branch on screen."""
        self._tree.focus()
        self._build(self._pane.session.transcript.head)
        self.set_interval(_LOOK_SECONDS, self._look)

    @property
    def _tree(self) -> BranchTree:
        return self.query_one(BranchTree)

    @property
    def _active(self) -> list[Turn]:
        actives = (other.session.active for _, other in self._branching.sharing(self._pane))
        return [turn for turn in actives if turn is not None]

    def _describe(self, branch: Branch) -> BranchRow:
        row = self._rows.get(branch.turn.id)
        if row is None:
            row = self._rows[branch.turn.id] = row_of(self._pane.session.transcript, branch, self._active)
        return row

    def _build(self, turn_id: int | None) -> None:
        """Draw everything anew, with the cursor on the branch of a turn, else about where it was."""
        transcript = self._pane.session.transcript
        self._changes = transcript.changes
        self._branches = branches(transcript)
        self._rows.clear()
        place_of = {turn.id: place for place, branch in enumerate(self._branches) for turn in branch.line}
        marks: dict[int, str] = {}
        for number, other in self._branching.sharing(self._pane):
            head = other.session.transcript.head
            if head is not None:
                sign = "●" if other is self._pane else str(number)
                at = place_of[head]
                marks[at] = sign + marks.get(at, "") if sign == "●" else marks.get(at, "") + sign
        path = frozenset(turn.id for turn in transcript.path())
        self._tree.show(self._branches, marks, path, place_of.get(turn_id or 0, max(0, self._tree.cursor)))
        self._count()
        if not self._branches:
            self.query_one("#branch-facts", Static).update(Content("No branch is left: u puts back what was deleted."))
            self.query_one("#branch-text", Static).update("")

    def _count(self) -> None:
        count, gone = self._ends(), self._pane.session.transcript.deleted
        title = f"{count:,} {'branch' if count == 1 else 'branches'}"
        if gone:
            title += f" · {gone:,} {'deletion' if gone == 1 else 'deletions'} to undo"
        self.query_one(Vertical).border_title = Content(title)

    def _ends(self) -> int:
        """How many ways the conversation has gone."""
        transcript = self._pane.session.transcript
        return sum(not transcript.children(branch.line[-1].id) for branch in self._branches)

    def _look(self) -> None:
        """Follow what other panes, or this one, write meanwhile."""
        if self._pane.session.transcript.changes != self._changes:
            self._build(self._tree.branch.turn.id if self._tree.branch is not None else None)
            return
        stale = {turn_id for turn_id, row in self._rows.items() if row.ending == WRITING}
        active = self._active
        if active:
            stale |= {branch.turn.id for branch in self._branches if branch.last_reply in active}
        for turn_id in stale:
            self._rows.pop(turn_id, None)
            self._tree.refresh()

    @on(BranchTree.Moved)
    def _moved(self, event: BranchTree.Moved) -> None:
        """The text comes when the cursor has come to rest: a key that is held down must not wait for it."""
        event.stop()
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST_SECONDS, self._preview)

    def _preview(self) -> None:
        """The text of the branch under the cursor."""
        self._resting, branch = None, self._tree.branch
        if branch is None:
            return
        heads = [(number, other.session.transcript.head) for number, other in self._branching.sharing(self._pane)]
        ids = {turn.id for turn in branch.line}
        own = self._pane.session.transcript.head
        shown = [number for number, head in heads if head in ids and head != own]
        self.query_one("#branch-facts", Static).update(facts_of(branch, self._describe(branch), shown))
        self.query_one("#branch-text", Static).update(text_of(branch))
        self.query_one("#branch-scroll").scroll_home(animate=False)

    @on(BranchTree.Chosen)
    def _show(self, event: BranchTree.Chosen) -> None:
        """Put it on screen and go there."""
        event.stop()
        try:
            self._branching.go_to(self._pane, event.branch.turn, event.branch.begins_at)
        except PlaygroundError as error:
            tell_error(self, error)
        else:
            self.dismiss()

    # -- what can be done to a branch --------------------------------------------------------------------------

    def action_rename(self) -> None:
        """Ask for a name."""
        branch = self._tree.branch
        if branch is None:
            return
        turn = branch.turn

        def named(name: str | None) -> None:
            if name is not None:
                turn.title = name.strip()
                self._rows.pop(turn.id, None)
                self._tree.refresh()
                self._tree.tell()

        help_text = "Stands before the branch in the tree. Empty: no name."
        self.app.push_screen(TextDialog("Name of the branch", turn.title, help_text, check_name, single=True), named)

    def action_delete(self) -> None:
        """Delete the branch under the cursor and all that hang on it."""
        branch = self._tree.branch
        if branch is not None:
            self._delete([one.turn for one in self._tree.below(branch)])

    def action_delete_alone(self) -> None:
        """Delete the branch under the cursor and what was said behind it; forks of it stay."""
        branch = self._tree.branch
        if branch is not None:
            self._delete([branch.turn])

    def _delete(self, turns: Sequence[Turn]) -> None:
        before = self._ends()
        try:
            deletion = self._branching.delete(self._pane, turns)
        except PlaygroundError as error:
            tell_error(self, error)
            return
        self._build(None)
        gone, said = before - self._ends(), len(deletion.turns)
        what = f"{gone:,} branches" if gone > 1 else "Branch"
        self.notify(f"{what} deleted ({said:,} {'turn' if said == 1 else 'turns'}). u puts it back.", timeout=4)

    def action_undo(self) -> None:
        """Put back what was deleted last, with the cursor on it."""
        try:
            deletion = self._branching.undo(self._pane)
        except PlaygroundError as error:
            tell_error(self, error)
            return
        self._build(deletion.root.id)

    def action_leave(self) -> None:
        """Back to the transcript, which stays as it is."""
        self.dismiss()
