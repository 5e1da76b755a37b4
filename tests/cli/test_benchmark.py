"""What the commands that judge take, and how they print it; the judging is tested elsewhere."""

import pytest

from gridtwin.cli.benchmark import parse_model
from gridtwin.cli.evaluate import chosen_groups, print_columns
from gridtwin.core.errors import UnknownNameError
from gridtwin.metrics import Evaluation, Row
from gridtwin.metrics.base import DEFAULT_GROUPS, GROUPS


def test_a_model_s_settings_follow_its_name():
    assert parse_model("trace").parameters == {}
    assert parse_model("trace").name == "trace"
    with pytest.raises(UnknownNameError, match="trase"):
        parse_model("trase")
    with pytest.raises(UnknownNameError, match="parameter of trace"):
        parse_model("trace:leafs=3")


def test_optional_groups_are_added_by_name():
    assert chosen_groups(None) == DEFAULT_GROUPS
    assert chosen_groups(["paper", "utility"]) == GROUPS
    with pytest.raises(UnknownNameError, match="did you mean 'paper'"):
        chosen_groups(["papers"])


def test_scores_by_column_are_printed_column_by_column(capsys):
    rows = [
        Row("ks", "", "min", "", 0.2, 0.1, 0, None, None, {"run_time": 0.3, "cores": 0.1}),
        Row("wd", "", "min", "", 0.2, 0.1, 0, None, None, {"run_time": 0.4}, {}, {"run_time": 0.5}),
    ]
    print_columns(Evaluation(tuple(rows), (), (), {}, {}))
    printed = capsys.readouterr().out
    assert printed.index("cores") < printed.index("run_time")
    assert "0.5" in printed
