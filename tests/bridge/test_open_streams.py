from bridge.open_streams import OpenStreams


class Stream:
    def __init__(self) -> None:
        self.cuts = 0

    def cut(self) -> None:
        self.cuts += 1


def test_every_open_stream_is_cut_and_no_ended_one() -> None:
    streams = OpenStreams()
    open_one, ended = Stream(), Stream()
    streams.add(open_one)
    streams.add(ended)
    streams.discard(ended)
    assert len(streams) == 1
    streams.cut_all()
    assert (open_one.cuts, ended.cuts) == (1, 0)


def test_a_stream_that_comes_too_late_is_cut_at_once() -> None:
    streams = OpenStreams()
    streams.cut_all()
    late = Stream()
    streams.add(late)
    assert late.cuts == 1
