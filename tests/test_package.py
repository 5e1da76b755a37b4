import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gridtwin

ROOT = Path(__file__).parents[1]
HEAVY = ("polars", "scipy", "sklearn", "numba", "torch", "numpy", "altair")


def heavy_after(code: str) -> list[str]:
    """Return the heavy libraries that a fresh interpreter has loaded after `code`."""
    probe = f"{code}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return eval(done.stdout.splitlines()[-1])


def test_import_is_light():
    assert heavy_after("import gridtwin") == []
    assert heavy_after("import gridtwin.trace") != []  # the probe can see them


@pytest.mark.parametrize("args", [[], ["train"], ["demo"], ["simulate"]])
def test_help_is_light(args):
    code = f"from gridtwin.cli import main\ntry:\n main({[*args, '--help']})\nexcept SystemExit: 0"
    assert heavy_after(code) == []


@pytest.mark.parametrize("name", gridtwin.__all__)
def test_public_names_resolve(name):
    assert getattr(gridtwin, name) is not None
    assert name in dir(gridtwin)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gridtwin.nothing


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_run(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_generated_pages_are_up_to_date():
    script = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def python_snippets(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.sh")), ids=lambda p: p.name)
def test_scripts_run(path, tmp_path):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", str(path)], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("page", ["README.md"])
def test_snippets_of_the_pages_run(page, tmp_path, monkeypatch):
    snippets = python_snippets(ROOT / page)
    assert snippets
    monkeypatch.chdir(tmp_path)
    for snippet in snippets:
        exec(compile(snippet, page, "exec"), {})


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_links_of_the_site_stay_in_it():
    docs = ROOT / "docs"
    leaving = [
        f"{page.relative_to(docs)}: {target}"
        for page in docs.glob("**/*.md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).resolve().is_relative_to(docs)
    ]
    assert leaving == []


def included() -> list[tuple[str, str]]:
    """Return what pages take from examples: the page, and the file with its section."""
    return [
        (page.name, what)
        for page in ROOT.glob("docs/**/*.md")
        for what in re.findall(r'^--8<-- "(.+)"', page.read_text(encoding="utf-8"), re.MULTILINE)
    ]


def test_sections_that_pages_take_from_examples_are_there():
    assert included()
    for page, what in included():
        name, _, section = what.partition(":")
        assert name.startswith("examples/"), page  # the tests run every file there
        text = (ROOT / name).read_text(encoding="utf-8")
        assert f"[start:{section}]" in text, (page, what)
        assert f"[end:{section}]" in text, (page, what)


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"\S+\.md$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    there = [str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")]
    assert sorted(listed) == sorted(there)


def test_command_table_of_the_readme_is_complete():
    from gridtwin.cli import app

    commands = {command.name for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert commands == set(re.findall(r"^\| `gridtwin ([\w-]+)", text, re.MULTILINE))


def test_a_net_without_torch_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import gridtwin\n"
        "assert 'tvae' in gridtwin.models.names()\n"
        "try:\n    gridtwin.models.get('tvae')\n"
        "except gridtwin.core.errors.MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("pip install 'gridtwin[torch]'")
