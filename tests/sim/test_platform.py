import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim import Platform, Site

TWO = '[[site]]\nname = "A"\ncores = 4\n[[site]]\nname = "B"\ncores = 16\n'


def test_a_platform_is_read_from_toml(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(TWO, encoding="utf-8")
    platform = Platform.load(path)
    assert platform == Platform((Site.of("A", 4), Site.of("B", 16)))
    assert platform.names == ["A", "B"]
    assert platform.cores.tolist() == [4, 16]


def test_a_single_site():
    assert Platform.single(64) == Platform((Site.of("machine", 64),))
    assert Platform.single(np.int64(64)).to_toml() == '[[site]]\nname = "machine"\ncores = 64\n'


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5, unique=True))
def test_what_is_written_is_read_again(tmp_path_factory, names):
    platform = Platform(tuple(Site.of(name, k + 1) for k, name in enumerate(names)))
    path = tmp_path_factory.mktemp("platform") / "grid.toml"
    platform.save(path)
    assert Platform.load(path) == platform


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "site: a platform needs one site or more"),
        ("site = 3", "site: expected [[site]] tables, got 3"),
        ("site = [1, 2]", "site: expected [[site]] tables"),
        ('[[site]]\nname = "A"', "site[0].cores is missing"),
        ("[[site]]\ncores = 4", "site[0].name is missing"),
        (TWO + '[[site]]\nname = "C"\ncores = -1', "site[2].cores: expected a number from 1"),
        ('[[site]]\nname = "A"\ncores = -4', "site[0].cores: expected a number from 1"),
        ('[[site]]\nname = "A"\ncores = 99999999999999', "site[0].cores: expected a number"),
        ('[[site]]\nname = "A"\ncores = 4.5', "site[0].cores: expected a whole number, got 4.5"),
        ('[[site]]\nname = "A"\ncores = true', "site[0].cores: expected a whole number"),
        ('[[site]]\nname = "A"\ncores = "4"', "site[0].cores: expected a whole number"),
        ('[[site]]\nname = ""\ncores = 4', "site[0].name: expected the site's name"),
        ("[[site]]\nname = 7\ncores = 4", "site[0].name: expected the site's name"),
        ('[[site]]\nname = "A"\ncores = 4\ncorse = 5', "site[0].corse is no known key"),
        (TWO + "[links]", "links is no known key; did you mean 'link'?"),
        (TWO + '[[site]]\nname = "A"\ncores = 1', "site[2].name: 'A' is taken"),
        ("[[site]\n", "is no TOML file"),
    ],
)
def test_errors_name_the_file_and_the_path_of_the_key(tmp_path, text, message):
    path = tmp_path / "grid.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        Platform.load(path)
    assert "grid.toml" in str(caught.value)


def test_a_binary_and_a_missing_file_are_refused(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is no TOML file"):
        Platform.load(path)
    with pytest.raises(FormatError, match="there is no such file"):
        Platform.load(tmp_path / "none.toml")


def test_a_machine_without_cores_is_refused():
    with pytest.raises(InputError, match="cores: expected"):
        Platform.single(0)
