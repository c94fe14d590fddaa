"""Settings: what is wrong in the file costs one key, and saving keeps what people wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playground.domain.endpoints import SecretHeaders
from playground.domain.errors import ConfigError
from playground.domain.models import LoadOptions
from playground.domain.prices import Budget, Price
from playground.services.endpoint_settings import EndpointSettings
from playground.services.settings import (
    HostedSettings,
    ModelSettings,
    Settings,
    load_settings,
    save_setting,
    settings_path,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def load(file: Path, text: str) -> tuple[Settings, list[str]]:
    file.write_text(text, encoding="utf-8")
    found, errors = load_settings(file)
    assert all(str(file) in error.message for error in errors)
    return found, [str(error) for error in errors]


def test_without_a_file_everything_has_its_default(sealed: Path) -> None:
    assert load_settings() == (Settings(), [])
    assert settings_path() == sealed / "playground" / "config" / "settings.toml"


def test_every_key_can_be_set(file: Path) -> None:
    found, errors = load(
        file,
        """
        theme = "paper"
        colour = "entropy"
        preset = "min-p"
        model = "~/models/a.gguf"
        system = "Be brief."
        frames_per_second = 20
        [load]
        context = 4096
        flash_attention = "on"
        kv_type = "q8_0"
        mmap = false
        [models]
        folders = ["~/models", "/srv"]
        [keymap]
        stop = "escape,ctrl+c"
        "app.quit" = "ctrl+q"
        [endpoints.box]
        base_url = "https://Box.example:8443/v1/"
        headers = { "X-Title" = "playground" }
        models = ["a", "b"]
        price_provider = "openai"
        api_version = "2026-01-01"
        fallback = "openai/x"
        allow_http = true
        [endpoints.claude]
        api = "anthropic"
        base_url = "https://claude.example"
        [hosted]
        attempts = 2
        retry_limit_s = 30
        stall_s = 20
        fallback = "openai/y"
        [budget]
        per_request_usd = 0.5
        per_day_usd = 5
        [prices."box/a"]
        input_per_mtok = 1
        output_per_mtok = 2.5
        cache_read_per_mtok = 0.1
        cache_write_5m_per_mtok = 1.25
        cache_write_1h_per_mtok = 2
        """,
    )
    assert errors == []
    assert found == Settings(
        theme="paper",
        colour="entropy",
        preset="min-p",
        model="~/models/a.gguf",
        system="Be brief.",
        frames_per_second=20,
        load=LoadOptions(context=4096, flash_attention="on", kv_type="q8_0", mmap=False),
        models=ModelSettings(folders=("~/models", "/srv")),
        keymap={"stop": "escape,ctrl+c", "app.quit": "ctrl+q"},
        endpoints={
            "box": EndpointSettings(
                base_url="https://box.example:8443/v1",
                headers=SecretHeaders({"X-Title": "playground"}),
                models=("a", "b"),
                price_provider="openai",
                api_version="2026-01-01",
                fallback="openai/x",
                allow_http=True,
            ),
            "claude": EndpointSettings(api="anthropic", base_url="https://claude.example"),
        },
        hosted=HostedSettings(attempts=2, retry_limit_s=30, stall_s=20, fallback="openai/y"),
        budget=Budget(per_request_usd=0.5, per_day_usd=5),
        prices={
            "box/a": Price(
                input_per_mtok=1,
                output_per_mtok=2.5,
                cache_read_per_mtok=0.1,
                cache_write_5m_per_mtok=1.25,
                cache_write_1h_per_mtok=2,
            )
        },
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frames_per_second = 9", "frames_per_second is 9; it must be a whole number from 10 to 60"),
        ("frames_per_second = true", "frames_per_second is true; it must be a whole number"),
        ("frames_per_second = 99999999999999999999999", "must be a whole number from 10 to 60"),
        ('color = "rank"', "no setting 'color'. Did you mean 'colour'?"),
        ("qqqq = 1", "Known ones: theme, colour, preset"),
        ('colour = "rainbow"', "must be 'entropy', 'off', 'probability' or 'rank'"),
        ("theme = 1979-05-27", "theme is datetime.date(1979, 5, 27); it must be a text in quotes"),
        ('load = "fast"', "load is 'fast'; it must be a table. Write [load]"),
        ("[load]\nbatch = 0", "load.batch is 0; it must be a whole number from 1 to 65536"),
        ("[load]\nmmap = 1", "load.mmap is 1; it must be true or false"),
        ('[load]\nkv_typ = "f16"', "no setting 'load.kv_typ'. Did you mean 'kv_type'?"),
        ("[budget]\nper_day_usd = -1", "budget.per_day_usd is -1; it must be a number from 0 to 1000000"),
        ("[budget]\nper_day_usd = nan", "budget.per_day_usd is nan; it must be a number from 0 to 1000000"),
        ("[hosted]\nattempts = 0", "hosted.attempts is 0; it must be a whole number from 1 to 20"),
        ('prices = "free"', "prices must be a group of tables. Write [prices.NAME]"),
        ('[prices."a/b"]\ninput_per_mtok = 1', 'prices."a/b" does not say output_per_mtok'),
        ('[models]\nfolders = ["a", 3]', "models.folders is ['a', 3]; it must be a list of texts"),
        ("[keymap]\nstop = 3", "keymap.stop is 3; it must be a text in quotes"),
        ('theme = "\\u001b[2J"\nx = "\\u001b[2J"', "no setting 'x'"),
    ],
)
def test_a_mistake_costs_its_own_key(file: Path, text: str, said: str) -> None:
    found, errors = load(file, f'system = "kept"\n{text}\n')
    assert found.system == "kept"
    assert len(errors) == 1
    assert said in errors[0]
    assert "\x1b" not in errors[0]


SECRET = "sk-planted-0123456789"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'endpoints = "{SECRET}"', "endpoints must be a group of tables"),
        (f'[endpoints]\nbox = "{SECRET}"', "endpoints.box must be a table. Write [endpoints.box]"),
        (f'[endpoints.box]\napi_key = ["{SECRET}"]', "endpoints.box.api_key must be a text in quotes"),
        (f'[endpoints.box]\napi_kye = "{SECRET}"', "no setting 'endpoints.box.api_kye'. Did you mean 'api_key'?"),
        (f'[endpoints.box]\nheaders = "{SECRET}"', "endpoints.box.headers must be a table"),
        (f'[endpoints.box]\nheaders = {{ a = "{SECRET}\\n" }}', "headers must be a table of header names and values"),
        (f'[endpoints.box]\nbase_url = "https://me:{SECRET}@box/v1"', "box.base_url must be an address such as https:"),
        (f'[endpoints.box]\nbase_url = "https://box/v1?key={SECRET}"', "without user name, password, query"),
        (f'[endpoints.box]\nbase_url = "ftp://{SECRET}/v1"', "box.base_url must be an address such as https:"),
        ('[endpoints."a/b"]\napi = "openai"', "an endpoint cannot be called 'a/b'"),
        ('[endpoints.local]\napi = "openai"', "an endpoint cannot be called 'local'"),
        ('[endpoints.replay]\napi = "openai"', "an endpoint cannot be called 'replay'"),
        ('[endpoints.box]\napi = "grpc"', "endpoints.box.api must be 'anthropic' or 'openai'"),
    ],
)
def test_a_mistake_in_an_endpoint_costs_its_own_key_and_shows_no_value(file: Path, text: str, said: str) -> None:
    found, errors = load(file, f'system = "kept"\n{text}\nmodels = ["kept"]\n')
    assert found.system == "kept"
    if found.endpoints:
        assert found.endpoints["box"].models == ("kept",)
    assert said in errors[0]
    assert SECRET not in "".join(errors)


def test_a_mistake_in_a_price_costs_its_own_key(file: Path) -> None:
    found, errors = load(
        file, '[prices."a/b"]\ninput_per_mtok = 1\noutput_per_mtok = 2\ncache_read_per_mtok = "free"\n'
    )
    assert found.prices == {"a/b": Price(input_per_mtok=1, output_per_mtok=2)}
    assert len(errors) == 1
    assert 'prices."a/b".cache_read_per_mtok must be a number' in errors[0]


def test_all_mistakes_are_reported_and_the_rest_holds(file: Path) -> None:
    found, errors = load(
        file, "frames_per_second = 1\ncolour = 2\n[load]\nthreads = -1\nbatch = 64\n[keymap]\na = 1\nb = 'x'"
    )
    assert len(errors) == 4
    assert found == Settings(load=LoadOptions(batch=64), keymap={"b": "x"})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'theme = "a"\ncolour = \n', "line 2"),
        (b'theme = "a"\n\xff\xfe', "not UTF-8 text (line 2)"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
        (b"#" * 2_000_000, "larger than 1 MB"),
        (b"x = " + b"9" * 10_000, "not valid TOML"),
    ],
)
def test_a_file_that_is_not_toml_gives_the_defaults(file: Path, raw: bytes, said: str) -> None:
    file.write_bytes(raw)
    found, errors = load_settings(file)
    assert found == Settings()
    assert [said in str(error) for error in errors] == [True]


def test_a_folder_in_its_place(file: Path) -> None:
    file.mkdir()
    assert "is not a file" in str(load_settings(file)[1][0])
    with pytest.raises(ConfigError, match="cannot be written"):
        save_setting(file, "theme", "x")


WRITTEN = """# mine
theme = "paper"  # easy on the eyes
colour = "rank"
unknown = 3

