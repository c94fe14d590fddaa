"""`llm-playground tokens`: how a text is split, by one tokenizer or several."""

from __future__ import annotations

import asyncio
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from playground.cli.options import models_option
from playground.cli.run_output import say
from playground.cli.tables import padded, shortened
from playground.domain.counts import count_of
from playground.domain.display import display_line, visible_piece
from playground.domain.errors import BadInput
from playground.domain.tokens import piece_text

if TYPE_CHECKING:
    from playground.services.token_table import Split, Stretch

_NARROWEST: Final = 12
_WIDEST: Final = 34
_DIFFERENT: Final = "≠ "


@click.command("tokens")
@click.argument("text", metavar="TEXT|FILE|-")
@models_option("Model whose tokenizer is asked; repeatable. Only its vocabulary is read.")
@click.option("--text", "as_text", is_flag=True, help="Take the argument for the text, even if it names a file.")
@click.option("--special", is_flag=True, help="Let names such as <|im_end|> stand for control tokens.")
@click.option("--only-models", is_flag=True, help="Leave tiktoken's vocabularies out.")
@click.option("--offline", is_flag=True, help="Fetch no vocabulary from the network.")
@click.option("--counts", is_flag=True, help="Print the totals alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each tokenizer.")
def tokens_command(
    text: str,
    models: tuple[str, ...],
    as_text: bool,
    special: bool,
    only_models: bool,
    offline: bool,
    counts: bool,
    as_json: bool,
) -> None:
    """Show how a text is split into tokens: pieces and ids, side by side, and the totals.

    Beside the models' tokenizers stand tiktoken's o200k_base (GPT-4o and later) and cl100k_base (GPT-4). Spaces are
    drawn as ·, line ends as ↵, and where the tokenizers differ a line begins with ≠.

    \b
    Examples:
      llm-playground tokens "unbelievable, isn't it?"
      llm-playground tokens README.md --counts
      git diff | llm-playground tokens - --model SmolLM2 --model Qwen3 --only-models
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    from playground.cli.texts import text_argument

    wanted = text_argument(text, as_text=as_text)
    paths = _paths(models)
    splits = asyncio.run(_all(wanted, paths, special, fetch=not offline, only_models=only_models))
    if as_json:
        for split in splits:
            click.echo(_json(split))
    else:
        if not counts:
            _print_table(splits, wanted)
        _print_totals(splits)
    if any(split.problem for split in splits[: len(paths)]) or not any(split.ids for split in splits):
        sys.exit(1)


async def _all(text: str, paths: list[Path], special: bool, *, fetch: bool, only_models: bool) -> list[Split]:
    """The models' splits first, in their order."""
    from playground.services.token_table import TIKTOKEN, split_by_model, split_by_tiktoken
    from playground.services.tokenizers import Vocabularies

    known = Vocabularies()
    names = () if only_models else TIKTOKEN
    try:
        by_model = [split_by_model(path, text, special=special) for path in paths]
        others = [split_by_tiktoken(name, text, known, special=special, fetch=fetch) for name in names]
        return list(await asyncio.gather(*by_model, *others))
    finally:
        await known.close()


def _paths(models: tuple[str, ...]) -> list[Path]:
    """Files of the models. Without any on this machine, and none asked for, there is none to show."""
    from playground.services.model_pool import ModelPool
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    for error in errors:
        say(error)
    pool = ModelPool(settings)
    found = []
    for name in models or ("",):
        try:
            ref = pool.find(name)
        except BadInput as error:
            if models:
                raise
            say(error)
            return []
        if ref.endpoint and models:
            raise BadInput(
                f"The tokenizer of {ref.text} is not on this machine.",
                "Name a model file. A server's own count is in the prompt view of the app.",
            )
        if not ref.endpoint:
            found.append(Path(ref.name))
    return list(dict.fromkeys(found))


def _print_table(splits: list[Split], text: str) -> None:
    from playground.services.token_table import aligned, can_align

    shown = [split for split in splits if can_align(split, text)]
    for split in splits:
        if split.ids and split not in shown:
            say(f"The pieces of {split.tokenizer} are not the text's own bytes, so they are counted and not shown.")
    if not shown:
        return
    width = _column_width(len(shown))
    click.echo(("  " + "  ".join(padded(display_line(split.tokenizer), width) for split in shown)).rstrip())
    for stretch in aligned(shown):
        sys.stdout.write(_lines(stretch, width))  # a large text has millions of them, each of which click would flush
    click.echo()


def _lines(stretch: Stretch, width: int) -> str:
    from itertools import zip_longest

    mark = "  " if stretch.same else _DIFFERENT
    lines = ""
    for row in zip_longest(*stretch.cells):
        cells = (" " * width if token is None else _cell(token, width) for token in row)
        lines += (mark + "  ".join(cells)).rstrip() + "\n"
    return lines


@lru_cache(maxsize=65_536)
def _cell(token: tuple[int, bytes], width: int) -> str:
    number, piece = str(token[0]), token[1]
    return f"{padded(visible_piece(piece), width - len(number) - 1)} {number}"


def _column_width(columns: int) -> int:
    from shutil import get_terminal_size

    room = get_terminal_size((100, 24)).columns - len(_DIFFERENT)
    return max(_NARROWEST, min(_WIDEST, room // columns - 2))


def _print_totals(splits: list[Split]) -> None:
    names = [shortened(display_line(split.tokenizer), 34) for split in splits]
    width = max(len("tokenizer"), *map(len, names)) if names else 0
    click.echo(f"{'tokenizer':<{width}} {'tokens':>10} {'bytes a token':>14}")
    for name, split in zip(names, splits, strict=True):
        size = "–" if split.bytes_per_token is None else f"{split.bytes_per_token:.2f}"
        click.echo(f"{name:<{width}} {f'{len(split.ids):,}' if split.ids else '–':>10} {size:>14}")
    click.echo(count_of(splits[0].text_bytes, "byte") if splits else "")
    for split in splits:
        if split.problem:
            say(f"{split.tokenizer}: {split.problem}")


def _json(split: Split) -> str:
    told: dict[str, object] = {"tokenizer": split.tokenizer, "bytes": split.text_bytes}
    if split.problem:
        return msgspec.json.encode({**told, "problem": split.problem}).decode()
    pieces = [
        {"id": token, "text": piece_text(piece), "bytes": list(piece)}
        for token, piece in zip(split.ids, split.pieces, strict=True)
    ]
    counted = {"tokens": len(split.ids), "bytes_per_token": split.bytes_per_token}
    return msgspec.json.encode({**told, **counted, "pieces": pieces}).decode()
