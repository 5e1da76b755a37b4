"""The process of a study that was started from the page; it ends when its stdin does.

``python -m gridtwin.web.study_child FILE FOLDER``; an error is one line of JSON on stdout.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from gridtwin.core.errors import GridtwinError

__all__ = ["main"]


def main() -> None:
    """Run the study and write its report."""
    from gridtwin.report.study import write_study_report
    from gridtwin.study.folder import Folder
    from gridtwin.study.run import run
    from gridtwin.study.spec import load

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when it is over
    threading.Thread(target=_listen, daemon=True).start()
    file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        run(load(file), folder, text=file.read_text(encoding="utf-8"))
        write_study_report(Folder.open(folder), folder / "report.html")
    except (GridtwinError, OSError) as error:
        sys.stdout.write(json.dumps({"text": str(error)}) + "\n")
        sys.exit(1)


def _listen() -> None:
    while sys.stdin.readline():
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
