"""TLS to the backends, in both directions, tokens, and files that are replaced."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
from pydantic import SecretStr, ValidationError

from bridge.settings import Settings, explain
from bridge.upstream.credentials import CredentialFiles, CredentialsError
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend, serving_stepped
from tests.conftest import (
    DONE,
    RunningBridge,
    ask,
    eventually,
    http_client,
    on_each_transport,
    serving_bridge,
)
from tests.processes import run_command

PATH = "/v1/chat/completions"


class Files:
    """The files of the bridge's credentials, and the authority that signs all certificates."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.certificate = folder / "bridge.pem"
        self.key = folder / "bridge.key"
        self.token = folder / "token"
        self.authority.cert_pem.write_to_path(self.ca)
        self.token.write_text("first\n")
        self.write_certificate("bridge one")

    def write_certificate(self, common_name: str) -> None:
        """Write the bridge's certificate and key."""
        issued = self.authority.issue_cert(common_name=common_name)
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)

    def server(self, name: str, *, ask_client: bool = False) -> grpc.ServerCredentials:
        """Return the credentials of a backend whose certificate is for ``name``."""
        issued = self.authority.issue_cert(name)
        pair = (issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())
        ca = self.authority.cert_pem.bytes() if ask_client else None
        return grpc.ssl_server_credentials([pair], ca, require_client_auth=ask_client)

    @property
    def mutual(self) -> dict[str, Any]:
        """The settings of a bridge that has a certificate."""
        return {
            "backend_tls": True,
            "backend_ca": self.ca,
            "backend_certificate": self.certificate,
            "backend_key": self.key,
        }


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@asynccontextmanager
async def bridge_to(
    stepped: SteppedBackend, **settings: Any
) -> AsyncIterator[tuple[RunningBridge, httpx.AsyncClient]]:
    async with (
        serving_bridge(Settings(backend=stepped.address, retries=0, **settings)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        yield running, http


@on_each_transport
async def test_a_backend_is_trusted_when_the_authority_has_signed_its_name(files: Files) -> None:
    async with (
        serving_stepped(credentials=files.server("127.0.0.1")) as stepped,
        bridge_to(stepped, backend_tls=True, backend_ca=files.ca) as (_, http),
    ):
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
        assert stepped.client_name is None


@on_each_transport
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_what_a_comment_says_of_an_authority_does_not_matter(
    files: Files, encoding: str
) -> None:
    others = trustme.CA().cert_pem.bytes()
    comments = ["# Früher\n".encode(encoding), "# Größe: 2048\n".encode(encoding)]
    files.ca.write_bytes(comments[0] + others + comments[1] + files.ca.read_bytes())
    async with (
        serving_stepped(credentials=files.server("127.0.0.1")) as stepped,
        bridge_to(stepped, backend_tls=True, backend_ca=files.ca) as (_, http),
    ):
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE


@on_each_transport
@pytest.mark.parametrize("wrong", ["name", "authority", "no TLS at the backend", "no TLS at all"])
async def test_a_backend_that_can_t_be_trusted_gets_no_request(
    files: Files, wrong: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = "elsewhere.internal" if wrong == "name" else "127.0.0.1"
    others = Files(tmp_path_factory.mktemp("others")) if wrong == "authority" else files
    credentials = None if wrong == "no TLS at the backend" else files.server(name)
    settings: dict[str, Any] = {"backend_tls": True, "backend_ca": others.ca}
    async with (
        serving_stepped(credentials=credentials) as stepped,
        bridge_to(stepped, **({} if wrong == "no TLS at all" else settings)) as (running, http),
    ):
        answer = await http.post(PATH, json=ask("hello"), headers={"x-request-id": "r"})
        assert b'"code":"UNAVAILABLE"' in answer.content
        assert b"The backend is not available." in answer.content
        assert (await http.get("/readyz")).status_code == 503
        assert (await running.record("r")).error
        assert stepped.asked_for == []


@on_each_transport
async def test_an_authority_of_its_own_is_what_the_certificate_must_name(files: Files) -> None:
    async with (
        serving_stepped(credentials=files.server("backend.internal")) as stepped,
        bridge_to(
            stepped,
            backend_tls=True,
            backend_ca=files.ca,
            backend_authority="backend.internal:443",
        ) as (_, http),
    ):
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE


async def told_who_the_bridge_is(files: Files) -> None:
    async with (
        serving_stepped(credentials=files.server("127.0.0.1", ask_client=True)) as stepped,
        bridge_to(stepped, **files.mutual) as (_, http),
    ):
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
        assert stepped.client_name == "bridge one"


@on_each_transport
async def test_a_backend_that_asks_who_the_bridge_is_is_told(files: Files) -> None:
    await told_who_the_bridge_is(files)


@on_each_transport
async def test_without_a_certificate_it_is_refused(files: Files) -> None:
    async with (
        serving_stepped(credentials=files.server("127.0.0.1", ask_client=True)) as stepped,
        bridge_to(stepped, backend_tls=True, backend_ca=files.ca) as (_, http),
    ):
        assert b'"UNAVAILABLE"' in (await http.post(PATH, json=ask("hello"))).content
        assert stepped.asked_for == []


@on_each_transport
async def test_files_are_replaced_while_a_stream_goes_on(files: Files) -> None:
    async with (
        serving_stepped(credentials=files.server("127.0.0.1", ask_client=True)) as stepped,
        bridge_to(stepped, **files.mutual, backend_refresh=0.05) as (running, http),
        http.stream("POST", PATH, json=ask("hello")) as response,
    ):
        chunks = response.aiter_raw()
        await stepped.send(StreamCompletionResponse(text="a"))
        assert await anext(chunks) == b'data: {"content":"a"}\n\n'
        (before,) = running.backends.links
        files.write_certificate("bridge two")
        await eventually(lambda: before not in running.backends.links)
        await stepped.send(StreamCompletionResponse(text="b"))
        await stepped.end()
        assert b"".join([chunk async for chunk in chunks]) == b'data: {"content":"b"}\n\n' + DONE
        assert stepped.client_name == "bridge one"
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
        assert stepped.client_name == "bridge two"


@on_each_transport
async def test_files_that_can_t_be_used_change_nothing(files: Files) -> None:
    async with (
        serving_stepped(credentials=files.server("127.0.0.1", ask_client=True)) as stepped,
        bridge_to(stepped, **files.mutual, backend_refresh=0.05) as (running, http),
    ):
        (link,) = running.backends.links
        refreshed = running.backends.refreshed
        files.key.write_text("half of a key")
        await eventually(lambda: running.backends.refreshed >= refreshed + 2)
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
        assert running.backends.links == (link,)


@pytest.mark.logs_errors
async def test_good_files_with_which_no_channel_can_be_made_change_nothing(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_log = tmp_path / "key.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(key_log))
    async with (
        serving_stepped(credentials=files.server("127.0.0.1", ask_client=True)) as stepped,
        bridge_to(stepped, **files.mutual, transport="native", backend_refresh=0.05) as (
            running,
            http,
        ),
    ):
        (link,) = running.backends.links
        # Python's ssl makes no context when it can't write to this file.
        key_log.unlink()
        key_log.mkdir()
        refreshed = running.backends.refreshed
        files.write_certificate("bridge two")
        await eventually(lambda: running.backends.refreshed >= refreshed + 2)
        assert running.backends.links == (link,)
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
        key_log.rmdir()
        await eventually(lambda: link not in running.backends.links)
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
        assert stepped.client_name == "bridge two"


@on_each_transport
async def test_a_token_is_sent_with_each_rpc_and_read_again(files: Files) -> None:
    async with (
        serving_stepped() as stepped,
        bridge_to(stepped, backend_token_file=files.token, backend_refresh=0.05) as (running, http),
    ):
        await stepped.end()
        await http.post(PATH, json=ask("hello"))
        assert ("authorization", "Bearer first") in stepped.metadata
        (before,) = running.backends.links
        files.token.write_text("second")
        await eventually(lambda: before not in running.backends.links)
        await stepped.end()
        await http.post(PATH, json=ask("hello"))
        assert ("authorization", "Bearer second") in stepped.metadata


@on_each_transport
@pytest.mark.parametrize("token", ["secret", " secret\r\n"])
async def test_a_token_can_be_a_setting(stepped: SteppedBackend, token: str) -> None:
    async with bridge_to(stepped, backend_token=SecretStr(token)) as (_, http):
        await stepped.end()
        await http.post(PATH, json=ask("hello"))
    assert ("authorization", "Bearer secret") in stepped.metadata


NO_TOKENS = [" \n", "my-secret\ntwo", "my-secret é", "my-secret \udcff"]


@pytest.mark.parametrize("content", ["", *NO_TOKENS])
def test_a_token_of_several_lines_is_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CredentialsError, match="has no token: one line of ASCII is expected"):
        CredentialFiles(token_file=file).read()


@pytest.mark.parametrize("token", NO_TOKENS)
def test_a_setting_that_is_no_token_is_told_and_not_shown(token: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(backend_token=SecretStr(token))
    assert explain(caught.value) == (
        "BRIDGE_BACKEND_TOKEN (--backend-token) has no token: one line of ASCII is expected"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("backend_tls", "backend_certificate"), "BACKEND_CERTIFICATE (--backend-certificate) and"),
        (("backend_tls", "backend_key"), "BACKEND_CERTIFICATE (--backend-certificate) and"),
        (("backend_ca",), "BRIDGE_BACKEND_CA (--backend-ca) is for TLS: set BRIDGE_BACKEND_TLS"),
    ],
)
def test_settings_that_need_each_other_are_told(
    files: Files, given: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: files.mutual[name] for name in given})
    assert message in explain(caught.value)


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_each_file_is_read_once_so_that_what_is_checked_is_what_is_used(
    files: Files, name: str
) -> None:
    paths: dict[str, Any] = {"ca": files.ca, "certificate": files.certificate, "key": files.key}
    content: bytes = paths[name].read_bytes()
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    try:
        read = CredentialFiles(tls=True, **{**paths, name: Path(f"/dev/fd/{reader}")}).read()
    finally:
        os.close(reader)
    assert getattr(read.tls, name) == content


@on_each_transport
async def test_another_key_in_the_certificate_s_file_does_not_matter(files: Files) -> None:
    other = files.authority.issue_cert(common_name="other").private_key_pem.bytes()
    files.certificate.write_bytes(other + files.certificate.read_bytes())
    await told_who_the_bridge_is(files)


@pytest.mark.parametrize("name", ["backend_ca", "backend_certificate", "backend_key"])
@pytest.mark.parametrize("text", [None, "", "no PEM", "\N{SNOWMAN}"])
def test_a_file_that_can_t_be_used_is_named(
    files: Files, name: str, text: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValidationError) as caught:
        Settings(**{**files.mutual, name: file})
    assert str(file) in explain(caught.value)


@on_each_transport
async def test_a_token_is_never_shown(files: Files) -> None:
    flags = ("--backend-token", "my-secret", "--backend-token-file", str(files.token))
    status, out, err = await run_command("bridge", "check", *flags)
    assert status == 2
    assert "set BRIDGE_BACKEND_TOKEN (--backend-token) or BRIDGE_BACKEND_TOKEN_FILE" in err
    assert "my-secret" not in out + err
