"""The person's own keys: checked before they are put in force, because a mistake must not cost a key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from textual.binding import Binding, BindingType
from textual.keys import KEY_ALIASES, Keys, _character_to_key

from playground.domain.errors import ConfigError
from playground.services.toml_files import one_line, shown

_MODIFIERS: Final = frozenset(["ctrl", "alt", "shift", "super", "meta", "hyper"])
_NAMED: Final = frozenset(key.value.rpartition("+")[2] for key in Keys if not key.value.startswith("<")) | frozenset(
    alias for aliases in KEY_ALIASES.values() for alias in aliases
)


_WRITING: Final = frozenset(
    ["enter", "space", "tab", "backspace", "delete", "up", "down", "left", "right", "home", "end"]
)


class Section(NamedTuple):
    """Bindings of one part of the program; within a part a key can have one meaning."""

    title: str
    bindings: Sequence[BindingType]

    @property
    def described(self) -> list[Binding]:
        """Those that can be named, explained and given other keys."""
        return [binding for binding in self.bindings if isinstance(binding, Binding) and binding.id]


def own_bindings(cls: type) -> list[BindingType]:
    """Bindings of a class and of those of our classes it is built on, its own first."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("playground.")]
    return [binding for base in bases for binding in base.__dict__.get("BINDINGS", ())]


def key_names(keys: str) -> list[str]:
    """The keys of a binding, e.g. ["escape", "ctrl+c"], as Textual calls them."""
    names = [name.strip() for name in keys.split(",")]
    return [_character_to_key(name) if len(name) == 1 else name for name in names]


def checked_keymap(
    keymap: Mapping[str, str], sections: Iterable[Section], file: str
) -> tuple[dict[str, str], list[ConfigError]]:
    """The part of a key map that can be used, and what is wrong with the rest.

    Args:
        keymap: Ids of bindings to keys.
        sections: All bindings there are.
        file: The settings file, for the errors.
    """
    sections = list(sections)
    known = {binding.id: binding for section in sections for binding in section.described if binding.id}
    good: dict[str, str] = {}
    errors: list[ConfigError] = []
    for name, keys in keymap.items():
        reason, hint = _mistake(name, keys, known) or _clash(name, keys, sections, keymap) or ("", "")
        if reason:
            errors.append(ConfigError(f"{one_line(file)}: {reason}", hint))
        else:
            good[name] = ",".join(key_names(keys))
    return good, errors


def _mistake(name: str, keys: str, known: Mapping[str, Binding]) -> tuple[str, str] | None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else "F1 lists them beside their keys."
        return f"keymap has no action called {shown(name)}.", hint
    wrong = [key for key in key_names(keys) if not _is_key(key)]
    if wrong:
        return f"keymap.{name}: {shown(wrong[0])} is no key.", 'Write for example "f6", "ctrl+k" or "escape,ctrl+x".'
    taken = [key for key in key_names(keys) if known[name].priority and _is_for_writing(key)]
    if taken:
        return (
            f"keymap.{name}: {shown(taken[0])} is needed to write and send prompts.",
            "Take an F key, or one with ctrl or alt.",
        )
    return None


def _is_for_writing(key: str) -> bool:
    """True for keys that an action of the whole screen would take away from the prompt."""
    return key in _WRITING or _is_character(key) or (len(key) == 1 and key.isprintable())


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    return bool(last) and set(modifiers) <= _MODIFIERS and (len(last) == 1 or last in _NAMED or _is_character(last))


def _is_character(name: str) -> bool:
    return any(_character_to_key(chr(code)) == name for code in range(0x21, 0x7F))


def _clash(name: str, keys: str, sections: Sequence[Section], keymap: Mapping[str, str]) -> tuple[str, str] | None:
    """Another binding of the same part that has one of the keys, with the key map in force."""
    wanted = set(key_names(keys))
    for section in sections:
        if not any(binding.id == name for binding in section.described):
            continue
        for other in section.described:
            taken = wanted & set(key_names(keymap.get(other.id or "", other.key)))
            if other.id != name and taken:
                what = f"keymap.{name}: {shown(min(taken))} is already the key of {other.description!r} ({other.id})."
                return what, "Give one of them another key."
    return None
