"""Settings as a person writes them."""

from __future__ import annotations

from playground.services.settings import Settings, load_settings, settings_path


def written(text: str) -> Settings:
    """Put a text into the settings file and read it; there must be no mistake in it."""
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found, errors = load_settings()
    assert not errors
    return found
