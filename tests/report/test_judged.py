"""What the report draws and lists of a judgement made by hand."""

from gridtwin.metrics import Row
from gridtwin.report.judged import column_table, load_curve, telling


def queue(name, value, size, load, mean=100.0, **more):
    detail = {"policy": "easy", "figure": "wait", "size": size, "load_real": load}
    detail |= {"real": {"mean": mean}, "weeks_spread": [0.5, 1.5]}
    return Row(name, "scheduling", "one", "", value, None, 1.0, 1.1, (0.8, 1.4), {}, detail | more)


def c2st(**detail):
    alone = {"run_time": 0.7, "user": 0.5}
    held = {"alone": {"run_time": 0.51}}
    detail = {"telling": ["user"], "alone": alone, "heldout_detail": held} | detail
    drop = {"run_time": 0.01, "user": 0.2}
    return Row("c2st", "", "half", "", 0.8, 0.5, None, None, None, drop, detail, {"user": 0.001})


def test_the_curve_has_a_point_per_size_and_trace():
    rows = [queue("wait_easy", 1.2, 1.0, 0.8), queue("wait_easy_80", 2.0, 0.8, 1.0, mean=500.0)]
    (figure,) = load_curve(rows)
    assert figure.key == "load_wait"
    drawn = figure.chart.to_dict()
    (points,) = (data for data in drawn["datasets"].values() if "mid" in data[0])
    found = {(p["load"], p["trace"]): (p["mid"], p["low"], p["high"]) for p in points}
    assert len(found) == 6
    assert found[0.8, "synthetic"] == (120.0, 80.0, 140.0)
    assert found[1.0, "real"] == (500.0, None, None)
    assert found[1.0, "real weeks"] == (550.0, 250.0, 750.0)


def test_there_is_no_curve_of_one_load_or_of_traces_that_do_not_queue():
    none = Row("wait_easy_80", "", "one", "", None, None, None, None, None, {}, {"reason": "no"})
    assert load_curve([queue("wait_easy", 1.2, 1.0, 0.8), none]) == []
    assert load_curve([queue("wait_easy", 1.2, 1.0, float("nan"))]) == []
    assert load_curve([]) == []


def test_columns_that_tell_come_first_with_what_held_out_rows_get():
    ks = Row("ks", "", "min", "", 0.1, 0.1, 0, None, None, {"run_time": 0.3}, {}, {"run_time": 0.1})
    table = column_table([ks, c2st()])
    assert table["titles"] == ["Numbers: KS", "AUC lost, shuffled", "AUC of it alone"]
    user, run = table["rows"]
    assert (user["name"], user["told"], run["told"]) == ("User", True, False)
    assert user["cells"][1:] == [("0.200", "0.00100"), ("0.500", "")]
    assert run["cells"] == [("0.300", "0.100"), ("0.0100", ""), ("0.700", "0.510")]
    assert column_table([]) == {"titles": [], "rows": []}


def test_what_tells_in_words():
    assert telling([c2st()]).endswith("most by: User (AUC 0.800, held-out real rows 0.500).")
    assert "finds no column" in telling([c2st(telling=[])])
    assert telling([]) == ""
