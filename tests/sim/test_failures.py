import pytest

from gridtwin.core.errors import FormatError
from gridtwin.sim.failures import load
from gridtwin.sim.faults import Failure, Faults

WHOLE = """
attempts = 3
retry_delay = "10 min"
elsewhere = 0.8
again = 0.3
[chance]
CERN = 0.03
BNL = 1
[[failure]]
code = "pilot:1305"
share = 0.7
moment = [0.0, 0.1, 1]
[[failure]]
code = "pilot:1099"
"""


def test_a_whole_file(tmp_path):
    path = tmp_path / "f.toml"
    path.write_text(WHOLE)
    assert load(path) == Faults(
        chance={"CERN": 0.03, "BNL": 1.0},
        failures=(Failure("pilot:1305", 0.7, (0.0, 0.1, 1.0)), Failure("pilot:1099")),
        attempts=3,
        retry_delay=600.0,
        elsewhere=0.8,
        again=0.3,
    )
    path.write_text("chance = 0.5")
    assert load(path) == Faults(0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chanse = 0.1", "chanse: unknown key"),
        ("chance = 'much'", "chance: expected a number"),
        ("[chance]\nA = -1", "chance.A: expected"),
        ("attempts = 0", "attempts: expected 1"),
        ("attempts = 256", "attempts: expected 1 to 255"),
        ("attempts = 1.5", "attempts: expected a whole"),
        ("attempts = true", "attempts: expected a whole"),
        ("retry_delay = '3 parsec'", "retry_delay: expected seconds"),
        ("elsewhere = 1.5", "elsewhere: expected 0 to 1"),
        ("failure = 3", r"failure: expected \[\[failure\]\]"),
        ("failure = [3]", r"failure\[0\]: expected a table"),
        ("failure = []", "failures: expected one"),
        ("[[failure]]\nshare = 1", r"failure\[0\].code: expected"),
        ("[[failure]]\ncode = 'x'", r"failure\[0\].code: expected"),
        ("[[failure]]\ncode = 'x:1'\nshare = 0", "shares of 0 or more, not all 0"),
        ("[[failure]]\ncode = 'x:1'\nmoment = [1, 0]", "moment of x:1: expected rising"),
        ("[[failure]]\ncode = 'x:1'\nmoment = 3", r"failure\[0\].moment: expected a list"),
        ("[[failure]]\ncode = 'x:1'\nkind = 3", r"failure\[0\].kind: unknown key"),
        ("][", "no TOML file"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path, text, message):
    path = tmp_path / "f.toml"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as error:
        load(path)
    assert "f.toml" in str(error.value)
