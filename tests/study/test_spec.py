"""What a study file means, and what is said of a bad one."""

import json

import pytest

from gridtwin.core.errors import FormatError, InputError
from gridtwin.study.spec import Spec, load, parse

LEAST = '[workload]\nexample = "lublin"\njobs = 20\n'


def test_every_list_is_an_axis(study):
    spec = load(study)
    assert spec.axes == {
        "broker": ("least_loaded", "random"),
        "whatif": ("base", "A lost for a day"),
    }
    assert [s.label for s in spec.scenarios] == [
        "least_loaded · base",
        "least_loaded · A lost for a day",
        "random · base",
        "random · A lost for a day",
    ]
    assert (spec.base, spec.seeds) == ("s000", (0, 1))
    assert spec.scenario("random · base").policy.broker == "random"
    assert len(spec.runs) == 8
    assert [seed for _, seed in spec.runs] == [0] * 4 + [1] * 4


def test_lists_of_any_table_and_whole_tables_are_axes():
    spec = parse(
        """
        seeds = [3, 5]
        base = { chance = 0.1, workload = "small", without = 2 }
        [[workload]]
        name = "large"
        example = "lublin"
        jobs = 40
        [[workload]]
        name = "small"
        example = "lublin"
        jobs = 20
        [policy]
        queue = ["fcfs", { machine = "easy" }]
        [faults]
        chance = [0.0, 0.1]
        """.replace(", without = 2", "")
    )
    assert spec.axes == {
        "workload": ("large", "small"),
        "queue": ("fcfs", '{"machine": "easy"}'),
        "chance": ("0", "0.1"),
    }
    assert spec.seeds == (3, 5)
    assert spec.scenario(spec.base).values == {
        "workload": "small",
        "queue": "fcfs",
        "chance": "0.1",
    }


def test_what_is_a_list_by_itself_is_an_axis_as_a_list_of_lists():
    one = parse(LEAST + 'origin = ["A", "B"]\n')
    two = parse(LEAST + 'origin = [["A"], ["A", "B"]]\n')
    assert one.axes == {}
    assert one.scenarios[0].workload.origin == ["A", "B"]
    assert one.scenarios[0].label == "base"
    assert two.axes == {"origin": ('["A"]', '["A", "B"]')}


