"""Keys: where they are found, that they go to their owner alone, and that no trace of them is left anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import ConfigError
from playground.services.endpoints import PROVIDERS, load_endpoints
from playground.services.keys import (
    find_key,
    forget_key,
    keys_path,
    known_secrets,
    locate_key,
    save_key,
    where_to_put_key,
    without_secrets,
)
from playground.services.settings import Settings, settings_path
from tests.services.settings_file import written

PLANTED = "sk-planted-0123456789abcdef"


def stored(text: str, mode: int = 0o600) -> None:
    path = keys_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def key_for(name: str, settings: Settings) -> str | None:
    found = find_key(load_endpoints(settings)[name], settings)
    return found.reveal() if found else None


def test_the_usual_variable_of_each_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, provider in PROVIDERS.items():
        for variable in provider.variables[:1]:
            monkeypatch.setenv(variable, f" key-of-{name}\n")
    for name, provider in PROVIDERS.items():
        assert key_for(name, Settings()) == (f"key-of-{name}" if provider.variables else None)


def test_a_providers_key_goes_to_no_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    settings = written(
        """
        [endpoints.mine]
        base_url = "https://llm.example/v1"
        [endpoints.look-alike]
        base_url = "https://api.openai.com.evil.example/v1"
        [endpoints.other-port]
        base_url = "https://api.openai.com:8443/v1"
        [endpoints.plain]
        base_url = "http://api.openai.com/v1"
        [endpoints.same-host]
        base_url = "https://api.openai.com/v1/custom"
        """
    )
    others = set(load_endpoints(settings)) - {"openai", "same-host"}
    assert {name: key_for(name, settings) for name in others} == dict.fromkeys(others)
    assert key_for("same-host", settings) == PLANTED
    forged = Endpoint(name="openai", api="openai", base_url="https://evil.example/v1")
    assert find_key(forged, settings) is None


def test_a_providers_key_follows_the_address_given_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-variable")
    assert key_for("openai", written('[endpoints.openai]\nbase_url = "https://proxy.example/v1"\n')) == "from-variable"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "claude-variable")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example")
    assert key_for("anthropic", Settings()) == "claude-variable"


def test_the_order_in_which_places_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    save_key("openai", "https://api.openai.com/v1", Secret("stored-key"))
    assert key_for("openai", Settings()) == "stored-key"
    assert key_for("openai", written('[endpoints.openai]\napi_key = "literal-key"\n')) == "literal-key"
    monkeypatch.setenv("OPENAI_API_KEY", "variable-key")
    assert key_for("openai", written('[endpoints.openai]\napi_key = "literal-key"\n')) == "variable-key"
    monkeypatch.setenv("WORK", "work-key")
    assert key_for("openai", written('[endpoints.openai]\napi_key = "${WORK}"\n')) == "work-key"
    settings = written('[endpoints.work]\nbase_url = "https://api.openai.com/v1"\napi_key = "work-literal"\n')
    assert key_for("work", settings) == "work-literal", "the other key belongs to another account"
    monkeypatch.delenv("WORK")
    named = written('[endpoints.openai]\napi_key = "${WORK}"\n')
    assert key_for("openai", named) == "stored-key", "never another variable than the one that is named"
    found = locate_key(load_endpoints(named)["openai"], named)
    assert found is not None
    assert found.source == str(keys_path())


def test_a_key_in_settings_is_for_the_address_beside_it() -> None:
    before = written('[endpoints.box]\nbase_url = "https://old.example"\napi_key = "old-key"\n')
    endpoint = load_endpoints(before)["box"]
    after = written('[endpoints.box]\nbase_url = "https://new.example"\napi_key = "new-key"\n')
    assert find_key(endpoint, after) is None
    assert key_for("box", after) == "new-key"


def test_a_stored_key_is_for_the_address_it_was_stored_with() -> None:
    save_key("box", "https://Box.example/v1/", Secret(PLANTED))
    settings = written('[endpoints.box]\nbase_url = "https://box.example/v1"\n')
    assert key_for("box", settings) == PLANTED
    moved = written('[endpoints.box]\nbase_url = "https://elsewhere.example/v1"\n')
    assert key_for("box", moved) is None
    forget_key("box")
    assert key_for("box", settings) is None


def test_storing_makes_a_file_for_the_owner_alone_and_keeps_the_rest_of_it() -> None:
    old = os.umask(0)
    try:
        save_key("box", "https://box.example", Secret("first-key"))
    finally:
        os.umask(old)
    assert keys_path().stat().st_mode & 0o777 == 0o600
    stored("# mine\n" + keys_path().read_text())
    save_key("other", "https://other.example", Secret("second-key"))
    save_key("box", "https://box.example", Secret("third-key"))
    text = keys_path().read_text()
    assert "# mine" in text
    assert "second-key" in text
    assert "third-key" in text
    assert "first-key" not in text
    assert keys_path().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_of_keys_that_others_can_read_is_refused(mode: int) -> None:
    stored(f'[openai]\nbase_url = "https://api.openai.com/v1"\nkey = "{PLANTED}"\n', mode)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        key_for("openai", Settings())
    assert PLANTED not in str(caught.value)
    with pytest.raises(ConfigError, match="chmod 600"):
        save_key("box", "https://box.example", Secret("key-of-box"))
    assert key_for("ollama", Settings()) is None, "it wants no key"
    assert known_secrets(Settings()) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[openai]\nkey = {PLANTED}\n", "not valid TOML"),
        (f'openai = "{PLANTED}"\n', "must have a base_url and a key"),
        (f'[mine]\nkey = "{PLANTED}"\n', "must have a base_url and a key"),
        (f'[openai]\nbase_url = "https://u:{PLANTED}@x"\nkey = "k"\n', "openai.base_url must be an address"),
        (f'[openai]\nbase_url = "https://api.openai.com/v1"\nkey = "{PLANTED} \\n x"\n', "no key has"),
    ],
)
def test_a_broken_file_of_keys_is_explained_without_quoting_it(text: str, said: str) -> None:
    stored(text)
    with pytest.raises(ConfigError) as caught:
        key_for("openai", Settings())
    assert said in str(caught.value)
    assert PLANTED not in str(caught.value) + repr(caught.value) + caught.value.detail


def test_something_else_in_place_of_the_file() -> None:
    keys_path().mkdir(parents=True)
    with pytest.raises(ConfigError, match="is not a file"):
        key_for("openai", Settings())
    keys_path().rmdir()
    os.mkfifo(keys_path(), 0o600)
    with pytest.raises(ConfigError, match="is not a file"):
        key_for("openai", Settings())


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "umläut", "", "\x1b[31m"])
def test_what_cannot_be_a_key_is_not_stored(key: str) -> None:
    with pytest.raises(ConfigError):
        save_key("box", "https://box.example", Secret(key))
    assert not keys_path().exists()


def test_a_variable_with_a_line_break_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{PLANTED}\r\nX-Evil: 1")
    with pytest.raises(ConfigError, match="The key in OPENAI_API_KEY holds") as caught:
        key_for("openai", Settings())
    assert PLANTED not in str(caught.value)


def test_a_key_does_not_cross_a_network_unencrypted_unless_it_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[endpoints.lan]\nbase_url = "http://10.0.0.7:8000/v1"\napi_key = "literal-key"\n'
    settings = written(text)
    with pytest.raises(ConfigError, match=r"not encrypted.*allow_http"):
        key_for("lan", settings)
    assert key_for("lan", written(text + "allow_http = true\n")) == "literal-key"
    assert key_for("here", written(text.replace("lan", "here").replace("10.0.0.7", "127.0.0.1"))) == "literal-key"
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://10.0.0.7/v1")
    with pytest.raises(ConfigError, match="not encrypted"):
        key_for("openai", Settings())


def test_the_place_for_a_key_is_named() -> None:
    settings = written(
        '[endpoints.work]\nbase_url = "https://llm.example"\napi_key = "${WORK_KEY}"\n'
        '[endpoints.bare]\nbase_url = "https://llm.example"\n'
    )
    found = load_endpoints(settings)
    assert "ANTHROPIC_API_KEY" in where_to_put_key(found["anthropic"], settings)
    assert str(keys_path()) in where_to_put_key(found["anthropic"], settings)
    assert "environment variable WORK_KEY" in where_to_put_key(found["work"], settings)
    assert "[endpoints.bare]" in where_to_put_key(found["bare"], settings)


def test_secrets_from_everywhere_are_known_and_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "groq-key-123")
    monkeypatch.setenv("BOX", "box-key-123")
    settings = written(
        '[endpoints.box]\nbase_url = "https://box.example"\napi_key = "literal-123"\n'
        'headers = { Authorization = "Bearer ${BOX}" }\n'
    )
    save_key("other", "https://other.example", Secret("stored-123"))
    text = "groq-key-123 Bearer box-key-123 box-key-123 literal-123 stored-123 end"
    assert without_secrets(text, known_secrets(settings)) == "••• ••• ••• ••• ••• end"


def test_a_planted_key_is_in_no_text_made_of_settings_and_endpoints(
    monkeypatch: pytest.MonkeyPatch, sealed: Path
) -> None:
    monkeypatch.setenv("VIA_VARIABLE", PLANTED)
    settings = written(
        f'[endpoints.a]\nbase_url = "https://a.example"\napi_key = "{PLANTED}"\nheaders = {{ "X-Key" = "{PLANTED}" }}\n'
        '[endpoints.b]\nbase_url = "https://b.example"\napi_key = "${VIA_VARIABLE}"\n'
        'headers = { "X-Key" = "${VIA_VARIABLE}" }\n'
        f'[endpoints.c]\nbase_url = "http://c.example"\napi_key = "{PLANTED}"\n'
    )
    save_key("d", "https://d.example", Secret(PLANTED))
    endpoints = load_endpoints(settings)
    found = locate_key(endpoints["a"], settings)
    assert found is not None
    assert found.key.reveal() == PLANTED, "else the test looks for nothing"
    texts = [repr(thing) for thing in (settings, endpoints, found, known_secrets(settings))]
    texts += [str(found.key), f"{found.key}", repr(vars(endpoints["a"]) if hasattr(endpoints["a"], "__dict__") else "")]
    texts += [where_to_put_key(endpoint, settings) for endpoint in endpoints.values()]
    for thing in (settings, settings.endpoints["a"], endpoints["a"], endpoints["b"], found.key):
        with pytest.raises(TypeError) as refused:
            msgspec.json.encode(thing)
        texts.append(str(refused.value))
    with pytest.raises(ConfigError) as caught:
        find_key(endpoints["c"], settings)
    texts += [str(caught.value), repr(caught.value), repr(caught.value.problem)]
    assert not [text for text in texts if PLANTED in text]
    holders = {path for path in sealed.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()}
    assert holders == {settings_path(), keys_path()}, "the two files into which it was put"
