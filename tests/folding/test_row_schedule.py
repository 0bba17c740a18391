"""Which level pair meets where: all pairs of all rows once, in order, as the memory has them."""

from itertools import pairwise, product

import pytest

from mubinn.golden.folding.row_schedule import RowSchedule

ROWS = 13
CASES = [
    (left, weights, side, packed)
    for left, weights, packed in product((1, 2, 3, 4), (1, 2, 3), (False, True))
    for side in range(1, left * weights + 1)
]


def met(schedule, rows):
    """Walk the cycles as the hardware does; return what each row meets, and in which cycle it ends.

    A row's pairs carry the plane that the memory's word holds at the slot, numbered from the row's.
    """
    windows = schedule.windows(rows) if schedule.packed else None
    found, ends = [[] for _ in range(rows + 1)], []
    row = word = 0
    for issue in range(schedule.count(rows)):
        cycle = issue % schedule.cycles
        if windows is None:
            first = schedule.first_planes[cycle] + row * schedule.weights
        else:
            first = windows[word]
        for unit, pair in enumerate(schedule.pairs[cycle]):
            late = schedule.late[cycle][unit]
            if pair is not None:
                plane = first + schedule.slot[cycle][unit] - (row + late) * schedule.weights
                assert schedule.slot[cycle][unit] < schedule.slots
                found[row + late].append((*pair, plane))
        assert schedule.row_of(issue) == row
        if schedule.ends[cycle]:
            ends.append(issue)
            row += 1
        word += schedule.advances[cycle]
    assert row == rows
    return found[:rows], ends


@pytest.mark.parametrize("case", CASES)
def test_each_row_meets_all_its_pairs_in_order(case):
    schedule = RowSchedule(*case)
    pairs = [(i, j, j) for j in range(schedule.weights) for i in range(schedule.left)]
    found, ends = met(schedule, ROWS)
    assert found == [pairs] * ROWS
    assert min(b - a for a, b in pairwise(ends)) == schedule.interval
    begins = [schedule.begins[issue % schedule.cycles] for issue in range(schedule.count(ROWS))]
    starts = [0, *(end + 1 for end in ends[:-1])]
    assert [issue for issue, begin in enumerate(begins) if begin] == starts
    least = -(-ROWS * schedule.planes // schedule.side)
    assert schedule.count(ROWS) == (least if schedule.packed else ROWS * schedule.cycles)


@pytest.mark.parametrize("case", CASES)
def test_places_tell_where_a_rows_pairs_have_been(case):
    schedule = RowSchedule(*case)
    _, ends = met(schedule, ROWS)
    for row, end in enumerate(ends):
        places = schedule.places(row)
        assert places[-1][0] == schedule.issues - 1
        assert all(0 <= cycle < schedule.issues for cycle, _ in places)
        for number, (cycle, unit) in enumerate(places):
            issue = (end - schedule.issues + 1 + cycle) % schedule.cycles
            pair = (number % schedule.left, number // schedule.left)
            assert schedule.pairs[issue][unit] == pair
    assert any(schedule.places(row)[0][0] == 0 for row in range(schedule.cycles))
