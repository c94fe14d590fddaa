"""`llm-playground presets`: those there are, your own, and those of other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from playground.cli.options import json_option
from playground.cli.run_output import write_json
from playground.domain.display import display_line
from playground.domain.errors import BadInput, PlaygroundError

if TYPE_CHECKING:
    from playground.services.presets import Preset

_NAME = click.argument("name")


@click.group("presets")
def presets_group() -> None:
    """List, show, save, delete, import and export sampling presets.

    \b
    Examples:
      llm-playground presets list
      llm-playground presets import ~/.lmstudio/config-presets/*.json
      llm-playground presets export min-p --format llama.cpp
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped


@presets_group.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List every preset: the shipped ones and your own.

    \b
    Examples:
      llm-playground presets list
      llm-playground presets list --json
    """  # noqa: D301
    from playground.services.presets import is_own

    for preset in _all().values():
        if as_json:
            write_json(_facts(preset))
        else:
            click.echo(f"{preset.name:<20} {'yours' if is_own(preset) else '':<6} {preset.summary}")


@presets_group.command("show")
@_NAME
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show what a preset sets and which sampler stages run with it.

    \b
    Example:
      llm-playground presets show min-p
    """  # noqa: D301
    from playground.domain.sampling import active_stages

    preset = _find(name)
    if as_json:
        write_json(_facts(preset))
        return
    click.echo(f"{preset.name}: {preset.summary}")
    if preset.watch:
        click.echo(f"Watch for: {preset.watch}")
    for field, value in preset.sampling.items():
        click.echo(f"  {field} = {', '.join(map(str, value)) if isinstance(value, tuple) else value}")
    click.echo(f"Stages: {' > '.join(active_stages(preset.params))}")


@presets_group.command("save")
@_NAME
@click.option("--from", "base", metavar="NAME", default="", help="Preset to begin with; without it, nothing is cut.")
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="Parameter to set; may be repeated.")
@click.option("--summary", default="", help="What it is for, one sentence.")
@json_option
def save_command(name: str, base: str, assignments: tuple[str, ...], summary: str, as_json: bool) -> None:
    """Save a preset of your own; one with the same name is replaced.

    \b
    Example:
      llm-playground presets save calm --from min-p --set temperature=0.6
    """  # noqa: D301
    from playground.domain.params import parse_assignment
    from playground.domain.sampling import NEUTRAL
    from playground.services.presets import own_preset_folder, save_preset

    params = _find(base).params if base else NEUTRAL
    for assignment in assignments:
        params = parse_assignment(params, assignment)
    path = save_preset(own_preset_folder(), name, params, summary or "Saved on the command line.")
    if as_json:
        write_json({**_facts(_find(name)), "path": str(path)})
    else:
        click.echo(path)
    _tell_covered(name)


@presets_group.command("delete")
@_NAME
@json_option
def delete_command(name: str, as_json: bool) -> None:
    """Delete a preset of your own; `export` it first if you are not sure.

    \b
    Example:
      llm-playground presets delete calm
    """  # noqa: D301
    from playground.services.presets import delete_preset, own_preset_folder

    path = delete_preset(own_preset_folder(), name)
    if as_json:
        write_json({"deleted": str(path)})
    else:
        click.echo(f"deleted {path}")


@presets_group.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", default="", help="Name to give it; only with one preset.")
@json_option
def import_command(files: tuple[Path, ...], name: str, as_json: bool) -> None:
    """Import presets of other programs, told apart by what stands in the file.

    Known are text-generation-webui (YAML), SillyTavern, LM Studio, KoboldAI and Hugging Face's generation_config.json,
    Ollama's Modelfile, and llama.cpp's presets (INI). Every key that cannot be taken over is listed with the
    reason, and so are values that the other program has by itself where its file says nothing.

    \b
    Examples:
      llm-playground presets import ~/.lmstudio/config-presets/*.json
      llm-playground presets import Modelfile --name from-ollama
    """  # noqa: D301
    from playground.services.preset_import import read_foreign
    from playground.services.presets import own_preset_folder, write_preset

    failed = 0
    found = []
    for path in files:
        try:
            found += read_foreign(path)
        except PlaygroundError as error:
            click.echo(f"llm-playground: {error}", err=True)
            failed = error.exit_status
    if name and len(found) > 1:
        raise BadInput(f"--name fits one preset, and there are {len(found)}.", "Leave it out.")
    for one in found:
        preset = msgspec.structs.replace(one.preset, name=name or one.preset.name)
        path = write_preset(own_preset_folder(), preset)
        if as_json:
            told = {**_facts(preset), "format": one.format, "defaults": one.defaults}
            told |= {"left_out": one.left_out, "path": str(path)}
            write_json(told)
            continue
        count = len(set(preset.sampling) - set(one.defaults))
        many = "1 parameter" if count == 1 else f"{count} parameters"
        click.echo(f"{preset.name}: {many} from a preset of {one.format}, in {path}")
        _tell_covered(preset.name)
        if one.remark:
            click.echo(f"  {one.remark}")
        for key, why in one.left_out.items():
            click.echo(f"  left out: {display_line(key)} ({display_line(why)})")
    if failed:
        sys.exit(failed)


@presets_group.command("export")
@_NAME
@click.option("--format", "form", type=click.Choice(["toml", "json", "llama.cpp", "ollama"]), default="toml")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else it is printed."
)
@json_option
def export_command(name: str, form: str, output: Path | None, as_json: bool) -> None:
    """Write a preset as a file of ours, as JSON, or in the notation of llama.cpp or Ollama.

    \b
    Examples:
      llm-playground presets export min-p --format llama.cpp
      llm-playground presets export calm -o calm.toml
    """  # noqa: D301
    from playground.services.kept_files import write_named
    from playground.services.preset_export import export_preset

    text, left_out = export_preset(_find(name), form)
    for parameter, why in left_out.items():
        click.echo(f"llm-playground: {parameter} is not said as a whole: {why}.", err=True)
    told: dict[str, object] = {"name": name, "format": form, "left_out": left_out}
    if output is None:
        if as_json:
            write_json({**told, "text": text})
        else:
            click.echo(text, nl=False)
        return
    write_named(output, text)
    if as_json:
        write_json({**told, "path": str(output)})


def _all() -> dict[str, Preset]:
    from playground.services.presets import load_presets

    presets, errors = load_presets()
    for error in errors:
        click.echo(f"llm-playground: {error}", err=True)
    return presets


def _find(name: str) -> Preset:
    from playground.services.start import find_preset

    return find_preset(_all(), name)


def _tell_covered(name: str) -> None:
    """One's own preset stands before a shipped one of the same name; nobody should find that out later."""
    from playground.services.paths import shipped
    from playground.services.presets import load_presets

    if name in load_presets([shipped("presets")])[0]:
        told = f"{name} now stands in place of the one that came with the program."
        click.echo(f"llm-playground: {told} presets delete {name} brings that one back.", err=True)


def _facts(preset: Preset) -> dict[str, object]:
    from playground.services.presets import is_own

    return {"name": preset.name, "summary": preset.summary, "yours": is_own(preset), "sampling": preset.sampling}
