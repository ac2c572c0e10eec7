"""Every README: its code runs, its commands parse, its links and figures exist."""

import contextlib
import importlib
import io
import os
import pathlib
import re
import shlex
import urllib.parse
from typing import NamedTuple

import jax
import kept
import pytest

ROOT = pathlib.Path(__file__).parent.parent
READMES = sorted(
    path.relative_to(ROOT).as_posix()
    for room in (".", "nets", "train", "experiments", "tests")
    for path in (ROOT / room).glob("README.md" if room == "." else "**/README.md")
)
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in READMES}
MAX_LINES = 150  # of the main page


class Block(NamedTuple):
    readme: str
    number: int
    code: str


BLOCKS = [
    Block(name, number, code)
    for name, text in TEXTS.items()
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
]


def commands(text: str) -> list[str]:
    """Commands of experiments, in blocks of shell and within sentences."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [
        line.strip().removesuffix("&")  # in the background
        for line in [*lines, *re.findall(r"`([^`\n]+)`", prose)]
        if line.strip().startswith("python -m experiments.")
    ]


COMMANDS = [(name, line) for name, text in TEXTS.items() for line in commands(text)]
LINKS = [
    (name, link)
    for name, text in TEXTS.items()
    for link in re.findall(r"\]\(([^)\s]+)\)", text)
    if "://" not in link
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.readme}-{b.number}")
def test_code_runs_alone(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "import torch" in block.code:
        pytest.importorskip("torch", reason="pip install -e '.[peers]'")
    if "open_run(" in block.code:
        kept.untrained(tmp_path / "results" / "rows", seeds=[0, 1])
    source = f"{block.readme} (block {block.number})"
    with jax.numpy_rank_promotion("allow"):  # as everywhere but in our tests
        exec(compile(block.code, source, "exec"), {"__name__": "readme"})
    if "halves every" in block.code:
        assert "gru: the gradient halves every" in capsys.readouterr().out


@pytest.mark.parametrize(("readme", "command"), COMMANDS)
def test_commands_parse(readme, command):
    from experiments.harness import cli

    _, _, module, *flags = shlex.split(command, comments=True)
    config = importlib.import_module(module).Config
    with contextlib.redirect_stdout(io.StringIO()):
        parsed, _ = cli.parse(config, [flag for flag in flags if flag != "--resume"])
    assert parsed is not None or "--help" in flags


@pytest.mark.parametrize(("readme", "link"), LINKS)
def test_links_lead_to_files(readme, link):
    path, _, anchor = urllib.parse.unquote(link).partition("#")
    target = ROOT / readme if not path else (ROOT / readme).parent / path
    target = pathlib.Path(os.path.normpath(target))
    assert target.exists() and target.is_relative_to(ROOT)
    if anchor:
        titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
        slugs = [re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles]
        assert anchor in slugs


def test_figures_are_there():
    figures = [
        (ROOT / name).parent / figure
        for name, text in TEXTS.items()
        for figure in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    ]
    assert len(figures) >= 20
    for figure in figures:
        assert figure.read_bytes().startswith(b"\x89PNG")
    gallery = {path.name for path in (ROOT / "experiments" / "gallery").iterdir()}
    assert gallery == {figure.name for figure in figures}


def test_the_main_page_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= MAX_LINES
    assert {"nets/recurrent/README.md", "nets/flow/README.md"} <= set(READMES)
    assert {"train/README.md", "experiments/README.md"} <= set(READMES)


def test_every_experiment_is_in_the_list():
    from experiments.harness import process

    text = TEXTS["experiments/README.md"]
    missing = [name for name in process.experiments() if f"[{name}](" not in text]
    assert missing in ([], ["course"])  # the course is a chapter


def test_every_instrument_is_in_the_table():
    from nets import flow, probes

    text = TEXTS["nets/flow/README.md"]
    functions = [name for name in (*flow.__all__, *probes.__all__) if name.islower()]
    short = {"decay_rate", "half_life", "gradient_horizon"}  # parts of decay_profile
    missing = {name for name in functions if f"`{name}`" not in text}
    assert missing <= {*short, "zero_perturbations"}
