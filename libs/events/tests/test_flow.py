"""The offset that may be committed, whatever order events finish in."""

from hypothesis import given
from hypothesis import strategies as st

from events.flow import Flow

GAPS = st.lists(st.integers(1, 5), min_size=1, max_size=40)


@given(first=st.integers(0, 1000), gaps=GAPS, data=st.data())
def test_the_position_never_passes_an_unfinished_event_and_reaches_the_end(
    first: int, gaps: list[int], data: st.DataObject
) -> None:
    offsets = [first]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    flow = Flow()
    for offset in offsets:
        flow.dispatch(offset)
    assert flow.position == first
    unfinished = set(offsets)
    for offset in data.draw(st.permutations(offsets)):
        before = flow.position
        flow.finish(offset)
        unfinished.discard(offset)
        assert flow.position is not None
        assert before is not None
        assert flow.position >= before
        assert flow.in_flight == len(unfinished)
        if unfinished:
            first_open = min(unfinished)
            # Everything before the first unfinished event is done, and nothing beyond is given away.
            assert flow.position <= first_open
            assert all(done < flow.position for done in offsets if done < first_open)
    assert flow.position == offsets[-1] + 1
    assert flow.in_flight == 0


@given(gaps=GAPS, data=st.data())
def test_dispatching_and_finishing_may_be_mixed(gaps: list[int], data: st.DataObject) -> None:
    flow, unfinished, offset = Flow(), [], 0
    for gap in gaps:
        offset += gap
        flow.dispatch(offset)
        unfinished.append(offset)
        if data.draw(st.booleans()):
            flow.finish(unfinished.pop(data.draw(st.integers(0, len(unfinished) - 1))))
        if unfinished:
            assert flow.position is not None
            assert flow.position <= unfinished[0]
    assert flow.in_flight == len(unfinished)


def test_what_is_assigned_and_not_handled_yet_is_not_committed() -> None:
    flow = Flow()
    assert flow.position is None
    flow.dispatch(7)
    assert flow.position == flow.committed == 7
