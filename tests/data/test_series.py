from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.data import read_series, rolling_origins, windows
from audioseq.files import FileError, shipped


def test_the_bundled_series():
    co2 = read_series(shipped("assets", "series", "co2.csv"), fill=True)
    assert (len(co2), co2.times[0], co2.times[-1], len(co2.filled)) == (526, "1958-03", "2001-12", 5)
    assert co2.values[3] == pytest.approx((317.43 + 315.62) / 2)  # June 1958 was not measured
    sunspots = read_series(shipped("assets", "series", "sunspots.csv"))
    assert sunspots.values[:3].tolist() == [5.0, 11.0, 16.0]
    assert sunspots.values[1957 - 1700] == pytest.approx(190.2)  # the highest that was counted


TABLES = {
    "gaps": ("t,x\n1,2\n2,\n3,4\n", "line 3: x is empty, the first of 1 gaps"),
    "text": ("t,x\n1,2\n2,three\n3,4\n", "line 3: x is a number, or empty. Received: 'three'"),
    "infinite": ("t,x\n1,2\n2,inf\n3,4\n", "line 3: x is a number, or empty. Received: 'inf'"),
    "backwards": ("t,x\n2001-02,2\n2001-01,3\n2001-03,4\n", "line 3: time runs backwards, from 2001-02 to 2001-01"),
    "stands": ("t,x\n1,2\n1,3\n2,4\n", "line 3: time stands still"),
    "left out": (
        "t,x\n2000-11,2\n2000-12,3\n2001-01,4\n2001-03,4\n",
        "line 5: steps of time are equal, 1 here, and from",
    ),
    "date": ("t,x\n2001-13,2\n2001-14,3\n", "line 2: the time is a number, 1998-05 or 1998-05-31. Received: '2001-13'"),
    "ragged": ("t,x\n1,2\n2\n3,4\n", "line 3: has 1 cells, and the header 2"),
    "one column": ("t\n1\n2\n", "is no table of time and numbers"),
    "empty": ("", "is no table of time and numbers"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_no_series(tmp_path, name):
    text, reason = TABLES[name]
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(FileError) as found:
        read_series(path)
    assert reason in str(found.value)
    assert "table.csv" in str(found.value)


def test_gaps_at_an_end_are_not_filled(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("t,x\n1,2\n2,3\n3,\n")
    with pytest.raises(FileError, match="line 4: x is empty"):
        read_series(path, fill=True)
    path.write_text("t,x,y\n1,2,5\n2,,6\n3,4,7\n")
    assert read_series(path, fill=True).values.tolist() == [2.0, 3.0, 4.0]
    assert read_series(path, column="y").values.tolist() == [5.0, 6.0, 7.0]
    with pytest.raises(FileError, match=r"has the columns x, y. Received: column 'z'"):
        read_series(path, column="z")
    path.write_bytes(b"t,x\n\xff\xfe")
    with pytest.raises(FileError, match="is no text in UTF-8"):
        read_series(path)


def test_days_and_months_have_equal_steps(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("day,x\n2000-02-28,1\n2000-02-29,2\n2000-03-01,3\n")
    assert len(read_series(path)) == 3
    path.write_text("month,x\n1999-12,1\n2000-01,2\n2000-02,3\n")
    assert len(read_series(path)) == 3


def test_no_window_sees_what_it_is_to_forecast():
    past, following = windows(np.arange(20), lookback=5, horizon=3)
    assert past.shape == (13, 5)
    for row, after in zip(past, following, strict=True):
        assert after.tolist() == [row[-1] + k for k in (1, 2, 3)]
    assert following.max() == 19
    with pytest.raises(aq.ArgumentError, match="values are as many as lookback and horizon together"):
        windows(np.arange(7), 5, 3)


def test_origins_are_one_after_another():
    assert rolling_origins(60, horizon=12, origins=3) == [24, 36, 48]
    with pytest.raises(aq.ArgumentError, match="a series is longer than 5 horizons of 12"):
        rolling_origins(60, horizon=12, origins=5)
