"""What `llm-playground score` puts out: a summary, a table of tokens, or JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import click

from playground.cli.run_output import write_json
from playground.domain.counts import count_of
from playground.domain.display import display_line, visible_piece
from playground.domain.scoring import Score, ScoreComparison, largest_differences, surprises
from playground.domain.tokens import TextDecoder, Token, piece_text

if TYPE_CHECKING:
    from playground.services.scorer import Second

_PIECE: Final = 20
_LEAST: Final = 0.00001
"""A smaller chance is told as less than this."""


def print_score(score: Score, other: Second | None, *, each: bool, count: int, top: int) -> None:
    """A summary for a person.

    Args:
        score: The text as the model sees it.
        other: The same under a second model.
        each: Print every token before it.
        count: How many surprises, and differences, to list.
        top: How many candidates to show beside a token.
    """
    if each:
        click.echo(f"{'':>6} {'token':<{_PIECE}} {'id':>7} {'chance':>8} {'bits':>6} {'rank':>7}")
        for token in score.tokens:
            click.echo(_row(token, top))
        click.echo()
    for name, value in _summary(score):
        click.echo(f"{name:<26} {value}")
    worst = surprises(score, count)
    if worst:
        click.echo("\nThe least expected tokens:")
        for token in worst:
            click.echo(_row(token, top))
    if other is not None:
        _print_second(other, count)


def _row(token: Token, top: int) -> str:
    number = f"{token.index + 1:>6,} {_padded(_visible(token))} {'–' if token.id is None else token.id:>7}"
    if token.logprob is None or token.surprisal is None:
        return f"{number} {'–':>8} {'–':>6} {'–':>7}"
    rank = "–" if token.rank is None else f"{token.rank:,}"
    rest = "  ".join(
        f"{visible_piece(one.piece)} {math.exp(one.logprob):.1%}" for one in token.top[:top] if one.logprob is not None
    )
    prob = math.exp(token.logprob)
    chance = f"{prob:.3%}" if prob >= _LEAST else f"<{_LEAST:.3%}"
    figures = f"{number} {chance:>8} {token.surprisal:>6.2f} {rank:>7}"
    return f"{figures}   instead of  {rest}" if rest and token.rank != 1 else figures


def _visible(token: Token) -> str:
    return display_line(token.special) if token.special else visible_piece(token.piece)


def _padded(text: str) -> str:
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(text, _PIECE) if cell_len(text) <= _PIECE else set_cell_size(text, _PIECE - 1) + "…"


def _summary(score: Score) -> list[tuple[str, str]]:
    def figure(value: float | None, form: str, unit: str = "") -> str:
        return "–" if value is None else f"{value:{form}}{unit}"

    return [
        ("model", display_line(score.model) or "–"),
        ("tokens", f"{len(score.tokens):,}, of which {score.scored:,} have a probability"),
        ("perplexity", figure(score.perplexity, ",.3f")),
        ("bits a byte", figure(score.bits_per_byte, ".4f", f" over {count_of(score.bytes_scored, 'byte')}")),
        ("bits a token", figure(score.mean_surprisal, ".4f")),
    ]


def _print_second(other: Second, count: int) -> None:
    click.echo(f"\nAgainst {display_line(other.name)}:")
    for name, value in _summary(other.score)[1:]:
        click.echo(f"{name:<26} {value}")
    found = other.comparison
    if found is None:
        click.echo("It splits the text into other tokens; bits a byte are what compares.")
        return
    difference, same = found.mean_bits, found.same_best
    likelier = "bits a token, above 0 where the second finds it likelier"
    click.echo(f"{'mean difference':<26} {'–' if difference is None else f'{difference:+.5f} {likelier}'}")
    click.echo(f"{'KL divergence':<26} {_divergence(found)}")
    click.echo(f"{'same best token':<26} {'–' if same is None else f'{same:.2%} of the places'}")
    differences = largest_differences(found, count)
    if differences:
        click.echo(f"\nWhere they differ the most, in bits:\n{'':>6} {'token':<{_PIECE}} {'change':>8}   KL")
        for one in differences:
            click.echo(
                f"{one.index + 1:>6,} {_padded(visible_piece(one.piece))} {one.bits or 0:>+8.4f}   {one.kl_text}"
            )


def _divergence(found: ScoreComparison) -> str:
    if found.mean_kl is not None:
        return f"{found.mean_kl:.6f} bits a token"
    if found.mean_kl_kept is None:
        return "–"
    why = f": {display_line(found.why_bound)}" if found.why_bound else ""
    return f"≥ {found.mean_kl_kept:.6f} bits a token, from the candidates that both have kept{why}"


def score_json(score: Score, other: Second | None, top: int) -> None:
    """An object for each token with `top` candidates, then one with the sums."""
    decoder = TextDecoder()
    comparison = other.comparison if other is not None else None
    for at, token in enumerate(score.tokens):
        told = {
            "event": "token",
            "index": token.index,
            "id": token.id,
            "text": decoder.feed(token.piece),
            "bytes": list(token.piece),
            "special": token.special,
            "logprob": token.logprob,
            "rank": token.rank,
            "entropy": token.entropy,
            "top": [
                {"id": one.id, "text": piece_text(one.piece), "bytes": list(one.piece), "logprob": one.logprob}
                for one in token.top[:top]
            ],
        }
        if comparison is not None:
            one = comparison.tokens[at]
            told["difference"] = {
                "logprob": one.logprob,
                "rank": one.rank,
                "kl_bits": one.kl,
                "kl_at_least": one.kl_kept,
            }
        write_json(told)
    end: dict[str, Any] = {"event": "score", **_figures(score)}
    if other is not None:
        end["second"] = {"name": other.name, **_figures(other.score)}
    if comparison is not None:
        end["comparison"] = {
            "mean_logprob": comparison.mean_logprob,
            "mean_kl_bits": comparison.mean_kl,
            "mean_kl_at_least": comparison.mean_kl_kept,
            "kl_unknown_because": comparison.why_bound,
            "same_best": comparison.same_best,
        }
    write_json(end)


def _figures(score: Score) -> dict[str, Any]:
    return {
        "model": score.model,
        "tokens": len(score.tokens),
        "scored": score.scored,
        "bytes_scored": score.bytes_scored,
        "perplexity": score.perplexity,
        "bits_per_byte": score.bits_per_byte,
        "mean_logprob": score.mean_logprob,
    }
