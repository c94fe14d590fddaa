"""Under what replies are written, as far as it is known: the model's file, its hash, versions, the prompt's tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from playground.domain.errors import PlaygroundError

if TYPE_CHECKING:
    from playground.backends.local import LocalBackend
    from playground.domain.history import Setting
    from playground.domain.transcript import Turn
    from playground.screens.pane import Pane

More = Callable[["Setting"], "Setting"]
"""What was found out, put into a setting that it belongs to; others come back as they are."""


class Circumstances:
    """Finds out about models behind the screen. All methods belong to one event loop."""

    def __init__(self) -> None:
        self._known: dict[str, Setting] = {}
        """By the model's reference; without preset and options."""
        self._asked: set[tuple[str, str]] = set()
        """What was looked for already, or is being looked for."""

    def of(self, pane: Pane) -> Setting:
        """Under what a pane writes now."""
        from playground import __version__
        from playground.domain.history import Setting

        card, ref = pane.card, pane.slot.ref
        name = card.id if card is not None else ref.text if ref is not None else ""
        known = self._known.get(name) or Setting(model_ref=name, app_version=__version__)
        return structs.replace(known, preset=pane.tuning.name, options=pane.session.options)

    def next(self, panes: Sequence[Pane], *, quiet: bool) -> Awaitable[More] | None:
        """What to find out next; None when there is nothing.

        Args:
            panes: Those whose models are of interest.
            quiet: Nothing is being written, so that a file can be read as a whole for its hash.
        """
        from playground.backends.local import LocalBackend

        for pane in panes:
            backend = pane.runner.backend
            if not isinstance(backend, LocalBackend) or backend.info is None:
                continue
            path = backend.card.id
            if ("facts", path) not in self._asked:
                self._asked.add(("facts", path))
                return self._look(backend, pane)
            wanted = path in self._known and not self._known[path].model_hash
            if quiet and wanted and ("hash", path) not in self._asked:
                self._asked.add(("hash", path))
                return self._hash(path)
        return None

    async def _look(self, backend: LocalBackend, pane: Pane) -> More:
        from playground.services.model_identity import setting_of

        load = pane.slot.pool.settings.load
        path, info = backend.card.id, backend.info
        self._known[path] = found = await asyncio.to_thread(setting_of, path, info=info, load=load)
        facts = {
            name: getattr(found, name)
            for name in ("model_hash", "model_facts", "load", "app_version", "llama_cpp_version")
        }

        def more(setting: Setting) -> Setting:
            fresh = setting.model_ref == path and setting.load is None
            return structs.replace(setting, **facts) if fresh else setting

        return more

    async def _hash(self, path: str) -> More:
        from playground.services.model_identity import hash_file

        try:
            found = await hash_file(Path(path))
        except PlaygroundError:  # whoever loads it next will say what is wrong with the file
            return lambda setting: setting
        self._known[path] = known = structs.replace(self._known[path], model_hash=found)

        def more(setting: Setting) -> Setting:
            same = setting.model_ref == path and not setting.model_hash and setting.model_facts == known.model_facts
            return structs.replace(setting, model_hash=found) if same else setting

        return more


async def prompt_ids(pane: Pane, reply: Turn) -> tuple[int, ...]:
    """Ids of the tokens that a local model was given for a reply; empty when nobody can tell any more."""
    from playground.services import history_models

    backend = pane.runner.backend
    if backend is None or reply.prompt is None or reply.model != backend.card.short_name:
        return ()
    return await history_models.prompt_ids(backend, reply.prompt)
