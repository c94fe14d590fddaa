"""Opening a conversation from the history: in the active pane or beside it, as it was, and what a crash left open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

from playground.domain.counts import count_of
from playground.domain.display import display_line, display_text
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.history import Entry, Query, Setting, StoredTree
from playground.domain.messages import Role
from playground.domain.sampling import SamplingParams
from playground.domain.transcript import INTERRUPTED, Transcript, Turn, restored
from playground.screens.choice_dialog import Answer, Question
from playground.screens.pane import Pane
from playground.services.history_keeping import import_writing
from playground.services.presets import Preset

if TYPE_CHECKING:
    from playground.screens.keeping import Keeping
    from playground.screens.token_screen import TokenScreen

_CRASHED: Final = 50
"""How many conversations are looked at that a crash may have left open."""


async def open_entry(screen: TokenScreen, keeping: Keeping, entry: Entry, *, beside: bool) -> Pane | None:
    """Open the conversation of a reply with that reply on screen; None when the person thought better of it.

    Raises PlaygroundError when it cannot be read any more.
    """
    stored = await keeping.file().read(lambda reader: reader.tree(entry.tree))
    if not beside and not keeping.holds(screen.pane):
        answer = await screen.ask(_LOSING)
        if answer is None:
            return None
        beside = answer == 0
    return await open_tree(screen, keeping, stored, entry.turn, beside=beside)


_LOSING: Final = Question(
    "Open it in this pane?",
    "What stands in this pane is not in the history: with another conversation in its place it would be lost.",
    [Answer("Open it beside", "in a pane of its own"), Answer("Open it here", "and lose what stands here")],
)


async def open_tree(
    screen: TokenScreen,
    keeping: Keeping,
    stored: StoredTree,
    turn_id: int | None,
    *,
    beside: bool,
    interrupted: bool = False,
) -> Pane:
    """Put a conversation into the active pane, or into a new one beside it, as it was.

    Args:
        screen: Where the panes are.
        keeping: Goes on keeping it.
        stored: The conversation.
        turn_id: A turn that is to be on screen; None for what was.
        beside: Open another pane.
        interrupted: A crash ended its last replies, which is to be said there.
    """
    # A pane that opens beside is about to have the model of the other one, which may be loading for a while.
    coming = _refs(screen.pane) if beside and screen.pane.slot.ref is not None else set()
    pane = await screen.open_pane_like(screen.pane) if beside else screen.pane
    await pane.end_reply()
    await asyncio.to_thread(import_writing)  # in private mode nobody needed it so far
    await keeping.keep()  # what stood here before
    shown = keeping.trees.shown(stored.uid)
    _put(pane, stored, shown, turn_id)
    if shown is None:
        _follow(keeping, pane, stored)
    if interrupted:
        _say_interrupted(pane.session.transcript)
    await _dress(screen, pane, stored)
    screen.attempt_later(lambda: _offer_model(screen, pane, stored, coming), "history model")
    return pane


def _put(pane: Pane, stored: StoredTree, shown: Transcript | None, turn_id: int | None) -> None:
    """Show a conversation in a pane; one that another pane shows is shared with it."""
    session = pane.session
    if shown is not None:
        session.transcript = Transcript(beside=shown)
    else:
        session.transcript = restored(turn.turn(tokens) for turn, tokens in stored.turns)
    tree = session.transcript
    session.system = stored.info.system
    session.mode = "raw" if stored.info.mode == "raw" else "chat"
    head = _head(tree, stored, turn_id)
    if head is not None:
        session.show_branch(head)
    else:
        session.new_conversation()
    pane.editing = None


def _say_interrupted(tree: Transcript) -> None:
    for turn in tree.turns.values():
        ended = turn.role is not Role.ASSISTANT or turn.finished is not None or turn.problem is not None
        if not ended and not turn.writing and INTERRUPTED not in turn.notes:
            turn.notes.append(INTERRUPTED)


def _head(tree: Transcript, stored: StoredTree, turn_id: int | None) -> Turn | None:
    """The end of the branch to show: what was on screen if the wanted turn is on it, else the newest from there."""
    kept = tree.turns.get(stored.info.head or 0)
    wanted = tree.turns.get(turn_id or 0)
    if wanted is None:
        return kept
    if kept is not None and wanted in tree.path(kept.id):
        return kept
    return tree.newest_leaf(wanted)


def _follow(keeping: Keeping, pane: Pane, stored: StoredTree) -> None:
    """Go on keeping it under its own name; what was deleted in it is deleted again, and can be put back."""
    from playground.services.history_recorder import Recorder

    recorder, tree = Recorder(stored.uid), pane.session.transcript
    recorder.knows(pane.session, stored.settings)
    head = tree.head
    gone = [turn for turn in tree.turns.values() if turn.id in stored.deleted]
    if gone:
        tree.delete(gone[0], gone[1:])
        tree.head = head if head in tree.turns else tree.head
    keeping.trees.follow(recorder, pane.session, stored.settings)


async def _dress(screen: TokenScreen, pane: Pane, stored: StoredTree) -> None:
    """Parameters, options and the preset's name, as they were."""
    reply = pane.session.transcript.last(Role.ASSISTANT)
    setting = setting_for(stored, reply)
    on_screen = reply is not None and pane.session.transcript.head == stored.info.head
    params = stored.info.params if on_screen or reply is None or reply.params is None else reply.params
    pane.session.options = setting.options
    pane.tuning.pending = None
    if setting.preset:
        pane.tuning.preset = _preset(pane, setting.preset, params)
        pane.tuning.chosen = True
    await pane.runner.set_params(params)
    pane.sync()
    screen.show_params()
    screen.show_editing()
    screen.draw_soon()


