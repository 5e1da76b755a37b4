import sys

import pytest

from gridtwin.core.errors import UnknownNameError
from gridtwin.core.registry import Registry


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A package of plug-ins on the path, and another distribution with an entry point."""
    package = tmp_path / "plugins_for_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "red.py").write_text("value = 'red thing'\n")
    (package / "green.py").write_text("value = 'green thing'\n")
    (package / "base.py").write_text("raise RuntimeError('must not be imported')\n")
    (package / "_private.py").write_text("raise RuntimeError('must not be imported')\n")
    (package / "shared").mkdir()
    (package / "shared" / "__init__.py").write_text("")
    (tmp_path / "others_for_test.py").write_text("value = 'blue thing'\n")
    info = tmp_path / "others_for_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others-for-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[test.things]\nblue = others_for_test\nplain = others_for_test:value\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "plugins_for_test"
    for name in [m for m in sys.modules if m.split(".")[0].endswith("_for_test")]:
        del sys.modules[name]


@pytest.fixture
def by_file(plugins):
    return Registry(
        "thing", plugins, "test.things", pick=lambda m: m.value, skip=frozenset({"base"})
    )


def test_names_come_from_files_and_entry_points_without_import(by_file):
    assert by_file.names() == ["blue", "green", "plain", "red"]
    assert "plugins_for_test.red" not in sys.modules


def test_get_imports_what_is_asked_for_only(by_file):
    assert by_file.get("red") == "red thing"
    assert "plugins_for_test.green" not in sys.modules


def test_entry_points_may_be_modules_or_objects(by_file):
    assert by_file.get("blue") == "blue thing"
    assert by_file.get("plain") == "blue thing"


def test_unknown_and_skipped_names(by_file):
    with pytest.raises(UnknownNameError, match="unknown thing 'gren'; did you mean 'green'"):
        by_file.get("gren")
    with pytest.raises(UnknownNameError, match="unknown thing 'base'"):
        by_file.get("base")


def test_registration_by_the_modules_themselves(plugins, tmp_path):
    (tmp_path / plugins / "base.py").write_text("")
    registry = Registry("thing", plugins, "test.things")
    registry.add("mine", 1)
    registry.add("mine", 1)
    with pytest.raises(ValueError, match="thing 'mine' is registered twice"):
        registry.add("mine", 2)
    assert registry.names() == ["blue", "mine", "plain"]
    assert "plugins_for_test.red" in sys.modules
    assert registry.get("plain") == "blue thing"


def test_entry_points_are_read_once_for_a_search_path(by_file, tmp_path, monkeypatch):
    first = by_file.names()
    later = tmp_path / "later"
    for folder, name in ((tmp_path, "unseen"), (later, "violet")):
        info = folder / f"{name}_for_test-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}-for-test\nVersion: 1\n"
        )
        (info / "entry_points.txt").write_text(f"[test.things]\n{name} = others_for_test:value\n")
    assert by_file.names() == first
    assert by_file.get("unseen") == "blue thing"  # asked for by name it is found all the same
    monkeypatch.syspath_prepend(str(later))
    assert "violet" in by_file.names()
