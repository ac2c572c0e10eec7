"""Completion of `backflow`, in a real shell."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from commands import TOOLS

from experiments.harness import common_flags, completion, process

ROOT = pathlib.Path(process.__file__).parents[2]
# A line, and what Tab offers for its last word: all of it.
OFFERED = {
    "backflow gra": {"gradient_flow"},
    "backflow --co": {"--completion"},
    "backflow --completion=z": {"zsh"},
    "backflow gradient_flow --ce": {"--cells"},
    "backflow gradient_flow --cells=lstm": {"lstm", "lstm_1997"},
    "backflow gradient_flow --cells elman,lst": {"elman,lstm", "elman,lstm_1997"},
    "backflow gradient_flow --cells=lstm,lst": {"lstm,lstm_1997"},
    "backflow gradient_flow --order=": set(common_flags.ORDERS),
    "backflow gradient_flow --optimizer=ad": {"adam", "adamw"},
    "backflow gradient_flow --init=k": {"keras"},
    "backflow gradient_flow --probes=gates,": {
        *("gates,state_gradients", "gates,lyapunov", "gates,none")
    },
    "backflow gradient_flow --features=": set(),
    "backflow gradient_flow --nob": {"--nobidirectional"},
    "backflow gradient_flow --order=rows --sa": {"--save_every"},
    "backflow music --data_dir=fold": {"folder/"},
    "backflow music --results=f": {"folder/"},
    "backflow hyperparameters --experiment=gat": {"gates"},
    "backflow gates --ver": {"--version"},
    "backflow compare f": {"folder/"},
    "backflow compare folder/ f": {"folder/"},
    "backflow inspect f": {"folder/"},
    "backflow export folder/ f": {"folder/", "file"},
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    program = tmp_path / "backflow"
    program.write_text(
        f"#!{sys.executable}\nfrom experiments.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    lines = "\n".join(f"try '{line}'" for line in OFFERED)
    script = rf"""
    eval "$({sys.executable} -m experiments --completion=bash)"
    complete -p backflow | sed 's/.*-F \([^ ]*\) .*/\1/' > name
    try() {{
        COMP_LINE="$1" COMP_POINT=${{#1}} COMP_TYPE=9 COMPREPLY=()
        "$(cat name)" backflow 2> errors
        echo "${{COMPREPLY[*]}}"
    }}
    {lines}
    """
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [set(line.split()) for line in done.stdout.splitlines()]
    assert dict(zip(OFFERED, answers, strict=True)) == OFFERED


def test_every_flag_is_completed():
    parse = completion.parser().parse_args
    for name in process.experiments():
        words = ["--flagfile=a", "--results=b"]
        if name in TOOLS:
            words += ["run", "file"][: 2 if name == "export" else 1]
        if name in ("gates", "information"):
            words += ["--order=rows", "--seeds=1"]
        assert vars(parse([name, *words]))["results"] == "b"


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_there_is_a_script_for_each_shell(shell):
    assert "backflow" in completion.script(shell)


def test_an_unknown_shell_is_refused():
    with pytest.raises(process.UsageError, match=r"one of bash, zsh, .*; got 'csh'"):
        completion.script("csh")
