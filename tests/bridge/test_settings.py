"""Where settings come from, and what is said of wrong ones."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.settings import Settings, explain


def refusal(**flags: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings(**flags)  # type: ignore[arg-type]
    return explain(caught.value)


def test_the_defaults_are_good() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.backend == "127.0.0.1:50051"
    assert settings.cors_origins == []


def test_a_flag_comes_before_the_environment_and_that_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text('host = "10.0.0.1"\nport = 1\nbackend = "file:1"\n')
    monkeypatch.setenv("BRIDGE_CONFIG", str(file))
    monkeypatch.setenv("BRIDGE_PORT", "2")
    monkeypatch.setenv("BRIDGE_BACKEND", "environment:2")
    settings = Settings(backend="flag:3")
    assert (settings.host, settings.port, settings.backend) == ("10.0.0.1", 2, "flag:3")


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    assert Settings().cors_origins == ["https://a.example", "http://localhost:3000"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"port": "x"}, "BRIDGE_PORT (--port): Input should be a valid integer"),
        ({"port": 65536}, "BRIDGE_PORT (--port): Input should be less than or equal to 65535"),
        (
            {"backend": "host"},
            "BRIDGE_BACKEND (--backend): 'host' must be host:port, as in",
        ),
        ({"backend": "host:0"}, "BRIDGE_BACKEND (--backend): 'host:0' must be host:port"),
        ({"backend": "host:http"}, "BRIDGE_BACKEND (--backend): 'host:http' must be"),
        (
            {"backend_authority": ".internal"},
            "BRIDGE_BACKEND_AUTHORITY (--backend-authority): must be the name of a host, as in "
            "backend.internal, got '.internal'",
        ),
        ({"backend_authority": "a b"}, "BRIDGE_BACKEND_AUTHORITY (--backend-authority): must be"),
        ({"backend_authority": "a\r\nx: y"}, "BRIDGE_BACKEND_AUTHORITY (--backend-authority): "),
        ({"backend_authority": "https://a"}, "BRIDGE_BACKEND_AUTHORITY (--backend-authority): "),
        (
            {"cors_origins": "example.com"},
            "BRIDGE_CORS_ORIGINS (--cors-origins): 'example.com' is not an origin, as in https://",
        ),
        ({"cors_origins": "https://a/b"}, "BRIDGE_CORS_ORIGINS (--cors-origins): 'https://a/b'"),
        ({"shutdown_grace": -1}, "BRIDGE_SHUTDOWN_GRACE (--shutdown-grace): Input should be"),
        ({"log_format": "xml"}, "BRIDGE_LOG_FORMAT (--log-format): Input should be 'auto'"),
        ({"config": "nowhere.toml"}, "BRIDGE_CONFIG (--config): no such file, got 'nowhere.toml'"),
        ({"prot": 1}, "prot: there is no such setting"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_flag(
    flags: dict[str, object], message: str
) -> None:
    assert refusal(**flags).startswith(message)


@pytest.mark.parametrize("name", ["", "a", "api.x-1.internal:443", "10.0.0.1", "[::1]:443", "a_b"])
def test_an_authority_may_be_any_name_of_a_host(name: str) -> None:
    assert Settings(backend_authority=name).backend_authority == name


def test_every_wrong_value_has_its_line() -> None:
    lines = refusal(port="x", backend="y").splitlines()
    assert [line.split()[0] for line in lines] == ["BRIDGE_PORT", "BRIDGE_BACKEND"]
    assert all(line.endswith(("got 'x'", "got 'y'")) for line in lines)


def test_an_unknown_setting_in_the_file_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text("prot = 1\n")
    monkeypatch.setenv("BRIDGE_CONFIG", str(file))
    assert refusal() == "prot: there is no such setting"
