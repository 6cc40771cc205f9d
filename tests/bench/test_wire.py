import pytest

from bench.order import last_text, stamped_text
from bench.wire import COMPACT, Grammar, Reading

SIZE = 30
STAMP = 1_234_567_890_123_456
COUNT = 12

FRAMES = [
    *(f'data: {{"content":"{stamped_text(n, STAMP, SIZE)}"}}\n\n' for n in range(COUNT)),
    f'data: {{"content":"{last_text(COUNT)}"}}\n\n',
    "data: [DONE]\n\n",
]
BODY = "".join(FRAMES).encode()
GRAMMAR = Grammar(COMPACT, SIZE)


def read(pieces: list[bytes]) -> Reading:
    reading = Reading(GRAMMAR)
    for piece in pieces:
        stamps = reading.feed(piece)
        assert all(int(stamp) == STAMP for stamp in stamps)
    reading.finish()
    return reading


@pytest.mark.parametrize("width", [1, 2, 3, 7, 64, 1000, len(BODY)])
def test_a_whole_stream_is_whole_however_it_is_cut_into_pieces(width: int) -> None:
    reading = read([BODY[at : at + width] for at in range(0, len(BODY), width)])
    assert (reading.messages, reading.fault) == (COUNT, "")


def test_every_single_byte_that_is_missing_is_noticed() -> None:
    unnoticed = [at for at in range(len(BODY)) if not read([BODY[:at] + BODY[at + 1 :]]).fault]
    assert not unnoticed


def test_every_frame_that_is_missing_or_comes_twice_is_noticed() -> None:
    for at in range(len(FRAMES)):
        assert read(["".join(FRAMES[:at] + FRAMES[at + 1 :]).encode()]).fault
        assert read(["".join(FRAMES[: at + 1] + FRAMES[at:]).encode()]).fault


def test_heartbeats_between_frames_are_no_fault() -> None:
    with_heartbeats = b"".join(b": ping\n\n" + frame.encode() for frame in FRAMES[:COUNT])
    reading = read([with_heartbeats, BODY[len("".join(FRAMES[:COUNT])) :]])
    assert (reading.messages, reading.fault) == (COUNT, "")
