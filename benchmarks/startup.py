"""How long ``gridtwin --help`` takes, as a ratio to an empty Typer app, in CPU seconds.

``python benchmarks/startup.py [--json]``. The two take turns, so that the machine's other load
meets both; the least of the turns counts.
"""

import json
import resource
import subprocess
import sys

EMPTY = """
import typer
app = typer.Typer()
@app.command()
def one() -> None: ...
@app.command()
def two() -> None: ...
app()
"""
COMMANDS = {
    "empty app": [sys.executable, "-c", EMPTY, "--help"],
    "gridtwin --help": [sys.executable, "-m", "gridtwin", "--help"],
    "gridtwin train --help": [sys.executable, "-m", "gridtwin", "train", "--help"],
    "import gridtwin": [sys.executable, "-c", "import gridtwin"],
    "python": [sys.executable, "-c", "pass"],
}


def cpu_seconds(command: list[str]) -> float:
    """Return the CPU seconds of a child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(turns: int = 15) -> None:
    times = {name: [] for name in COMMANDS}
    for _ in range(turns):
        for name, command in COMMANDS.items():
            times[name].append(cpu_seconds(command))
    least = {name: min(values) for name, values in times.items()}
    result = {
        name: {"cpu_s": round(value, 4), "ratio": round(value / least["empty app"], 3)}
        for name, value in least.items()
    }
    if "--json" in sys.argv:
        print(json.dumps(result, indent=2))
        return
    for name, row in result.items():
        print(f"{name:24} {row['cpu_s']:.3f} CPU s  {row['ratio']:.2f} x the empty app")


if __name__ == "__main__":
    main()
