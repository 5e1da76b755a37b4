"""Another trace than the one learnt: each argument shows in the analysis, and the rest stays."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.analysis.arrivals import arrival_days, arrival_week, bursts
from gridtwin.analysis.requests import users
from gridtwin.analysis.status import failure_rate, status_shares
from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.models import trace as trace_module
from gridtwin.models.whatif import DAY
from gridtwin.trace import JobTable

WEEK = 7 * DAY
MONDAY = 1_704_067_200.0  # 2024-01-01


@pytest.fixture(scope="module")
def grid():
    return gridtwin.examples.load("panda", days=28, scale=0.02, seed=1)


@pytest.fixture(scope="module")
def model(grid):
    return gridtwin.models.get("trace")(seed=0).fit(grid)


@pytest.fixture(scope="module")
def weekly():
    """Four weeks of 40 users: three times as many jobs by day as by night, few at week-ends."""
    rng = np.random.default_rng(5)
    hour = np.arange(28 * 24)
    busy = np.where((hour % 24 >= 8) & (hour % 24 < 20), 3.0, 1.0)
    busy *= np.where(hour // 24 % 7 >= 5, 0.2, 1.0)
    begin = np.repeat(hour, rng.poisson(3 * busy)) * 3600.0
    begin += rng.uniform(0, 3600, len(begin))
    size = rng.geometric(0.3, len(begin))
    submit = np.repeat(begin, size) + rng.exponential(60, size.sum()).round()
    user = np.repeat(rng.integers(0, 40, len(begin)), size)
    failed = rng.random(len(user)) < np.where(user < 10, 0.3, 0.02)
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(len(user))],
            "user": [f"u{i}" for i in user],
            "site": [f"S{i % 4}" for i in user],
            "submit_time": MONDAY + submit,
            "cores_req": rng.choice([1, 8], len(user)),
            "run_time": np.where(failed, rng.uniform(1, 99, len(user)), 1e4).round(),
            "status": np.where(failed, "failed", "finished").tolist(),
        }
    )
    return JobTable.from_frame(frame)


@pytest.fixture(scope="module")
def week_model(weekly):
    return gridtwin.models.get("trace")(seed=0).fit(weekly)


def times(jobs):
    return jobs.collect()["submit_time"].to_numpy()


def profile(jobs):
    """Return the share of jobs in each hour of the day."""
    hour = (times(jobs) % DAY // 3600).astype(int)
    return np.bincount(hour, minlength=24) / len(hour)


def shares(jobs, column):
    found = jobs.collect()[column].value_counts(normalize=True)
    return dict(zip(found[column], found["proportion"], strict=True))


@pytest.mark.parametrize("days", [0.5, 3, 7, 10, 100])
@pytest.mark.parametrize("start", [None, "monday", "2031-03-05T06:00"])
def test_days_and_start_give_the_span(week_model, weekly, days, start):
    submit = times(week_model.sample(seed=1, days=days, start=start))
    begin = {None: times(weekly)[0], "monday": MONDAY + WEEK}.get(start, 1_930_456_800.0)
    assert begin <= submit[0]
    assert submit[-1] <= begin + days * DAY
    if days > 1:
        assert submit[0] < begin + DAY
        assert submit[-1] > begin + (days - 1) * DAY


def test_the_calendar_is_kept_wherever_the_trace_begins(week_model, weekly):
    sample = week_model.sample(seed=1, days=70, start="thursday")
    real, ours = arrival_week(times(weekly)), arrival_week(times(sample))
    days = [frame.group_by(pl.col("hour") // 24).agg(pl.mean("jobs")) for frame in (real, ours)]
    both = days[0].join(days[1], on="hour")
    np.testing.assert_allclose(both["jobs_right"], both["jobs"], rtol=0.15)
    assert np.abs(profile(sample) - profile(weekly)).sum() < 0.1
    assert len(sample) == pytest.approx(len(weekly) * 70 / 28, rel=0.1)
    assert arrival_days(times(sample))["weekday"][0] == 4


def test_a_week_that_is_drawn_keeps_its_level(week_model, weekly):
    per_week = np.bincount(((times(weekly) - MONDAY) // WEEK).astype(int))
    drawn = {len(week_model.sample(seed=s, days=7, start="2024-03-04")) for s in range(12)}
    assert len(drawn) > 1
    assert drawn <= set(per_week)


@pytest.mark.parametrize("rate", [0.3, 0.5, 1.5, 2.7])
def test_rate_multiplies_the_arrivals_and_nothing_else(week_model, weekly, rate):
    plain, sample = week_model.sample(seed=1), week_model.sample(seed=1, rate=rate)
    assert len(sample) == round(rate * len(weekly))
    assert np.ptp(times(sample)) == pytest.approx(np.ptp(times(plain)), rel=0.02)
    assert np.abs(profile(sample) - profile(weekly)).sum() < 0.1 / min(rate, 1) ** 0.5
    by_day = [arrival_days(times(jobs))["jobs"].to_numpy() for jobs in (weekly, sample)]
    assert np.corrcoef(*by_day)[0, 1] > 0.9
    mean = [np.average(b["low"], weights=b["n"]) for b in (bursts(plain), bursts(sample))]
    assert mean[1] == pytest.approx(mean[0], rel=0.25)  # bursts grow no larger, nor are cut
    for column in ("site", "status", "cores_req"):
        for value, share in shares(weekly, column).items():
            assert shares(sample, column)[value] == pytest.approx(share, abs=0.03)


def test_without_users_single_jobs_are_added_or_dropped():
    rng = np.random.default_rng(1)
    hour = rng.choice(24, 3000, p=np.repeat([1, 3], 12) / 48)
    submit = MONDAY + rng.integers(0, 21, 3000) * DAY + hour * 3600 + rng.uniform(0, 3600, 3000)
    frame = pl.DataFrame({"job_id": [str(i) for i in range(3000)], "submit_time": np.sort(submit)})
    model = gridtwin.models.get("trace")(seed=0).fit(JobTable.from_frame(frame))
    for rate in (0.4, 1.5):
        sample = model.sample(seed=1, rate=rate)
        assert len(sample) == 3000 * rate
        assert np.abs(profile(sample) - np.repeat([1, 3], 12) / 48).sum() < 0.2
        by_day = arrival_days(times(sample))["jobs"]
        assert by_day.std() / by_day.mean() < 0.25
    assert len(model.sample(seed=1, days=7, start="friday")) > 0


def test_rate_goes_with_the_number_asked_for(model):
    assert len(model.sample(1000, seed=1, rate=1.5)) == 1500
    assert len(model.sample(1000, seed=1, rate=0.25, days=3)) == 250
    assert len(model.sample(20_000, seed=1, start="sunday")) == 20_000
    assert len(model.sample(0, rate=2.0)) == 0
    assert len(model.sample(0, start="monday")) == 0


def test_where_holds_for_all_jobs_and_leaves_them_as_they_were(week_model, weekly):
    for n in (None, 100, 9000):
        sample = week_model.sample(n, seed=1, where={"site": ["S1", "S3"]})
        real = JobTable(weekly.frame.filter(pl.col("site").is_in(["S1", "S3"])))
        assert set(shares(sample, "site")) == {"S1", "S3"}
        assert len(sample) == (n or len(real))
    assert shares(sample, "site")["S1"] == pytest.approx(shares(real, "site")["S1"], abs=0.03)
    assert failure_rate(sample)["rate"][0] == pytest.approx(failure_rate(real)["rate"][0], abs=0.02)
    sites = sample.collect().select("user", "site").unique()
    assert sites["user"].is_unique().all()


def test_where_takes_what_follows_numbers_and_several_columns(model, grid):
    site = grid.collect()["site"].value_counts(sort=True)["site"][3]
    asked = {"site": site, "status": ["failed", "closed"], "cores_alloc": [1]}
    found = model.sample(500, seed=1, where=asked).collect()
    assert len(found) == 500
    assert set(found["site"]) == {site}
    assert set(found["status"]) <= {"failed", "closed"}
    assert set(found["cores_alloc"]) == {1}
    assert found["queue"].is_in(grid.collect().filter(pl.col("site") == site)["queue"]).all()


def test_mix_is_exact_and_what_depends_on_it_is_drawn_given_it(week_model, weekly):
    sample = week_model.sample(seed=1, mix={"status": {"failed": 0.3}})
    found = sample.collect()
    assert (found["status"] == "failed").sum() == round(0.3 * len(weekly))
    assert failure_rate(sample)["rate"][0] == pytest.approx(0.3, abs=1e-3)
    failed = found.filter(pl.col("status") == "failed")
    assert failed["run_time"].max() < 110
    assert found.filter(pl.col("status") != "failed")["run_time"].min() > 9000
    # the ten users whose jobs often fail have more of them, as odds say
    bad = pl.col("user").is_in([f"u{i}" for i in range(10)])
    rates = [found.filter(b)["status"].eq("failed").mean() for b in (bad, ~bad)]
    assert rates[0] > 2 * rates[1] > 0
    for column in ("site", "cores_req", "user"):
        assert shares(sample, column) == pytest.approx(shares(weekly, column), abs=0.03)


def test_mix_of_several_columns(model, grid):
    site = grid.collect()["site"].value_counts(sort=True)["site"].to_list()
    mix = {"site": {site[0]: 0.4, site[1]: 0.0}, "status": {"failed": 0.3, "closed": 0.05}}
    sample = model.sample(1001, seed=1, mix=mix)
    n = dict(status_shares(sample).select("status", "n").iter_rows())
    assert (n["failed"], n["closed"]) == (300, 50)
    assert shares(sample, "site")[site[0]] == 400 / 1001
    assert site[1] not in shares(sample, "site")
    others = shares(grid, "site")
    rest = 1 - others[site[0]] - others[site[1]]
    for name in site[2:5]:
        assert shares(sample, "site")[name] == pytest.approx(0.6 * others[name] / rest, abs=0.08)


def test_mix_of_users_moves_places(model, grid):
    user = users(grid)["user"].to_list()
    sample = model.sample(seed=1, mix={"user": {user[0]: 0.1, user[2]: 0.5}})
    count = sample.collect()["user"].value_counts()
    n = dict(count.iter_rows())
    assert sum(n.values()) == len(grid)
    assert n[user[0]] == round(0.1 * len(grid))
    assert n[user[2]] == round(0.5 * len(grid))


def test_users_left_out_are_not_replaced(model, grid):
    top = users(grid)
    gone = top["user"].head(2).to_list()
    sample = model.sample(seed=1, without_users=gone)
    left = users(sample).select("user", "n")
    kept = top.filter(~pl.col("user").is_in(gone)).select("user", "n")
    assert left["n"].sort().equals(kept["n"].sort())
    frequent = pl.col("n") >= 5  # rarer names are made up
    assert left.filter(frequent).sort("user").equals(kept.filter(frequent).sort("user"))
    more = model.sample(len(grid), seed=1, without_users=gone)
    assert len(more) == len(grid)
    assert not set(gone) & set(users(more)["user"])


def test_all_together(model, grid):
    site = grid.collect()["site"].value_counts(sort=True)["site"].head(3).to_list()
    gone = users(grid)["user"][0]
    asked = {
        "days": 14,
        "start": "2030-01-01",
        "rate": 1.5,
        "where": {"site": site},
        "mix": {"status": {"failed": 0.3}},
        "without_users": [gone],
    }
    sample = model.sample(400, seed=1, **asked)
    found = sample.collect()
    assert len(found) == 600
    assert set(found["site"]) <= set(site)
    assert (found["status"] == "failed").sum() == 180
    assert gone not in found["user"]
    note = sample.provenance.notes[-1]
    for words in ("days = 14", "2030-01-01T00:00:00Z", "rate = 1.5", site[2], "failed 0.3", gone):
        assert words in note
    assert_frame_equal(found, model.sample(400, seed=1, **asked).collect())
    assert not found.equals(model.sample(400, seed=2, **asked).collect())


def test_a_plain_sample_says_nothing_of_a_what_if(model):
    assert not any("what if" in note for note in model.sample(5, rate=1.0).provenance.notes)


def test_a_saved_model_answers_the_same(model, tmp_path):
    model.save(tmp_path)
    asked = {"days": 7, "rate": 0.5, "mix": {"status": {"failed": 0.2}}}
    again = gridtwin.models.load(tmp_path).sample(seed=3, **asked)
    assert_frame_equal(model.sample(seed=3, **asked).collect(), again.collect())


def test_chunks_keep_the_counts(model, monkeypatch):
    monkeypatch.setattr(trace_module, "CHUNK", 97)
    sample = model.sample(1000, seed=1, mix={"status": {"failed": 0.333}}).collect()
    assert (sample["status"] == "failed").sum() == 333


def test_rare_values_give_as_many_rows_as_asked_for(weekly):
    frame = weekly.collect().with_row_index()
    rare = pl.when(pl.col("index") == 700).then(pl.lit("rare")).otherwise("site").alias("site")
    model = gridtwin.models.get("trace")().fit(
        JobTable.from_frame(frame.with_columns(rare).drop("index"))
    )
    for asked in ({}, {"days": 0.5}, {"days": 7, "start": "sunday"}, {"days": 200}):
        sample = model.sample(50, seed=1, where={"site": "rare"}, **asked).collect()
        assert sample["site"].to_list() == ["rare"] * 50
        assert len(model.sample(seed=1, where={"site": "rare"}, **asked)) > 0


@pytest.mark.parametrize("n", [1, 2, 5])
def test_short_traces_have_no_calendar_but_an_answer(jobs, n):
    few = jobs.with_frame(jobs.frame.head(n))
    model = gridtwin.models.get("trace")().fit(few)
    hours = set((times(few) % DAY // 3600).astype(int))
    sample = model.sample(seed=1, days=5)
    assert len(sample) == pytest.approx(5 * n, abs=n)
    assert len(hours & set((times(sample) % DAY // 3600).astype(int))) > 0
    assert len(model.sample(33, seed=1, days=0.01, start="monday")) == 33
    assert len(model.sample(33, seed=1, rate=3.0)) == 99


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"days": 0}, "days is 0"),
        ({"days": float("nan")}, "days is nan"),
        ({"days": 1e9}, "at most 36525"),
        ({"rate": -1}, "rate is -1"),
        ({"start": "mo"}, "give a weekday"),
        ({"start": 1e300}, "years 100 to 8000"),
        ({"where": {"site": "S11"}}, "no job in training has site 'S11'; did you mean 'S1'"),
        ({"where": {"cores_req": 9}}, "nearest is 8"),
        ({"where": {"cores_req": "many"}}, "it is a number"),
        ({"where": {"site": []}}, "may have no value"),
        ({"where": "site=S1"}, "a mapping of columns"),
        ({"where": {"site": b"S1"}}, "no value of site|83 is no value|has site 83"),
        ({"where": {"site": [["S1"]]}}, "is no value of site"),
        ({"without_users": 5}, "has user '5'"),
        ({"where": {"site": None}}, "no job in training has site None"),
        ({"where": {"run_time": 5.0}}, "repeating values"),
        ({"where": {"site": "S1", "user": "u0"}}, "together"),
        ({"without_users": [f"u{i}" for i in range(40)]}, "no job is left"),
        ({"without_users": ["u99"]}, "has user 'u99'; did you mean 'u9'"),
        ({"where": {"user": "u1"}, "without_users": "u1"}, "no job is left"),
        ({"where": {"site": "S1"}, "mix": {"site": {"S2": 0.5}}}, "ask for one or the other"),
        ({"where": {"site": "S1"}, "mix": {"site": {"S1": 0.5}}}, "no other site"),
        ({"mix": {"status": {"failed": 0.7, "finished": 0.7}}}, "sum to 1.4"),
        ({"mix": {"status": {"failed": 30}}}, "give 0 to 1"),
        ({"mix": {"status": "failed"}}, "{value: share}"),
        ({"mix": {"status": {"failed": 0.2, "finished": 0.2}}}, "no other status"),
        ({"mix": {"user": {"u1": 0.5}, "site": {"S2": 0.5}}}, "give shares of one"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(week_model, asked, message):
    with pytest.raises(InputError, match=message.replace("{", r"\{").replace("}", r"\}")):
        week_model.sample(100, **asked)


def test_an_unknown_column_is_named(week_model):
    with pytest.raises(UnknownNameError, match="did you mean 'site'"):
        week_model.sample(where={"sites": "S1"})


def test_lists_are_no_single_values(model):
    with pytest.raises(InputError, match="lists"):
        model.sample(where={"error_codes": "pilot:1305"})


def test_missing_values_may_be_asked_for(jobs):
    n = len(jobs)
    names = pl.Series("project", [None if i % 3 else f"p{i % 2}" for i in range(n)])
    model = gridtwin.models.get("trace")().fit(JobTable(jobs.frame.with_columns(names)))
    found = model.sample(200, seed=1, where={"project": [None]}).collect()
    assert found["project"].null_count() == 200
    found = model.sample(200, seed=1, mix={"project": {None: 0.25, "p1": 0.5}}).collect()
    assert dict(found["project"].value_counts().iter_rows()) == {None: 50, "p0": 50, "p1": 100}


def test_combinations_that_never_occur_are_refused():
    rng = np.random.default_rng(0)
    site = rng.choice(["a", "b"], 500)
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(500)],
            "submit_time": np.sort(rng.uniform(0, WEEK, 500)),
            "site": site.tolist(),
            "cores_req": rng.choice([1, 2, 4], 500),
            "status": np.where((site == "a") & (rng.random(500) < 0.5), "failed", "ok").tolist(),
        }
    )
    model = gridtwin.models.get("trace")().fit(JobTable.from_frame(frame))
    with pytest.raises(InputError, match="combinations"):
        model.sample(mix={"site": {"a": 0.2}, "status": {"failed": 0.4}})
    found = model.sample(mix={"site": {"a": 0.5}, "status": {"failed": 0.4}}, seed=1).collect()
    assert (found["status"] == "failed").sum() == 200
    assert set(found.filter(pl.col("status") == "failed")["site"]) == {"a"}
