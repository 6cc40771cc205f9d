"""What can be set, from where, and how a wrong value is told."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from backend.settings import Settings, explain, is_loopback

KEY = "sk-this-is-secret"


@pytest.fixture(autouse=True)
def _only_our_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BACKEND_{name.upper()}", raising=False)


def told(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings(**settings)
    return explain(caught.value)


def test_the_defaults_serve_the_local_model_on_this_machine_only() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 50051)
    assert settings.default_model == settings.local_model == "smollm2-135m-instruct"
    assert settings.local_enabled
    assert settings.script_enabled
    assert not settings.allow_crash


def test_a_flag_beats_a_variable_which_beats_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backend.toml"
    file.write_text('port = 1\nmax_queued = 1\nmodel = "from-file"\n')
    monkeypatch.setenv("BACKEND_CONFIG", str(file))
    monkeypatch.setenv("BACKEND_PORT", "2")
    monkeypatch.setenv("BACKEND_MAX_QUEUED", "2")
    settings = Settings(port=3)
    assert (settings.port, settings.max_queued, settings.model) == (3, 2, "from-file")


def test_a_file_can_hold_lists(tmp_path: Path) -> None:
    file = tmp_path / "backend.toml"
    file.write_text('openai_base_url = "http://a"\nopenai_models = ["m", "n"]\n')
    assert Settings(config=file).openai_models == ["m", "n"]


def test_a_variable_holds_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_OPENAI_BASE_URL", "http://a/v1/")
    monkeypatch.setenv("BACKEND_OPENAI_MODELS", "m, n,")
    settings = Settings()
    assert settings.openai_models == ["m", "n"]
    assert settings.openai_base_url == "http://a/v1"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODELS", "WEIGHTS"):
        monkeypatch.setenv(f"BACKEND_{name}", "")
    assert Settings() == Settings.model_construct()


@pytest.mark.parametrize(
    ("settings", "model", "local"),
    [
        ({}, "smollm2-135m-instruct", True),
        ({"model": "smollm2-135m-instruct"}, "smollm2-135m-instruct", True),
        ({"model": "script"}, "script", False),
        ({"model": "script", "local": "on"}, "script", True),
        ({"local": "off"}, "smollm2-135m-instruct", False),
        ({"weights": Path(__file__)}, "test_settings", True),
        ({"weights": Path(__file__), "model": "script"}, "script", True),
    ],
)
def test_the_local_model_is_loaded_when_it_is_wanted(
    settings: dict[str, Any], model: str, local: bool
) -> None:
    settings_ = Settings(**settings)
    assert (settings_.default_model, settings_.local_enabled) == (model, local)


@pytest.mark.parametrize(
    ("settings", "enabled", "reason"),
    [
        ({}, True, "127.0.0.1 is a loopback address"),
        ({"host": "0.0.0.0"}, False, "0.0.0.0 is no loopback address"),  # noqa: S104
        ({"host": "0.0.0.0", "script": "on"}, True, "BACKEND_SCRIPT is on"),  # noqa: S104
        ({"script": "off"}, False, "BACKEND_SCRIPT is off"),
    ],
)
def test_the_script_model_is_offered_to_this_machine_only(
    settings: dict[str, Any], enabled: bool, reason: str
) -> None:
    settings_ = Settings(**settings)
    assert (settings_.script_enabled, settings_.script_reason) == (enabled, reason)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("::", False),
        ("192.168.1.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_addresses_are_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"port": "x"},
            "BACKEND_PORT (--port): Input should be a valid integer, unable to parse string as "
            "an integer, got 'x'",
        ),
        ({"config": "/none"}, "BACKEND_CONFIG (--config): no such file, got '/none'"),
        ({"weights": "/none"}, "BACKEND_WEIGHTS (--weights): no such file, got '/none'"),
        (
            {"context_tokens": 1000},
            "BACKEND_CONTEXT_TOKENS (--context-tokens): Input should be a multiple of 256, "
            "got 1000",
        ),
        (
            {"openai_base_url": "api.example.com"},
            "BACKEND_OPENAI_BASE_URL (--openai-base-url): must be a URL, as in "
            "https://api.example.com/v1, got 'api.example.com'",
        ),
        (
            {"openai_base_url": "http://a:b"},
            "BACKEND_OPENAI_BASE_URL (--openai-base-url): must be a URL: Invalid port: 'b', "
            "got 'http://a:b'",
        ),
        (
            {"openai_models": "m"},
            "BACKEND_OPENAI_MODELS (--openai-models): needs BACKEND_OPENAI_BASE_URL "
            "(--openai-base-url), got 'm'",
        ),
        ({"prot": 1}, "prot: there is no such setting"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_flag(
    settings: dict[str, Any], line: str
) -> None:
    assert told(**settings) == line


def test_all_wrong_values_are_told() -> None:
    lines = told(port=-1, max_concurrent=0, shutdown_grace=-1).splitlines()
    assert [line.partition(" ")[0] for line in lines] == [
        "BACKEND_PORT",
        "BACKEND_MAX_CONCURRENT",
        "BACKEND_SHUTDOWN_GRACE",
    ]


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "backend.toml"
    file.write_text("port: 1")
    with pytest.raises(SettingsError) as caught:
        Settings(config=file)
    assert str(caught.value).startswith(f"{file} can't be read as TOML: ")


@pytest.mark.parametrize("key", [f"{KEY} ", f"{KEY}\n", f"{KEY}\u00e9"])
def test_a_key_that_fits_no_header_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(openai_api_key=key)
    assert explain(caught.value) == (
        "BACKEND_OPENAI_API_KEY (--openai-api-key): must be printable ASCII with no space"
    )
    assert KEY not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    settings = Settings(openai_api_key=KEY)
    assert KEY not in repr(settings)
    assert KEY not in settings.model_dump_json()
