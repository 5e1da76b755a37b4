"""The shipped tables: complete, with keys that fit each other, and editable where said."""

import pytest

from gridtwin.core.errors import FormatError, InputError
from gridtwin.trace import TraceSchema, tables


def test_error_codes_are_keyed_by_component_and_code():
    codes = tables.error_codes()
    assert codes.height == 381
    assert not codes["word"].is_duplicated().any()
    assert codes["code"].is_duplicated().any()  # 100 alone says nothing
    words = ("pilot:1305", "transexit:65", "jobdispatcher:100", "ddm:100", "taskbuffer:100")
    assert set(words) <= set(codes["word"])


def test_every_queue_with_figures_has_the_site_of_the_map():
    sites, queues = tables.sites(), tables.queue_map()
    assert sites.height == 83
    assert not queues["queue"].is_duplicated().any()
    of = dict(queues.select("queue", "site").iter_rows())
    assert sites["site"].to_list() == [of[queue] for queue in sites["queue"]]
    assert {of[q] for q in ("BNL", "BNL_OPP", "ANALY_BNL_VP")} == {"BNL"}
    assert all(of[site] == site for site in sites["site"] if site in of)


def test_kinds_of_queues_agree_between_the_tables():
    kinds = dict(tables.queue_map().select("queue", "kind").iter_rows())
    for queue, kind in tables.sites().select("queue", "kind").iter_rows():
        assert kinds[queue] == kind


def test_columns_of_the_archive_point_to_canonical_fields():
    columns = tables.panda_columns()
    assert columns.height == 127
    assert not columns["column"].is_duplicated().any()
    assert all(name in TraceSchema.canonical() for name in columns["field"].drop_nulls())


def test_parameters_say_where_they_come_from():
    params = tables.generator_params()
    assert params["n_sites"]["v"] == 83
    assert all("src" in value for name, value in params.items() if name != "_legend")


def test_own_rows_win_over_the_shipped_map(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("queue,site,remark\nBNL_OPP,Elsewhere,x\nNEW-QUEUE,NEW,y\n")
    queues = tables.read_queue_map(path)
    of = dict(queues.select("queue", "site").iter_rows())
    assert (of["BNL_OPP"], of["NEW-QUEUE"], of["BNL"]) == ("Elsewhere", "NEW", "BNL")
    assert queues.height == tables.queue_map().height + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("queue,place\nA,B\n", "lacks the columns site"),
        ("queue,site\nA,B\nA,C\n", "more than once: A"),
        ("queue,site\nA,\n", "without a queue or a site"),
        ("", "no readable CSV"),
    ],
)
def test_a_map_that_cannot_be_used_says_why(tmp_path, text, says):
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=says):
        tables.read_queue_map(path)


def test_no_map_there(tmp_path):
    with pytest.raises(InputError, match="no file"):
        tables.read_queue_map(tmp_path / "none.csv")
