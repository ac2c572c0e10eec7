"""The arrows of the design, the README, and what a fresh clone promises."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PEERS = {"torch", "keras", "haiku", "equinox", "tensorflow"}
FLAX = ("nets.linen", "nets.nnx", "nets.models")
FILES = [
    str(path.relative_to(ROOT))
    for room in ("nets", "train", "experiments")
    for path in sorted((ROOT / room).rglob("*.py"))
]


# What each room of nets may not know, the inner ones first.
ROOMS = {
    "nets.types": ("nets",),
    "nets.tracing": ("nets.initializers", "nets.cells", "nets.recurrent", "nets.flow"),
    "nets.linear": ("nets.initializers", "nets.cells", "nets.recurrent", "nets.flow"),
    "nets.convolutional": ("nets.blocks", "nets.cells", "nets.recurrent", "nets.flow"),
    "nets.blocks": ("nets.cells", "nets.recurrent", "nets.flow", "nets.interop"),
    "nets.linear_recurrence": ("nets.cells", "nets.recurrent", "nets.flow"),
    "nets.initializers": ("nets.convolutional", "nets.cells", "nets.recurrent"),
    "nets.cells": ("nets.recurrent", "nets.flow", "nets.interop", "nets.blocks"),
    "nets.recurrent": ("nets.cells", "nets.flow", "nets.interop", "nets.blocks"),
    "nets.flow": ("nets.cells", "nets.interop", "nets.blocks", "nets.probes"),
    "nets.probes": ("nets.cells", "nets.interop", "nets.blocks"),
    "nets.interop": ("nets.flow", "nets.blocks"),
}


def module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(file: str) -> set[str]:
    """The modules that a file imports, by their full names."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


@pytest.mark.parametrize("file", FILES)
def test_imports_point_one_way(file):
    names = imported(file)
    tops = {name.split(".")[0] for name in names}
    assert not tops & PEERS
    room = file.split("/")[0]
    if room in ("nets", "train"):
        other = {"nets": "train", "train": "nets"}[room]
        assert not tops & {other, "experiments", "absl"}
    if room == "nets" and not within(module(file), *FLAX):
        assert "flax" not in tops
    if room == "experiments" and file != "experiments/harness/cli.py":
        assert "absl" not in tops


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("nets/")])
def test_rooms_of_nets_stand_in_order(file):
    room = next((room for room in ROOMS if within(module(file), room)), None)
    forbidden = ROOMS[room] if room else ()
    if not within(module(file), *FLAX):
        forbidden = (*forbidden, *FLAX)
    assert not [name for name in imported(file) if within(name, *forbidden)]


def test_no_room_without_a_name():
    vague = {"utils", "common", "base", "misc", "helpers"}
    assert not [file for file in FILES if vague & set(re.split(r"[/.]", file))]


@pytest.mark.parametrize("file", [f for f in FILES if f.startswith("experiments/")])
def test_a_command_starts_where_all_is_defined(file):
    body = ast.parse((ROOT / file).read_text()).body
    starts = [node for node in body if "__main__" in ast.unparse(node)]
    assert all(node is body[-1] for node in starts if isinstance(node, ast.If))


@pytest.mark.slow
def test_readme_code_runs(capsys):
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(blocks) >= 3
    exec(compile("\n".join(blocks), "README.md", "exec"), {"__name__": "readme"})
    assert "the gradient halves every" in capsys.readouterr().out


def test_readme_names_every_cell():
    import nets

    readme = (ROOT / "README.md").read_text()
    assert not [name for name in nets.CELLS if f"`nets.{name}`" not in readme]


def test_figures_of_the_readme_are_there():
    readme = (ROOT / "README.md").read_text()
    figures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", readme)
    assert figures
    for figure in figures:
        assert (ROOT / figure).read_bytes().startswith(b"\x89PNG")


def test_lock_pins_with_hashes_and_names_no_registry():
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([a-z0-9.\-]+)==\S+( ;[^\\\n]*)? \\\n +--hash=", lock, re.M)
    starts = re.findall(r"^[a-z0-9]", lock, re.M)
    assert len(pins) == len(starts) > 20
    assert "://" not in lock
