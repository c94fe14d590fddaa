"""`llm-playground models`: what is on disk, what it takes, and getting more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from playground.cli.options import json_option
from playground.cli.run_output import say
from playground.cli.status_line import StatusLine
from playground.domain.display import display_line

if TYPE_CHECKING:
    from playground.services.model_facts import Memory, ModelFacts
    from playground.services.settings import Settings


@click.group("models")
def models_group() -> None:
    """List, describe, pull and remove models on this machine.

    \b
    Examples:
      llm-playground models list --context 8192
      llm-playground models info smollm2 --hash
      llm-playground models pull bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M
      llm-playground models remove SmolLM2-135M-Instruct-Q4_K_M
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped


@models_group.command("list")
@click.option(
    "--context", type=click.IntRange(1, 1 << 26), default=None, help="Tokens of context to count with (4096)."
)
@json_option
def list_command(context: int | None, as_json: bool) -> None:
    """List the models on disk, and whether each fits into the memory that is free now.

    Memory is weights and KV cache, an estimate; that a model fits takes room for buffers into account. A model trained
    for a shorter context than asked for is counted with its own.

    \b
    Examples:
      llm-playground models list
      llm-playground models list --context 8192 --json
    """  # noqa: D301
    from playground.cli.models_output import ListOutput
    from playground.engine.memory import available_bytes
    from playground.services.model_facts import USUAL_CONTEXT, memory_at, read_facts
    from playground.services.model_removal import unfinished
    from playground.services.models import iter_models

    settings, notes = _settings(), list[str]()
    free_bytes, output = available_bytes(), ListOutput(as_json, settings.load.kv_type)
    for model in iter_models(settings.models.folders, notes):
        facts = memory = None
        if not model.problem:
            facts = read_facts(model.path, settings.load)
            wanted = context or USUAL_CONTEXT
            memory = memory_at(facts, min(wanted, facts.context or wanted), free_bytes)
        output.model(model, memory)
    for left in unfinished():
        output.unfinished(left)
    output.close(context or USUAL_CONTEXT, free_bytes)
    for note in notes:
        say(note)


@models_group.command("info")
@click.argument("name", metavar="NAME|PATH")
@click.option("--hash", "with_hash", is_flag=True, help="Also the SHA-256 of the file; reads all of it.")
@json_option
def info_command(name: str, with_hash: bool, as_json: bool) -> None:
    """Tell everything the header of a model says, and the memory it would take at a few contexts.

    \b
    Examples:
      llm-playground models info smollm2
      llm-playground models info ~/models/some-model.Q4_K_M.gguf --hash
    """  # noqa: D301
    from playground.cli.models_output import write_facts, write_json
    from playground.engine.memory import available_bytes
    from playground.services.model_facts import contexts_to_show, file_sha256, memory_at, read_facts
    from playground.services.models import resolve_model

    settings = _settings()
    path = resolve_model(name, settings)
    facts = read_facts(path, settings.load)
    free_bytes = available_bytes()
    rows = [memory_at(facts, context, free_bytes) for context in contexts_to_show(facts)]
    sums: list[tuple[Path, str]] = []
    if with_hash:
        line = StatusLine()
        sums = file_sha256(path, lambda done: line.show(f"reading {done / max(1, facts.size_bytes):4.0%}"))
        line.clear()
    if as_json:
        write_json(_told(facts, rows, sums))
    else:
        write_facts(facts, rows, sums, settings.load.kv_type)


@models_group.command("pull")
@click.argument("reference", required=False, metavar="[ORG/REPO[:QUANT]]", default="")
@click.option("--endpoint", metavar="URL", default="", help="Hub or mirror to ask; else HF_ENDPOINT or huggingface.co.")
@click.option("--files", "only_list", is_flag=True, help="List what the repository has, and fetch nothing.")
@json_option
def pull_command(reference: str, endpoint: str, only_list: bool, as_json: bool) -> None:
    """Fetch a model from the Hugging Face hub; without a name, suggest some.

    Without QUANT, Q4_K_M is taken, or what comes next to it. ORG/REPO/FILE.gguf and the address of a page on the hub
    do as well. Ctrl+C keeps what came: the same command goes on from there. For gated models put a token into HF_TOKEN.

    \b
    Examples:
      llm-playground models pull
      llm-playground models pull bartowski/SmolLM2-135M-Instruct-GGUF
      llm-playground models pull Qwen/Qwen3-0.6B-GGUF:Q8_0 --endpoint https://hf-mirror.com
      llm-playground models pull ggml-org/gemma-3-1b-it-GGUF --files
    """  # noqa: D301
    from playground.cli.models_output import write_suggestions
    from playground.cli.models_pull import pull

    if not reference.strip():
        write_suggestions(as_json)
        return
    sys.exit(pull(reference, endpoint, only_list=only_list, as_json=as_json))


@models_group.command("remove")
@click.argument("name", metavar="NAME|PATH")
@click.option("--yes", is_flag=True, help="Also when it lies in a folder of yours, without asking.")
@json_option
def remove_command(name: str, yes: bool, as_json: bool) -> None:
    """Remove a model that was pulled, all parts of it, or what an unfinished pull left.

    A model in a folder of yours is removed when you confirm it. One that belongs to Ollama, LM Studio or another
    program is never touched: how that program removes it is said.

    \b
    Example:
      llm-playground models remove SmolLM2-135M-Instruct-Q4_K_M
    """  # noqa: D301
    from playground.cli.models_output import write_json
    from playground.domain.errors import BadInput
    from playground.domain.sizes import size_text
    from playground.services.model_removal import plan_removal, remove

    removal = plan_removal(name, _settings())
    size_bytes, files = removal.size_bytes, [str(file) for file in removal.files]
    if not removal.ours and not yes:
        what = f"{display_line(files[0])} was not pulled by llm-playground."
        if not sys.stdin.isatty():
            raise BadInput(what, "Give --yes to remove it all the same.")
        if not click.confirm(f"{what} Remove {size_text(size_bytes)}?", err=True):
            raise BadInput("Nothing was removed.")
    remove(removal)
    if as_json:
        write_json({"removed": files, "size_bytes": size_bytes})
        return
    for file in files:
        click.echo(f"removed {display_line(file)}")
    click.echo(f"{size_text(size_bytes)} freed")


def _told(facts: ModelFacts, rows: list[Memory], sums: list[tuple[Path, str]]) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(facts)
    told["memory"] = [{**msgspec.to_builtins(row), "total_bytes": row.total_bytes} for row in rows]
    if sums:
        told["sha256"] = {file.name: digest for file, digest in sums}
    return told


def _settings() -> Settings:
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    for error in errors:
        say(error)
    return settings
