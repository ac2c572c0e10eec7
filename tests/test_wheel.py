"""Content of an installed package."""

import importlib.metadata
import pathlib
import subprocess
import sys
import tomllib
import zipfile

import pytest

import nets

ROOT = pathlib.Path(__file__).parent.parent
ROOMS = ("nets", "train", "experiments")


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The files of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size < 1_500_000
    return zipfile.ZipFile(wheel).namelist()


@pytest.mark.slow
def test_the_wheel_has_the_code_and_its_types_and_no_pictures(names):
    assert not [name for name in names if name.endswith(".png")]
    for room in ROOMS:
        assert f"{room}/py.typed" in names and f"{room}/__init__.py" in names
    files = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
    }
    assert files == {name for name in names if name.endswith(".py")}


@pytest.mark.slow
def test_the_wheel_has_the_templates_of_pages(names):
    folder = "experiments/harness/templates"
    files = {path.name for path in (ROOT / folder).iterdir()}
    assert {"report.html.j2", "course.html.j2", "style.css"} <= files
    assert files == {
        pathlib.PurePath(name).name for name in names if name.startswith(folder)
    }


@pytest.mark.slow
def test_the_wheel_has_the_command(names):
    assert any(name.endswith("entry_points.txt") for name in names)
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"backflow": "experiments.__main__:main"}


def test_the_version_is_that_of_the_package():
    assert nets.__version__ == importlib.metadata.version("backflow")
    with pytest.raises(AttributeError, match="no attribute 'zzz'"):
        nets.zzz  # noqa: B018
