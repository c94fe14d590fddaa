"""Pictures and tables that are kept."""

from __future__ import annotations

import pytest

from playground.domain.errors import ConfigError
from playground.services.kept_files import save_picture, save_tables
from playground.services.paths import user_data_dir


def test_nothing_is_written_over_and_the_forms_of_one_table_share_a_name() -> None:
    pictures = [save_picture(f"<svg>{number}</svg>") for number in range(3)]
    assert [path.read_text(encoding="utf-8") for path in pictures] == [f"<svg>{number}</svg>" for number in range(3)]
    tables = [save_tables("load", {"md": f"| {number} |", "csv": str(number)}) for number in range(3)]
    for number, (text, sheet) in enumerate(tables):
        assert (text.stem, text.suffix, sheet.suffix) == (sheet.stem, ".md", ".csv")
        assert text.name.startswith("load-")
        assert (text.read_text(encoding="utf-8"), sheet.read_text(encoding="utf-8")) == (f"| {number} |", str(number))
    assert len({path.stem for paths in tables for path in paths}) == 3


def test_a_folder_that_cannot_be_is_told_with_its_path() -> None:
    user_data_dir().mkdir(parents=True)
    (user_data_dir() / "tables").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"tables/load-.*\.md cannot be written"):
        save_tables("load", {"md": "x"})
