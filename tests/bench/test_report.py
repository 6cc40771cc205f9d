"""What is written is what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import loads, peers, programme
from bench.claims import claims, faults
from bench.plots import PLOTS, write_plots
from bench.profile import of_their_own
from bench.report import DATA, DOCUMENT, NOT_MEASURED, REPORT, document, markdown
from bench.results import Profile, Results
from tests.bench.measured import OURS, results, run


def whole_results() -> Results:
    everything = [
        run(peer.name, trial.load, number, cpu=0.5 + 0.1 * number)
        for number in range(3)
        for trial in programme.full()
        for peer in trial.peers
    ]
    profile = Profile(
        OURS, loads.PACED_200.name, 20.0, 5000, {"send (libc)": 8.0, "all others": 12.0}
    )
    return replace(results(*everything), profiles=[profile])


def test_a_claim_is_the_median_of_what_each_round_says() -> None:
    load = loads.PACED_200
    # A machine that is three times as slow in the second round; the last round has ours alone.
    ours = [run(OURS, load, n, cpu=cpu) for n, cpu in enumerate((0.33, 0.90, 0.36, 0.5))]
    envoy = [run(peers.ENVOY.name, load, n, cpu=cpu) for n, cpu in enumerate((0.30, 0.90, 0.30))]
    claim = claims(results(*ours, *envoy))[0]
    assert (claim.ours, claim.other) == ("14.3", "10.0")
    assert claim.ratios.values == pytest.approx([1.1, 1.0, 1.2])
    assert claim.ratio == pytest.approx(1.1)
    assert not claim.holds
    assert claim.verdict == "**no**"


def test_what_was_not_measured_is_not_claimed() -> None:
    assert claims(results(run(OURS, loads.FLOOD))) == []


def test_a_peer_that_loses_a_byte_is_named() -> None:
    found = results(run(OURS, loads.PACED_200, faults={"a message is missing": 2}))
    assert faults(found) == [f"{OURS} under paced-200x50, round 1: 2 a message is missing"]
    assert "- " + faults(found)[0] in markdown(found)


def test_what_is_left_of_a_flood_is_no_fault_and_is_told() -> None:
    found = results(run(peers.SSE_STARLETTE.name, loads.FLOOD, not_awaited=50))
    assert faults(found) == []
    assert "is not waited for" in markdown(found)
    assert faults(results(run(OURS, loads.FLOOD, unfinished=50))) != []


def test_a_figure_that_the_backend_may_have_limited_is_marked() -> None:
    strained = run(OURS, loads.FLOOD, backend_cpu=1.5, generator_cpu=1.2)
    assert strained.strained
    assert f"| {programme.ours().title} † |" in markdown(results(strained))
    assert not run(OURS, loads.FLOOD).strained
    assert not replace(strained, cpu=2.95).strained
    assert replace(strained, workers=2, shared_cores=2, cpu=2.95).strained
    assert not replace(strained, workers=2, shared_cores=4, cpu=2.95).strained


def test_the_data_can_be_read_again(tmp_path: Path) -> None:
    found = whole_results()
    found.write(tmp_path / "report.json")
    assert markdown(Results.read(tmp_path / "report.json")) == markdown(found)


def test_every_section_of_the_document_is_written(tmp_path: Path) -> None:
    found = whole_results()
    assert NOT_MEASURED not in document(DOCUMENT.read_text(), found, PLOTS)
    write_plots(found, tmp_path)
    for name in PLOTS:
        assert (tmp_path / f"{name}.svg").read_text().startswith("<?xml")


def test_the_document_says_what_the_data_say() -> None:
    found = Results.read(DATA) if DATA.exists() else None
    text = DOCUMENT.read_text()
    assert text == document(text, found, PLOTS)
    assert found is None or REPORT.read_text() == markdown(found)


def test_time_belongs_to_the_innermost_function_that_has_a_name() -> None:
    loop = "thread (0x1): MainThread;run (asyncio/runners.py:1);Handle__run (loop.c:2)"
    stacks = [
        f"{loop};send (bridge/stream.py:3);Py_DECREF (object.h:537) 2",
        f"{loop};send (bridge/stream.py:9);malloc (libc.so.6) 1",
        f"{loop};send (bridge/stream.py:3);write (libc.so.6) 4",
        f"{loop};0x7f0 (_message.abi3.so);malloc (libc.so.6) 5",
        f"{loop};uv__io_poll (linux.c:4);epoll_pwait (libc.so.6) 100",
        "thread (0x2): worker;get (queue.py:1);0x7f1 (libc.so.6) 100",
    ]
    assert of_their_own("\n".join(stacks)) == {
        "send (bridge/stream.py)": 3,
        "write (system call)": 4,
        "protobuf": 5,
    }
