"""Another distribution adds a reader, a metric and a policy, by its entry points alone."""

import sys

import pytest

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.metrics.base import registry as metrics
from gridtwin.models import _models
from gridtwin.sim import policies
from gridtwin.trace.readers import readers

READER = """
import polars as pl
from gridtwin.trace.readers import REJECT, Scan

NAMES = ("submit_time", "run_time", "cores_req")

def sniff(path, head):
    return head.startswith("#toy")

def scan(path):
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    frame = pl.DataFrame(rows, schema=NAMES, orient="row").cast(pl.Float64)
    return Scan(frame.lazy().with_columns(pl.lit(None, pl.String).alias(REJECT)))
"""
METRIC = '''
from gridtwin.metrics import Score, metric

@metric("toy_rows", goal="min", group="marginal", on="rows")
def rows(real, synthetic):
    """Relative difference of the numbers of rows."""
    return Score(abs(len(real) - len(synthetic)) / len(real))
'''
POLICY = """
from gridtwin.sim import Policy

toy = Policy("toy", backfill="easy")
"""
MODEL = """
import io
import polars as pl
from gridtwin.models import Surrogate

class Urn(Surrogate):
    def _fit(self, frame, rng):
        self.frame_ = frame

    def _sample(self, n, rng):
        rows = rng.integers(self.frame_.height, size=n)
        return self.frame_[rows].with_columns(job_id=pl.int_range(n).cast(pl.String))

    def _state(self):
        return {"rows": self.frame_.write_json()}, {}

    def _restore(self, meta, arrays):
        self.frame_ = pl.read_json(io.StringIO(meta["rows"]))
"""
POINTS = """
[gridtwin.models]
urn = toy_for_test.model:Urn
drawer = toy_for_test.model
[gridtwin.readers]
toy = toy_for_test.reader
[gridtwin.metrics]
toy_rows = toy_for_test.metric:rows
[gridtwin.policies]
toy = toy_for_test.policy:toy
"""


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Install a made-up distribution on the path; forget it afterwards."""
    package = tmp_path / "toy_for_test"
    package.mkdir()
    for name, text in (
        ("reader", READER),
        ("metric", METRIC),
        ("policy", POLICY),
        ("model", MODEL),
    ):
        (package / f"{name}.py").write_text(text)
    (package / "__init__.py").write_text("")
    info = tmp_path / "toy_for_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-for-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for registry in (readers, metrics, policies, _models):
        registry.names()  # the package's own entries are there before and after
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    yield info
    for name in [m for m in sys.modules if m.startswith("toy_for_test")]:
        del sys.modules[name]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "jobs.toy"
    lines = [f"{1_700_000_000 + 100 * k} {10 * k} {1 + k % 4}" for k in range(60)]
    path.write_text("\n".join(["#toy", *lines]))
    return path


def test_a_reader_a_metric_and_a_policy_of_others_work_end_to_end(distribution, source):
    jobs = gridtwin.read(source)
    assert (jobs.provenance.format, len(jobs)) == ("toy", 60)
    assert "toy" in gridtwin.policy.names()
    assert gridtwin.simulate(jobs, cores=4, policy="toy").summary()["policy"] == "toy"
    evaluation = gridtwin.evaluate(train=jobs, synthetic=jobs.with_frame(jobs.frame.head(30)))
    assert evaluation["toy_rows"].synthetic == 0.5
    assert evaluation["toy_rows"].definition.startswith("Relative difference")


def test_a_metric_may_be_named_by_its_module(distribution, source):
    points = POINTS.replace("toy_for_test.metric:rows", "toy_for_test.metric")
    (distribution / "entry_points.txt").write_text(points)
    assert gridtwin.metrics.get("toy_rows").name == "toy_rows"


def test_an_entry_point_that_leads_to_no_metric_is_named(distribution):
    points = POINTS.replace("toy_rows = toy_for_test.metric:rows", "other = toy_for_test.metric")
    (distribution / "entry_points.txt").write_text(points)
    with pytest.raises(InputError, match=r"'other' is a module; .* decorated @metric\('other'"):
        gridtwin.metrics.get("other")


@pytest.mark.parametrize("name", ["urn", "drawer"])  # a class, and a module with one
def test_a_model_of_others_is_saved_and_loaded_by_its_name(distribution, source, tmp_path, name):
    model = gridtwin.models.get(name)(seed=3).fit(gridtwin.read(source))
    model.save(tmp_path / "model")
    again = gridtwin.models.load(tmp_path / "model")
    assert type(again) is type(model)
    assert again.sample(7).collect().equals(model.sample(7).collect())
    assert name in gridtwin.models.names()


def test_a_model_imported_by_hand_can_be_loaded(source, distribution, tmp_path):
    from gridtwin.models.trace import Trace

    Trace().fit(gridtwin.read(source)).save(tmp_path / "model")
    assert isinstance(gridtwin.models.load(tmp_path / "model"), Trace)
