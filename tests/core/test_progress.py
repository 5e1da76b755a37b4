import sys
from io import StringIO

import pytest

from gridtwin.core.progress import track


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "silent"), [(StringIO, True), (Terminal, False)])
def test_a_bar_on_a_terminal_and_silence_elsewhere(monkeypatch, capsys, stream, silent):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream())
    assert list(track(iter([1, 2, 3]), "counting", total=3)) == [1, 2, 3]
    assert (sys.stderr.getvalue() == "") is silent
    assert capsys.readouterr().out == ""
