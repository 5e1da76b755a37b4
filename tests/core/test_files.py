import hashlib

import pytest

from gridtwin.core.errors import InputError
from gridtwin.core.files import sha256, writing


def test_writes_into_new_folders_and_leaves_no_other_file(tmp_path):
    path = tmp_path / "a" / "b" / "out.txt"
    with writing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def test_a_failed_write_leaves_the_older_file(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail():
        with writing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_sha256(tmp_path):
    data = b"x" * (3 << 20)
    (tmp_path / "f").write_bytes(data)
    assert sha256(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_a_folder_is_not_written_over(tmp_path):
    with pytest.raises(InputError, match="is a folder; give the name of a file"), writing(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