def _preset(pane: Pane, name: str, params: SamplingParams) -> Preset:
    """The preset of that name; one that is not there any more is what it was then."""
    known = pane.tuning.presets.get(name)
    if known is not None:
        return known
    return Preset(
        name=name,
        summary="As it was in the history.",
        sampling={field: getattr(params, field) for field in params.__struct_fields__},
    )


def setting_for(stored: StoredTree, reply: Turn | None) -> Setting:
    """Under what a reply was written; without any, what held last in the conversation."""
    return stored.settings.get(reply.id, stored.info.setting) if reply is not None else stored.info.setting


async def _offer_model(screen: TokenScreen, pane: Pane, stored: StoredTree, coming: set[str]) -> None:
    """Ask whether the model that wrote it is to be loaded, when the pane has another one."""
    reply = pane.session.transcript.last(Role.ASSISTANT)
    wanted = setting_for(stored, reply).model_ref
    if not wanted or wanted in _refs(pane) | coming:
        return
    name = display_line((reply.model if reply is not None else "") or wanted)
    ref = await _find(screen, wanted)
    if ref is None:
        text = f"{name} is not on this machine any more. It can be read, and goes on with the pane's own model."
        screen.notify(display_text(text), title="Opened for reading", timeout=6, markup=False)
        return
    if ref.text in _refs(pane) | coming:  # one model can be written in several ways
        return
    own = display_line(pane.name)
    answers = [
        Answer(f"Load {name}", "to go on with the model that wrote it"),
        Answer(f"Keep {own}" if own else "Only read it", "it can be loaded later with F5"),
    ]
    text = f"{name} wrote this; the pane has {own}." if own else f"{name} wrote this; the pane has no model."
    if await screen.ask(Question("Load the model that wrote it?", text, answers)) == 0 and pane in screen.all_panes:
        screen.load_model(pane, ref)


def _refs(pane: Pane) -> set[str]:
    """What one writes to choose the model that a pane has, or is about to have."""
    return {pane.slot.ref.text if pane.slot.ref is not None else "", pane.card.id if pane.card is not None else ""}


async def _find(screen: TokenScreen, wanted: str) -> ModelRef | None:
    try:
        ref = await asyncio.to_thread(screen.pool.find, wanted)
        await screen.pool.check(ref)
    except PlaygroundError:
        return None
    return ref


# -- after a crash ---------------------------------------------------------------------------------------------


async def offer_left_open(screen: TokenScreen, keeping: Keeping) -> None:
    """Ask about replies that were being written when the program ended the last time.

    Raises HistoryUnusable when the file cannot be read.
    """
    history = keeping.file()
    left = await history.left_open()
    if not left:
        return
    entries = await history.read(lambda reader: reader.find(Query(limit=_CRASHED)))
    answer = await screen.ask(_rescue(left, [entry for entry in entries if entry.tree in left and not entry.stop]))
    if answer is None:
        return
    if answer == 0:
        for uid in left:
            if screen.pane.session.transcript.turns and not screen.deck.room:
                break
            await _rescue_one(screen, keeping, uid)
    for uid in left:
        await history.change(lambda store, uid=uid: store.set_ended(uid))  # type: ignore[misc]


async def _rescue_one(screen: TokenScreen, keeping: Keeping, uid: str) -> None:
    try:
        stored = await keeping.file().read(lambda reader: reader.tree(uid))
    except BadInput:  # another program has taken it away meanwhile
        return
    beside = bool(screen.pane.session.transcript.turns) or screen.pane.waiting is not None
    await open_tree(screen, keeping, stored, None, beside=beside, interrupted=True)


def _rescue(left: list[str], entries: list[Entry]) -> Question:
    count = len(left)
    what = "A reply was" if count == 1 else f"{count} replies were"
    lines = [f"“{display_line(entry.prompt)[:60]}” · {count_of(entry.tokens, 'token')} so far" for entry in entries[:4]]
    where: Literal["it", "them"] = "it" if count == 1 else "them"
    answers = [
        Answer(f"Open {where}", "Ctrl+G lets a reply go on"),
        Answer(f"Leave {where} in the history", "Alt+C finds it there" if count == 1 else "Alt+C finds them there"),
    ]
    text = f"{what} being written when the program ended; what was there is kept.\n" + "\n".join(lines)
    return Question("Go on where the program ended?", text, answers)
