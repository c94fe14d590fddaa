"""What `llm-playground models` writes: lists, facts, suggestions, and a line that is written over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from playground.cli import run_output
from playground.cli.tables import laid_out, tell_left_out, terminal_width
from playground.domain.display import display_line
from playground.domain.models import ModelFile
from playground.domain.sizes import size_text
from playground.services.model_facts import Memory, ModelFacts
from playground.services.model_removal import Unfinished
from playground.services.model_words import fact_lines, fits
from playground.services.suggestions import SUGGESTIONS

_UNKNOWN: Final = "–"
_HEADS: Final = ("model", "size", "quant.", "arch.", "context", "memory", "", "found in")
_WIDTHS: Final = (44, 8, 8, 10, 9, 10, 24, 16)
"""They are not found out: models are written as they are found."""
_TEXTS: Final = {0: 30, 2: 8, 3: 10, 6: 16, 7: 10}
"""Columns that hold no figures, and how far they are cut."""
_LEAST: Final = (7, 3, 2, 4)
"""Columns that a narrow terminal goes without: where it was found, architecture, quantisation, context."""


def write_json(value: dict[str, Any]) -> None:
    """One JSON object on a line. Bytes of file names that are no UTF-8 are written as their codes."""
    run_output.write_json(_encodable(value))


class ListOutput:
    """Writes a model a line, as they are found."""

    def __init__(self, as_json: bool, kv_type: str) -> None:
        self._as_json = as_json
        self._kv_type = kv_type
        self._count = 0
        self._width = terminal_width()
        self._layout = laid_out(_WIDTHS, self._width, texts=_TEXTS, least=_LEAST)

    def model(self, model: ModelFile, memory: Memory | None) -> None:
        """One that was found; without `memory` it cannot be used."""
        self._count += 1
        if self._as_json:
            told = {**msgspec.to_builtins(model), "memory": _memory_told(memory) if memory else None}
            write_json(told)
            return
        if self._count == 1:
            self._write(_HEADS)
        context = f"{model.n_ctx_train:,}" if model.n_ctx_train else _UNKNOWN
        total = memory.total_bytes if memory else None
        self._write(
            [
                model.name,
                size_text(model.size_bytes),
                model.quantisation or _UNKNOWN,
                model.architecture or _UNKNOWN,
                context,
                f"≈ {size_text(total)}" if total is not None else _UNKNOWN,
                fits(memory),
                model.source,
            ]
        )
        if model.problem:
            click.echo(f"    {display_line(model.problem)}")

    def _write(self, cells: Sequence[str]) -> None:
        name, *others = map(display_line, cells)
        if self._width is not None and len(name) > (room := self._layout.widths[0]):
            name = f"{name[: (room - 1) // 2]}…{name[-(room // 2) :]}"  # the end tells the quantisation
        click.echo(self._layout.line([name, *others]))

    def unfinished(self, left: Unfinished) -> None:
        """A pull that was stopped."""
        self._count += 1
        if self._as_json:
            told = {"path": str(left.path), "done_bytes": left.done_bytes, "total_bytes": left.total_bytes}
            write_json({"unfinished": left.name, **told, "repository": left.repository})
            return
        of = f" of {size_text(left.total_bytes)}" if left.total_bytes is not None else ""
        click.echo(f"{left.name}: pull stopped at {size_text(left.done_bytes)}{of}; pull {left.repository} goes on")

    def close(self, context: int, free_bytes: int) -> None:
        """What the figures mean; suggestions where there was nothing to list."""
        if self._as_json:
            return
        if not self._count:
            click.echo("No model was found on this machine.")
            write_suggestions(as_json=False)
            return
        click.echo(
            f"\nMemory: weights and {self._kv_type} cache at a context of {context:,} tokens, estimated. "
            f"{size_text(free_bytes)} of memory is free now."
        )
        tell_left_out(_HEADS, self._layout)


def write_facts(facts: ModelFacts, rows: list[Memory], sums: list[tuple[Path, str]], kv_type: str) -> None:
    """Everything about one model, a fact a line."""
    for line in fact_lines(facts, rows, kv_type):
        click.echo(line)
    for file, digest in sums:
        click.echo(f"{'SHA-256':<15} {digest}" + (f"  {display_line(file.name)}" if len(sums) > 1 else ""))


def write_suggestions(as_json: bool) -> None:
    """Models for somebody who has none."""
    if as_json:
        for one in SUGGESTIONS:
            write_json(msgspec.to_builtins(one))
        return
    click.echo("Some good small models; sizes are approximate:\n")
    for one in SUGGESTIONS:
        click.echo(f"  llm-playground models pull {one.reference}")
        click.echo(f"      {one.name}, ≈ {size_text(one.approx_size_bytes)}, {one.licence}: {one.note}")


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_encodable(key): _encodable(one) for key, one in value.items()}
        case list() | tuple():
            return [_encodable(one) for one in value]
    return value


def _memory_told(memory: Memory) -> dict[str, object]:
    return {**msgspec.to_builtins(memory), "total_bytes": memory.total_bytes}
