import pytest

from gridtwin.report import numbers
from gridtwin.report.numbers import NONE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, NONE),
        (float("nan"), NONE),
        (float("inf"), "∞"),
        (0.0, "0"),
        (1.0, "1"),
        (0.123456, "0.123"),
        (0.9999, "1.00"),
        (0.0001234, "0.0001"),
        (0.00001234, "1.23e\N{MINUS SIGN}05"),
        (-2.5, "\N{MINUS SIGN}2.50"),
        (1234567.0, "1,234,567"),
        (1e9, "1.00e+09"),
    ],
)
def test_number(value, text):
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.0001, "< 0.1 %"), (0.0712, "7.1 %"), (0.5, "50 %"), (None, NONE)],
)
def test_percent(share, text):
    assert numbers.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.25, "0.25 s"), (90.0, "90 s"), (600.0, "10.0 min"), (8e4, "22.2 h"),
     (1.5e6, "17.4 days"), (1e9, "31.7 years"), (float("nan"), NONE)],
)  # fmt: skip
def test_duration(seconds, text):
    assert numbers.duration(seconds) == text


def test_date_of_a_time_that_no_calendar_has():
    assert numbers.date(0.0) == "1970-01-01"
    assert numbers.date(1e15) == "1000000000000000 s"
