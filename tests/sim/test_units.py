import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtwin.core.errors import InputError
from gridtwin.sim.units import FLOPS_PER_HS23, quantity, text


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        ("3 Gf", "speed", 3e9),
        ("3Gf", "speed", 3e9),
        ("12 HS23", "speed", 12 * FLOPS_PER_HS23),
        ("1e9f", "speed", 1e9),
        ("1e9", "speed", 1e9),
        ("10 Gbps", "bandwidth", 1.25e9),
        ("10 GBps", "bandwidth", 1e10),
        ("8 Kibps", "bandwidth", 1024.0),
        ("1 KiBps", "bandwidth", 1024.0),
        ("1 kBps", "bandwidth", 1000.0),
        ("2 TB", "bytes", 2e12),
        ("64 GiB", "bytes", 64 * 2.0**30),
        (".5 MB", "bytes", 5e5),
        ("17B", "bytes", 17.0),
        ("5 ms", "time", 5e-3),
        ("10us", "time", 1e-5),
        ("2 min", "time", 120.0),
        ("1.5 d", "time", 129600.0),
        (7, "bytes", 7.0),
        (0.25, "time", 0.25),
    ],
)
def test_a_quantity_is_a_number_or_a_text_with_a_unit(written, kind, value):
    assert quantity(written, kind) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("written", "kind", "message"),
    [
        ("3 Gq", "speed", "expected a speed in flop/s per core"),
        ("3 Gq", "speed", "'Gq' is no unit of it; known: f, kf"),
        ("3 GB", "bandwidth", "'GB' is no unit of it"),
        ("3 gb", "bytes", "'gb' is no unit of it"),
        ("fast", "speed", "got 'fast'"),
        ("", "time", "got ''"),
        ("nan", "time", "got 'nan'"),
        ("1e400 s", "time", "too large"),
        ("1 2 s", "time", "got '1 2 s'"),
        (True, "time", "got True"),
        (None, "bytes", "got None"),
        (float("nan"), "bytes", "got nan"),
        (float("inf"), "bytes", "got inf"),
        ([1], "bytes", "got [1]"),
    ],
)
def test_what_is_no_quantity_is_refused(written, kind, message):
    with pytest.raises(InputError, match=re.escape(message)):
        quantity(written, kind)


@given(
    st.floats(0, 1e30)
    | st.integers(0, 10**15).map(float)
    | st.integers(0, 999).map(lambda n: n / 8e6),
    st.sampled_from(["speed", "bandwidth", "bytes", "time"]),
)
def test_a_text_is_read_back_exactly(value, kind):
    assert quantity(text(value, kind), kind) == value


def test_round_numbers_are_written_with_units():
    assert text(3e9, "speed") == "3 Gf"
    assert text(1.25e9, "bandwidth") == "1.25 GBps"
    assert text(5e-3, "time") == "5 ms"
    assert text(0.0, "bytes") == 0.0
