"""The whole path with real weights: HTTP to the bridge, gRPC to the backend, the local model."""

import json

from tests.conftest import http_client
from tests.processes import server_process

PATH = "/v1/chat/completions"
CAPITAL = {"messages": [{"role": "user", "content": "Name the capital of France."}]}


async def test_the_default_model_answers_a_browser_s_request() -> None:
    async with (
        server_process("backend") as backend,
        server_process("bridge", "--backend", await backend.address()) as bridge,
        http_client(f"http://{await bridge.address()}", timeout=60) as http,
    ):
        models = (await http.get("/v1/models")).json()["data"]
        assert (models[0]["id"], models[0]["default"]) == ("smollm2-135m-instruct", True)

        body = {**CAPITAL, "temperature": 0, "max_tokens": 32, "stream": True}
        response = await http.post(PATH, json=body)
        *frames, done, rest = response.text.split("\n\n")
        assert (done, rest) == ("data: [DONE]", "")
        objects = [json.loads(frame.removeprefix("data: ")) for frame in frames]
        text = "".join(object_["content"] for object_ in objects)
        assert "Paris" in text
        assert len(objects) > 3
        assert objects[-1]["finish_reason"] in {"stop", "length"}
        usage = objects[-1]["usage"]
        assert usage["prompt_tokens"] > 0
        assert 0 < usage["completion_tokens"] <= 32
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]

        whole = await http.post(PATH, json={**body, "stream": False})
        assert whole.json()["content"] == text
        assert whole.json()["model"] == "smollm2-135m-instruct"

        too_long = {"messages": [{"role": "user", "content": "word " * 20_000}]}
        refused = await http.post(PATH, json=too_long, headers={"prefer": "status"})
        assert refused.status_code == 400
        assert refused.json()["code"] == "INVALID_ARGUMENT"

        assert await bridge.stop() == 0
        assert await backend.stop() == 0
        for server in (bridge, backend):
            assert server.other_output == []