def test_a_key_of_two_tables_has_its_table_in_the_name():
    spec = parse(
        '[workload]\nexample = "panda"\nseed = [0, 1]\n[platform]\nexample = "panda"\n'
        "share = [0.5, 1.0]\n[whatif]\nload = [1, 2]\n[faults]\nchance = [0.1, 0.2]\n"
    )
    assert list(spec.axes) == ["seed", "share", "chance", "load"]
    assert spec.scenarios[1].whatif.load.factor == 2.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seeds = 2\n", "workload: missing"),
        ('seed = 2\n[workload]\nexample = "panda"', "seed: unknown key; did you mean 'seeds'?"),
        ("[workload]\n", "workload: expected one of records, model and example, got none"),
        ('[workload]\nexample = "pandas"', "workload.example: there is no example 'pandas'"),
        ('[workload]\nexample = "panda"\nday = 3', "workload.day: unknown key; did you mean"),
        ('[workload]\nexample = "panda"\ndays = "x"', "workload.days: expected a number, got 'x'"),
        ('[workload]\nexample = "panda"\ndays = -1', "workload.days: input should be greater"),
        ('[workload]\nexample = "panda"\nrate = 2', "workload: rate goes with model, not with"),
        ('[workload]\nrecords = "no.csv"', "workload.records: there is no file or folder"),
        (LEAST + '[policy]\nbroker = ["random", "rondom"]', "policy.broker[1]: unknown broker"),
        (LEAST + '[policy]\nqueue = "fcsf"', "policy.queue: unknown policy 'fcsf'; did you mean"),
        (LEAST + "[policy]\nbroker = []", "policy.broker: an empty list"),
        (LEAST + '[policy]\nbroker = ["random", "random"]', "policy.broker[1]: 'random' is there"),
        (LEAST + "[policy]\nbroker = 3", "policy.broker: input should be a valid string, got 3"),
        (LEAST + "policy = 3", "workload.policy: unknown key"),
        ("policy = 3\n" + LEAST, "policy: expected a table, got 3"),
        (LEAST + '[faults]\nretry_delay = "5 x"', "faults.retry_delay: expected seconds"),
        (LEAST + "[faults]\nchance = 2", "faults.chance: input should be less than or equal to 1"),
        (LEAST + "[[whatif]]\n[[whatif]]\nload = 0", "whatif[1].load: input should be greater"),
        (LEAST + "[whatif]\nlost = {}", "whatif.lost.site: field required"),
        (LEAST + '[[whatif]]\nlost = [{site="A"}, {sit="A"}]', "whatif[0].lost[1].site: field"),
        (LEAST + '[[whatif]]\nlost = {site="A", x=1}', "whatif[0].lost.x: unknown key; known are"),
        (LEAST + "[[whatif]]\nlink = {factor = 2}", "whatif[0].link: expected one of link and"),
        (LEAST + "[[whatif]]\nswitch = {at_days = 2}", "whatif[0].switch: expected broker, queue"),
        (LEAST + "[[whatif]]\nload = [1, 2]", "whatif[0].load: a list in one of several tables"),
        ('base = {broker = "x"}\n' + LEAST, "base.broker: there is no such axis"),
        (
            'base = {broker = "x"}\n' + LEAST + '[policy]\nbroker = ["random", "olb"]',
            "base.broker: expected one of random, olb, got 'x'",
        ),
        ('metrics = ["mean_weight"]\n' + LEAST, "metrics[0]: expected some of"),
        ("seeds = 0\n" + LEAST, "seeds: expected how many"),
        ("seeds = [1, 1]\n" + LEAST, "seeds: expected how many"),
        ("seeds = 200000\n" + LEAST, "are 200,000 runs, above 100,000"),
        (LEAST + "[feedback]\nwindows = 3", "feedback.every_days: field required"),
        (LEAST + "[platform]\ncores = 3\nobserved = true", "platform: expected one of file"),
        ("name = 'a", "is no TOML"),
    ],
)
def test_a_bad_file_is_told_with_the_path_of_the_key(text, told):
    with pytest.raises(InputError) as error:
        parse(text, at="bad.toml")
    assert "bad.toml" in str(error.value)
    assert told in str(error.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FormatError, match="study new"):
        load(tmp_path / "none.toml")
    with pytest.raises(FormatError, match=r"spec\.json"):
        load(tmp_path)


def test_the_spec_goes_through_json(study):
    spec = load(study)
    again = Spec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert sorted(spec.inputs) == ["jobs.parquet", "sites.toml"]
    assert spec.same_as(again) is None
    with pytest.raises(FormatError, match="format"):
        Spec.from_json({"format": 99})
    with pytest.raises(FormatError, match="run the study again"):
        Spec.from_json({})


def test_dates_are_texts():
    spec = parse('[workload]\nexample = "lublin"\n[whatif]\nname = "x"\n')
    assert spec.document["whatif"] == {"name": "x"}


def test_a_changed_or_missing_input_is_told(study):
    spec = load(study)
    spec.check_inputs()
    (study.parent / "sites.toml").write_text('[[site]]\nname = "A"\ncores = 4\n')
    with pytest.raises(InputError, match=r"sites\.toml is not what it was"):
        spec.check_inputs()
    (study.parent / "sites.toml").unlink()
    with pytest.raises(InputError, match=r"sites\.toml: there is no file"):
        spec.check_inputs()


def test_another_version_is_told(study):
    document = load(study).to_json()
    document["versions"]["numpy"] = "1.0"
    with pytest.raises(InputError, match=r"began with numpy 1\.0"):
        Spec.from_json(document).check_inputs()


def test_a_folder_is_known_by_what_is_in_it(tmp_path, jobs):
    import gridtwin

    gridtwin.write(jobs, tmp_path / "in" / "a.parquet")
    text = '[workload]\nrecords = "in"\n'
    before = parse(text, root=tmp_path).inputs
    assert before == parse(text, root=tmp_path).inputs
    gridtwin.write(jobs.with_frame(jobs.frame.head(9)), tmp_path / "in" / "b.parquet")
    assert before != parse(text, root=tmp_path).inputs
