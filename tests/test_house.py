"""The promises of the design and of a fresh clone.

The arrows of imports are contracts in pyproject.toml, which `lint-imports` checks.
"""

import ast
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FILES = [
    str(path.relative_to(ROOT))
    for room in ("nets", "train", "experiments")
    for path in sorted((ROOT / room).rglob("*.py"))
]


def test_no_room_without_a_name():
    vague = {"utils", "common", "base", "misc", "helpers"}
    assert not [file for file in FILES if vague & set(re.split(r"[/.]", file))]


def test_files_are_short():
    lines = {file: len((ROOT / file).read_text().splitlines()) for file in FILES}
    assert not {file: count for file, count in lines.items() if count > 300}


def test_functions_are_short():
    counts = {
        f"{file}: {node.name}": _lines(node)
        for file in FILES
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert not {name: count for name, count in counts.items() if count > 60}


def _lines(function):
    """Number of lines without the docstring."""
    docstring = function.body[0] if ast.get_docstring(function) else None
    last = function.end_lineno or 0
    if docstring is not None:
        last -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return last - function.lineno + 1


def test_contracts_of_imports_name_every_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    contracts = settings["importlinter"]["contracts"]
    packages = {
        f"experiments.{path.parent.name}"
        for path in (ROOT / "experiments").glob("*/__init__.py")
    }
    experiments = packages - {"experiments.harness"}
    contained = [set(c["containers"]) for c in contracts if "containers" in c]
    assert [names for names in contained if names & experiments] == [experiments]
    layers = [
        layer
        for contract in contracts
        if contract["type"] == "layers" and "containers" not in contract
        for layer in contract["layers"]
    ]
    assert experiments in [set(layer.split(" | ")) for layer in layers]
    named = {name for layer in layers for name in re.split(r" [|:] ", layer)}
    rooms = {
        f"nets.{path.stem}"
        for path in (ROOT / "nets").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"nets.__init__"} | packages <= named


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith("experiments/")])
def test_a_command_starts_where_all_is_defined(file):
    body = ast.parse((ROOT / file).read_text()).body
    starts = [node for node in body if "__main__" in ast.unparse(node)]
    assert all(node is body[-1] for node in starts if isinstance(node, ast.If))


def test_lock_pins_with_hashes_and_names_no_registry():
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([a-z0-9.\-]+)==\S+( ;[^\\\n]*)? \\\n +--hash=", lock, re.M)
    starts = re.findall(r"^[a-z0-9]", lock, re.M)
    assert len(pins) == len(starts) > 20
    assert "://" not in lock


def test_no_two_test_files_have_the_same_name():
    """Pytest imports them by their names, and would collect nothing."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(set(names)) == len(names)