[load]
# little memory
context = 2048

[keymap]
stop = "escape"
"""


def test_saving_keeps_comments_and_other_keys(file: Path) -> None:
    file.write_text(WRITTEN)
    save_setting(file, "theme", "night")
    save_setting(file, "frames_per_second", 20)
    save_setting(file, "load.batch", 256)
    save_setting(file, "keymap.app.quit", "ctrl+q")
    save_setting(file, "models.folders", ["~/models"])
    save_setting(file, "hosted.attempts", 2)
    save_setting(file, "colour", None)
    save_setting(file, "preset", None)
    text = file.read_text()
    assert 'theme = "night"  # easy on the eyes' in text
    assert "# mine" in text
    assert "# little memory\ncontext = 2048" in text
    assert "unknown = 3" in text
    found, errors = load_settings(file)
    assert len(errors) == 1
    assert found == Settings(
        theme="night",
        frames_per_second=20,
        load=LoadOptions(context=2048, batch=256),
        models=ModelSettings(folders=("~/models",)),
        keymap={"stop": "escape", "app.quit": "ctrl+q"},
        hosted=HostedSettings(attempts=2),
    )


def test_saving_makes_the_file(sealed: Path) -> None:
    save_setting(settings_path(), "load.context", 4096)
    save_setting(settings_path(), "theme", 'it\'s "quoted"\nand 漢')
    assert load_settings()[0] == Settings(theme='it\'s "quoted"\nand 漢', load=LoadOptions(context=4096))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("themo", "x", "Did you mean 'theme'?"),
        ("load", 3, "group of settings"),
        ("load.batch", 0, "Nothing was saved"),
        ("theme", "\ud800", "not text"),
        ("endpoints.box.api_key", "x", "by hand"),
    ],
)
def test_what_cannot_be_saved_changes_nothing(file: Path, key: str, value: str | int, said: str) -> None:
    file.write_text(WRITTEN)
    with pytest.raises(ConfigError) as caught:
        save_setting(file, key, value)
    assert said in str(caught.value)
    assert file.read_text() == WRITTEN


def test_a_broken_file_is_not_overwritten(file: Path) -> None:
    for text in ("theme = \n", "load = 3\n"):
        file.write_text(text)
        with pytest.raises(ConfigError):
            save_setting(file, "load.batch", 64)
        assert file.read_text() == text


def test_two_instances_do_not_lose_each_others_keys(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from playground.services.settings import save_setting\n"
        "for number in range(20): save_setting(Path(sys.argv[1]), f'keymap.{sys.argv[2]}{number}', 'x')"
    )
    top = Path(__file__).parents[2]
    workers = [subprocess.Popen([sys.executable, "-c", code, str(file), name], cwd=top) for name in "ab"]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    assert len(load_settings(file)[0].keymap) == 40


def test_saving_works_where_no_lock_can_be_had(sealed: Path, file: Path) -> None:
    (sealed / "playground").write_text("in the way")
    save_setting(file, "theme", "x")
    assert load_settings(file)[0].theme == "x"


KEYS = st.sampled_from(
    [
        *("theme", "colour", "frames_per_second", "load", "models", "keymap", "folders", "context", "a.b"),
        *("endpoints", "prices", "budget", "headers", "api_key"),
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES, max_size=3), max_size=5))
def test_no_content_breaks_loading_or_saving(file: Path, content: dict[str, object]) -> None:
    import tomlkit

    clean = {key: value for key, value in content.items() if value is not None}
    for value in clean.values():
        if isinstance(value, dict):
            for key in [key for key, leaf in value.items() if leaf is None]:
                del value[key]
    file.write_text(tomlkit.dumps(clean), encoding="utf-8")
    load_settings(file)
    try:
        save_setting(file, "theme", "new")
        save_setting(file, "load.batch", 64)
    except ConfigError:
        return
    found, _ = load_settings(file)
    assert found.theme == "new"
    assert found.load.batch == 64
