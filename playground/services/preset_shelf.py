"""The presets that can be chosen: all panes look at the same ones, and people add, take and write out their own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from playground.domain.errors import BadInput, ConfigError
from playground.services.kept_files import write_named
from playground.services.paths import path_from
from playground.services.presets import (
    Preset,
    delete_preset,
    is_own,
    load_presets,
    own_preset_folder,
    preset_folders,
    read_preset,
    save_preset,
    write_preset,
)
from playground.services.toml_files import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from playground.domain.sampling import SamplingParams
    from playground.services.preset_import import Imported


class PresetShelf:
    """Presets by name, and what changes their files."""

    def __init__(self, presets: dict[str, Preset]) -> None:
        self.presets = presets
        """What is on it; changed in place."""
        self._deleted: list[Preset] = []
        self._seen = _traces()
        """What the folders looked like when the presets were read."""

    def look_again(self) -> list[ConfigError]:
        """Take over what others have changed in the folders since; returns what is wrong with files, once.

        Cheap where nothing has changed: files are told apart by size and time.
        """
        traces = _traces()
        if traces == self._seen:
            return []
        found, errors = load_presets()
        self.presets.clear()
        self.presets.update(found)
        self._seen = traces
        return errors

    def save(self, name: str, params: SamplingParams) -> Preset:
        """Save parameters under a name. Raises BadInput and ConfigError."""
        return self._put(save_preset(own_preset_folder(), name, params, ""))

    def take_in(self, path: str) -> list[Imported]:
        """Import a preset file of another program. Raises BadInput and ConfigError for what cannot be read."""
        from playground.services.preset_import import read_foreign

        found = read_foreign(path_from(path))
        for one in found:
            self._put(write_preset(own_preset_folder(), one.preset))
        return found

    def delete(self, preset: Preset) -> None:
        """Remove one of the person's own; a shipped one that it hid comes back.

        Raises BadInput for a shipped one, and ConfigError.
        """
        if not is_own(preset):
            raise BadInput(f"{preset.name} came with the program.", "Only presets of your own can be deleted.")
        delete_preset(own_preset_folder(), preset.name)
        self._seen.pop(preset.path, None)
        self._deleted.append(preset)
        shipped, _ = load_presets(preset_folders()[:1])
        del self.presets[preset.name]
        if preset.name in shipped:
            self.presets[preset.name] = shipped[preset.name]

    def undo(self) -> Preset:
        """Put back what was deleted last. Raises BadInput when there is nothing, and ConfigError."""
        if not self._deleted:
            raise BadInput("Nothing was deleted.", "d deletes a preset of your own.")
        return self._put(write_preset(own_preset_folder(), self._deleted.pop()))

    def write_out(self, preset: Preset, form: str, path: str) -> tuple[Path, dict[str, str]]:
        """Write a preset in one of `preset_export.FORMS`; returns the file and what the notation could not say.

        Raises BadInput when that file exists, no file can be called so, or it cannot be written.
        """
        from playground.services.preset_export import export_preset

        target = path_from(path)
        if target.exists():
            raise BadInput(f"{one_line(str(target))} is there already.", "Give another name.")
        text, left_out = export_preset(preset, form)
        write_named(target, text)
        return target, left_out

    def _put(self, path: Path) -> Preset:
        preset = read_preset(path)
        self._seen[str(path)] = _trace(path)
        self.presets[preset.name] = preset
        return preset


def _traces() -> dict[str, tuple[int, int]]:
    """Every preset file with what changes when it is written; empty where nothing can be read."""
    found = dict[str, tuple[int, int]]()
    for folder in preset_folders():
        with contextlib.suppress(OSError):
            found |= {str(path): _trace(path) for path in folder.glob("*.toml")}
    return found


def _trace(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except OSError:
        return 0, 0
    return told.st_mtime_ns, told.st_size
