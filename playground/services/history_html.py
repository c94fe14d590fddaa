"""Conversations as one page of HTML: token colours, and the candidates of each token when one points at it.

The page needs nothing from elsewhere and runs no script; its policy forbids both. All text in it is escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from playground.domain.display import display_text, visible_piece
from playground.domain.messages import Role
from playground.domain.tokens import TextDecoder, Token
from playground.domain.transcript import Turn
from playground.services.history_export import Branch, facts, remarks


class Look(NamedTuple):
    """Colours of a page, as CSS has them: "#15110f"."""

    background: str
    foreground: str
    surface: str
    border: str
    user: str
    model: str
    note: str
    mark: str
    special: str
    cut: str
    levels: Sequence[tuple[str, str]]
    """Text and ground of a token, by level."""
    level_of: Callable[[Token], int | None]
    """Level of a token; None for one that has no colour."""


_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root {{ color-scheme: light dark; }}
body {{ background: {background}; color: {foreground}; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  font: 1rem/1.6 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
h1 {{ font-size: 1.3rem; }}
h2 {{ font-size: 1rem; margin: 1.5rem 0 0.3rem; }}
h2.user {{ color: {user}; }}
h2.model {{ color: {model}; }}
table {{ border-collapse: collapse; font-size: 0.85rem; }}
th, td {{ border: 1px solid {border}; padding: 0.1rem 0.5rem; text-align: left; font-weight: normal;
  overflow-wrap: anywhere; }}
th {{ color: {note}; }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere; }}
.note, .thinking {{ color: {note}; }}
.mark {{ color: {mark}; font-style: italic; }}
.legend span {{ padding: 0 0.3rem; }}
.t {{ position: relative; cursor: default; }}
.t:hover, .t:focus {{ outline: 2px solid {mark}; }}
.special {{ color: {special}; font-style: italic; }}
.cut {{ color: {cut}; text-decoration: line-through; }}
.t > small {{ display: none; position: absolute; left: 0; top: 1.7em; z-index: 1; white-space: pre; padding: 0.4rem;
  font-size: 0.8rem; line-height: 1.4; text-decoration: none; font-style: normal;
  background: {surface}; color: {foreground}; border: 1px solid {border}; }}
.t:hover > small, .t:focus > small {{ display: block; }}
.b::before {{ content: attr(data-bytes); color: {note}; }}
"""


def to_html(branches: Sequence[Branch], look: Look) -> str:
    """Conversations as one page."""
    title = _safe(branches[0].entry.title or branches[0].entry.prompt[:80]) if branches else "Nothing"
    style = _STYLE.format(**{name: value for name, value in look._asdict().items() if isinstance(value, str)})
    levels = "".join(
        f".l{number} {{ color: {text}; background: {ground}; }}\n" for number, (text, ground) in enumerate(look.levels)
    )
    body = "\n<hr>\n".join("\n".join(_branch(branch, look)) for branch in branches)
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style}{levels}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _branch(branch: Branch, look: Look) -> Iterator[str]:
    yield f"<h1>{_safe(branch.entry.title or branch.entry.prompt[:80] or 'A conversation')}</h1>"
    rows = "".join(f"<tr><th>{_safe(name)}</th><td>{_safe(value)}</td></tr>" for name, value in facts(branch))
    yield f"<table>{rows}</table>"
    shown = range(0, len(look.levels), max(1, len(look.levels) // 8))
    yield (
        '<p class="legend note">surprising '
        + "".join(f'<span class="l{number}">&nbsp;</span>' for number in shown)
        + " expected: the model’s own probability. Point at a token, or go there with Tab, for its candidates.</p>"
    )
    if branch.system:
        yield f'<h2 class="user">System</h2>\n<div class="text">{_safe(branch.system)}</div>'
    for turn in branch.turns:
        if turn.role is Role.USER:
            yield f'<h2 class="user">{"Text" if turn.raw else "You"}</h2>'
            yield f'<div class="text">{_safe(turn.content)}</div>'
            continue
        yield f'<h2 class="model">{_safe(turn.model or "Model")}</h2>'
        if turn.thinking:
            yield f'<div class="text thinking">{_safe(turn.thinking)}</div>'
        yield f'<div class="text">{"".join(_tokens(turn, look))}</div>'
        yield "".join(f'<div class="note">{_safe(line)}</div>' for line in remarks(turn))


def _tokens(turn: Turn, look: Look) -> Iterator[str]:
    marks = {mark.at: mark.text for mark in turn.marks}
    ends_at = sum(len(token.piece) for token in turn.tokens) - turn.trimmed_bytes
    decoder, size = TextDecoder(), 0
    for index, token in enumerate(turn.tokens):
        if index in marks:
            yield f'<span class="mark"> [{_safe(marks[index])}] </span>'
        size += len(token.piece)
        yield _token(token, decoder, look, cut=turn.trimmed_bytes > 0 and size > ends_at, by_hand=index in turn.by_hand)
    yield _safe(decoder.finish())


def _token(token: Token, decoder: TextDecoder, look: Look, *, cut: bool, by_hand: bool) -> str:
    text, level, more = decoder.feed(token.piece), look.level_of(token), ""
    classes = ["t", *([f"l{level}"] if level is not None else []), *(["cut"] if cut else [])]
    if token.special:
        classes, text = ["t", "special"], token.special
    elif not text:  # a part of a character, which is there with the last of its tokens
        classes.append("b")
        more = f' data-bytes="{_safe(visible_piece(token.piece))}"'
    what = "\n".join(_candidates(token, by_hand=by_hand))
    popup = f"<small>{_safe(what)}</small>"
    return f'<span class="{" ".join(classes)}" tabindex="0"{more}>{_safe(text)}{popup}</span>'


def _candidates(token: Token, *, by_hand: bool) -> Iterator[str]:
    """Lines of what stands beside a token: its own figures, and what it beat."""
    if by_hand:
        yield "put here by hand"
    if token.chunk:
        yield "a piece of text as the server sent it"
    figures = [
        f"p {_share(token.logprob)}" if token.logprob is not None else "",
        f"rank {token.rank}" if token.rank is not None else "",
        f"entropy {token.entropy:.2f} bits" if token.entropy is not None else "",
    ]
    yield "  ".join(filter(None, figures)) or "nothing was measured"
    top, stages = tuple(token.top), tuple(token.stages)
    if top:
        yield "model  after samplers"
    for candidate in top:
        after = "–" if candidate.prob is None else f"{candidate.prob:.1%}"
        if 0 <= candidate.cut_by < len(stages):
            after = f"cut by {stages[candidate.cut_by].name}"
        chosen = ">" if (candidate.id, candidate.piece) == (token.id, token.piece or token.special.encode()) else " "
        yield f"{_share(candidate.logprob):>6}{chosen} {visible_piece(candidate.piece):<16} {after}"


def _share(logprob: float | None) -> str:
    if logprob is None or math.isnan(logprob):
        return "–"
    share = math.exp(min(logprob, 0.0))
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def _safe(text: str) -> str:
    """Foreign text as it may stand in the page: no control characters, and nothing that is HTML."""
    return html.escape(display_text(text), quote=True)
