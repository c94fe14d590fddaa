"""From messages to the exact tokens a model gets, and which of them belong to what."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from playground.domain.errors import BadInput
from playground.domain.messages import ChatPrompt, Message, Prompt, PromptParts, PromptView, Role
from playground.engine.template import render
from playground.engine.tokenizer import Tokenizer


def build_prompt(model: Tokenizer, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
    """Render and tokenise. A base model gets a conversation as plain text, one message after another.

    Raises:
        TemplateError: the model's template refuses the conversation.
        BadInput: `reply_ids` holds something that is no token of this model.
    """
    note = ""
    messages: tuple[Message, ...] = ()
    if not isinstance(prompt, ChatPrompt):
        text = prompt.text
    elif model.template:
        begin, end = model.token_text(model.begin_token), model.token_text(model.end_token)
        text, note = render(model.template, prompt.messages, begin=begin, end=end, model=model.name)
        # The tokeniser puts it there once more, where the model wants it at all.
        text = text.removeprefix(begin) if model.adds_begin else text
        messages = prompt.messages
        note = f"{note} {_control_tokens(model, messages)}".strip()
    else:
        messages = prompt.messages
        text = "\n\n".join(message.content for message in messages)
        note = "This is a base model without a chat template: it gets the plain text and goes on writing it."
    if any(not 0 <= token < model.size for token in reply_ids):
        raise BadInput("This reply was begun by a model with other tokens.", "Regenerate it, or load that model again.")
    ids = (*model.tokenize(text, special=True, begin=True), *reply_ids)
    named = [model.pieces[token] for token in ids]
    pieces = tuple(piece for piece, _ in named)
    return PromptView(
        text=b"".join(pieces).decode("utf-8", errors="replace"),
        ids=ids,
        pieces=pieces,
        special=tuple(control for _, control in named),
        parts=_parts(text, messages, pieces, len(reply_ids)),
        note=note,
    )


def _control_tokens(model: Tokenizer, messages: Sequence[Message]) -> str:
    """A note when the person typed the name of a control token, e.g. "<|im_end|>": the model sees no difference."""
    typed: dict[str, None] = {}
    for message in (message for message in messages if message.role is not Role.ASSISTANT):
        for token in model.tokenize(message.content, special=True, begin=False):
            name, control = model.pieces[token]
            if control:
                typed[name.decode("utf-8", errors="replace")] = None
    return f"What you wrote holds control tokens, and the model reads them as such: {' '.join(typed)}." if typed else ""


def _parts(text: str, messages: Sequence[Message], pieces: Sequence[bytes], reply: int) -> PromptParts:
    """Split the prompt's tokens into system, history and last message, by where the messages stand in the text."""
    total = len(pieces)
    spoken = [message for message in messages if message.role is not Role.SYSTEM]
    if not spoken:
        return PromptParts(prompt=total - reply, history=reply)
    starts: list[int] = []
    ends: list[int] = []
    cursor = 0
    for message in messages:
        content = message.content.strip()
        at = text.find(content, cursor)
        if at < 0:  # a template that rewrites what it is given
            return PromptParts(prompt=total - reply, history=reply)
        cursor = at + len(content)
        if message.role is not Role.SYSTEM:
            starts.append(at)
            ends.append(cursor)
    has_system = messages[0].role is Role.SYSTEM
    lengths = list(accumulate(len(piece) for piece in pieces[: total - reply]))
    surplus = lengths[-1] - _size(text) if lengths else 0  # a beginning-of-text token that is not in the text

    def tokens_before(offset: int) -> int:
        return min(total - reply, bisect_left(lengths, _size(text[:offset]) + surplus) + 1) if offset else 0

    system = tokens_before(starts[0]) if has_system else 0
    # Without a draft the last message is the reply, which is history like all that was said.
    said = ends if spoken[-1].role is Role.ASSISTANT else ends[:-1]
    earlier = tokens_before(said[-1]) if said else system
    return PromptParts(system=system, history=earlier - system + reply, prompt=total - reply - earlier)


def _size(text: str) -> int:
    """Bytes the tokeniser sees."""
    return len(text.encode("utf-8", errors="replace"))
