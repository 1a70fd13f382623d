import pytest

from mlmagic.journal import Report, events, read

ENDED = events.encode(events.session_ended("s1", 1.0))


def lines(path, offset=0):
    report = Report()
    return len(list(read(path, offset, report))), report


def test_reading_goes_on_from_any_offset_it_gave(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(ENDED * 3)
    offsets = [offset for _, offset in read(path)]
    assert offsets == [len(ENDED) * n for n in (1, 2, 3)]
    assert [lines(path, offset)[0] for offset in offsets] == [2, 1, 0]


@pytest.mark.parametrize("cut", range(1, len(ENDED)))
def test_a_line_without_its_end_is_not_there_yet(tmp_path, cut):
    path = tmp_path / "s.jsonl"
    path.write_bytes(ENDED + ENDED[:cut])
    count, report = lines(path)
    assert (count, report.offset, report.torn) == (1, len(ENDED), [])
    path.write_bytes(ENDED + ENDED)
    assert lines(path, report.offset)[0] == 1


def test_a_torn_line_in_the_middle_is_dropped_and_reported(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(ENDED + ENDED[:9] + b"\n\n" + ENDED + b"\x00\x00\n")
    count, report = lines(path)
    assert count == 2
    assert report.torn == [len(ENDED), len(ENDED) * 2 + 11]
    assert report.offset == path.stat().st_size


def test_events_of_a_later_release_are_counted_and_passed_over(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"v":1,"event":"labelled"}\n{"v":7,"event":"session"}\n' + ENDED)
    count, report = lines(path)
    assert (count, report.newer, report.torn) == (1, 2, [])


def test_a_journal_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read(tmp_path / "s.jsonl"))
