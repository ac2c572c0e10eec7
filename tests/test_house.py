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
