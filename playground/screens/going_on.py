"""How a reply goes on: from its end, or from any of its tokens as a version of its own."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from playground.domain.errors import BadInput
from playground.domain.events import StopReason
from playground.domain.forking import branch_at, text_of
from playground.domain.messages import Prompt, PromptView, Role
from playground.domain.stepping import note_change
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.screens.pane import Pane
from playground.services.beginnings import as_own, check_fits, check_goes_on, knows, split


def continue_reply(pane: Pane) -> None:
    """Let the last reply go on. Raises BadInput."""
    backend = pane.need_model()
    reply, window = pane.session.transcript.last(Role.ASSISTANT), pane.card.n_ctx if pane.card else None
    if reply is not None and reply.started is not None and window is not None and not pane.session.busy:
        used = (reply.started.prompt_tokens or 0) + len(reply.tokens)
        if reply.stop_reason is StopReason.CONTEXT and used >= window:
            raise BadInput(
                f"The context window of {window:,} tokens is full.",
                "Begin anew with Ctrl+N, edit a message with Ctrl+B, or load the model with a larger context.",
            )
    if reply is not None and backend.capabilities.fork and is_foreign(pane, reply, reply.kept_tokens):
        raise BadInput(
            f"{reply.model or 'Another model'} wrote this reply, in tokens that {pane.name} does not have.",
            "Go to its last token with Ctrl+T and press f: behind a text of yours it goes on all the same.",
        )
    pane.start(pane.session.continue_reply())


async def go_on_from(pane: Pane, turn: Turn, at: int, tokens: Sequence[Token], *, own: bool = False) -> Turn:
    """Put these tokens behind the first `at` of a reply, as a version of its own, and let the model go on.

    The prompt is the one that the reply was written to, shortened or not. What another model wrote goes by its
    text; `own` says that `tokens` are this model's all the same. A reply that is being written is stopped first.

    Raises BadInput without a model, for a model that cannot go on from there, and for what a grammar forbids.
    """
    backend, prompt = pane.need_model(), prompt_of(pane, turn)
    check_goes_on(backend, prompt)
    kept, beginning, note = turn.tokens[:at], None, ""
    if is_foreign(pane, turn, kept):
        kept = beginning = await as_own(backend, prompt, kept)
        note = f"{turn.model or 'Another model'} wrote the beginning; {pane.name} goes on from its text."
    if not own and is_foreign(pane, turn, tokens):
        tokens = await split(backend, prompt, kept, text_of(tokens))
    if not backend.capabilities.fork:
        text_of([*kept, *tokens])  # raises for half a character, which no server takes
    await check_fits(backend, prompt, [*kept, *tokens], pane.session.params, id(tokens))
    await quiet(pane)
    reply = branch_at(pane.session.transcript, turn, at, tokens, beginning)
    reply.notes += [note] if note else []
    note_change(pane.session, reply)
    pane.start(pane.session.go_on(reply, prompt))
    return reply


def prompt_of(pane: Pane, turn: Turn) -> Prompt:
    """The prompt that a reply was written to."""
    return turn.prompt or pane.session.prompt(turn.parent)


async def said_so_far(pane: Pane) -> PromptView | None:
    """The conversation with its last reply, as the model saw and wrote it; None when it does not end in a reply.

    None too for another model's reply that ends inside a character: it has no tokens of this model, but goes as text.
    Nothing is asked for behind a reply, so no header of a further one stands there. Raises BadInput, Unsupported.
    """
    backend, tree = pane.need_model(), pane.session.transcript
    reply = tree.last(Role.ASSISTANT)
    if reply is None or reply.id != tree.head or not reply.tokens:
        return None
    prompt, tokens = pane.session.prompt(reply.parent), list(reply.tokens)
    if is_foreign(pane, reply, tokens):
        try:
            tokens = await as_own(backend, prompt, tokens)
        except BadInput:
            return None
    view = await backend.view_prompt(prompt, [token.id for token in tokens if token.id is not None])
    said = "Nothing is written yet: this is the conversation up to here, its last reply included."
    return structs.replace(view, note=f"{said} {view.note}".strip())


def is_foreign(pane: Pane, turn: Turn, tokens: Sequence[Token]) -> bool:
    """True when some tokens of a reply mean nothing to the model that answers now, but for their text."""
    backend = pane.runner.backend
    return bool(tokens) and (turn.model != pane.session.model or backend is None or not knows(backend, tokens))


async def quiet(pane: Pane) -> None:
    """Stop for a fork until nothing is written any more: two wishes may come at once. Raises BadInput when that fails.

    A reply that ends for this says so.
    """
    stream = 0
    while pane.session.busy and pane.session.stream != stream:
        stream, written = pane.session.stream, pane.session.active
        await pane.end_reply()
        if written is not None and written.finished is not None and written.stop_reason is StopReason.CANCELLED:
            written.finished = structs.replace(written.finished, detail="a fork went on")
    pane.session.check_idle()
