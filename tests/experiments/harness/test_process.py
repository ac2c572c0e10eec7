"""A command as a process: signals, streams, environments, and its last word."""

import contextlib
import io
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import jax
import pytest
from test_cli import Config

from experiments.harness import cli, endings, machine, process, signals, streams

ROOT = pathlib.Path(process.__file__).parents[2]


def start(folder, module, *flags, **variables):
    """`python -m MODULE --flags`, in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(child):
    try:
        out, err = child.communicate(timeout=120)
    finally:
        child.kill()
    return child.returncode, out, err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="other signals")
@pytest.mark.parametrize(("name", "word"), signals.SIGNALS.items())
def test_a_signal_ends_a_command_at_once(name, word, tmp_path):
    number = getattr(signal, name)
    child = start(tmp_path, "experiments.gradient_flow", "--results=out")
    time.sleep(1.0)  # it is importing
    child.send_signal(number)
    began = time.monotonic()
    code, _, err = ended(child)
    assert time.monotonic() - began < 5
    assert (code, err) == (128 + number, f"gradient_flow: {word}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="other signals")
def test_a_signal_ends_a_run_and_reports_what_is_left(tmp_path):
    flags = "--cells=gru", "--seeds=0", "--probes=none", "--features=4", "--order=rows"
    child = start(
        tmp_path,
        "experiments.gradient_flow",
        *flags,
        "--steps=1000000",
        "--results=out",
    )
    rows = tmp_path / "out.unfinished" / "metrics.jsonl"
    for _ in range(1200):
        if rows.exists() or child.poll() is not None:
            break
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    code, _, err = ended(child)
    assert code == 130
    given = " ".join([*flags, "--steps=1000000", "--results=out", "--resume"])
    assert err == (
        "gradient_flow: interrupted (what was logged is in out.unfinished); to resume:"
        f"\npython -m experiments.gradient_flow {given}\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out.unfinished"]


@pytest.mark.slow
def test_a_signal_ends_what_a_command_has_started(tmp_path):
    code = (
        "import sys; from experiments.harness import signals; signals.watch('toy')\n"
        "print('x', flush=True)\n"
        "signals.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "x\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    assert ended(child)[::2] == (143, "toy: terminated\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "code", "sentence"),
    [
        ("experiments", 0, ""),
        ("experiments.harness", 2, "harness: this is a part of experiments, not an"),
        ("experiments.zzz", 2, "zzz: this is no experiment; expected one of"),
    ],
)
def test_a_module_that_is_no_experiment_is_refused(module, code, sentence, tmp_path):
    got, out, err = ended(start(tmp_path, module))
    assert got == code and err.startswith(sentence) and err.count("\n") == bool(code)
    assert code or all(f"  {name} " in out for name in process.experiments())


@pytest.mark.slow
def test_the_list_may_be_asked_for_a_version_or_an_experiment(tmp_path):
    code, out, _ = ended(start(tmp_path, "experiments", "--version"))
    assert code == 0 and re.match(r"backflow \d+\.\d+\.\d+\njax \d", out)
    assert re.search(r"\nflax \S+\n", out) and re.search(r"\npython 3\.\d+\.\d", out)
    code, _, err = ended(start(tmp_path, "experiments", "zzz"))
    assert code == 2 and err.startswith("zzz: this is no experiment")
    code, _, err = ended(start(tmp_path, "experiments", "--zzz"))
    assert code == 2 and err.startswith("backflow: expected the name of an experiment")


@pytest.mark.slow
def test_the_working_folder_hides_nothing(tmp_path):
    for name in ("train", "json", "html", "jax", "enum"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    flags = "--features=2", "--results=out"
    code, _, err = ended(start(tmp_path, "experiments.catalogue", *flags))
    assert (code, err) == (0, "")
    for word in (["--features=1", "--features=2"], ["--zzz"]):
        code, _, err = ended(start(tmp_path, "experiments.catalogue", *word))
        assert code == 2 and err.count("\n") == 1


@pytest.mark.slow
def test_a_package_of_the_same_name_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").touch()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from experiments.harness import process; process.begin('experiments')"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 2 and child.stderr.count("\n") == 1
    assert f"{tmp_path / 'train' / '__init__.py'} hides the package" in child.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"JAX_ENABLE_X64": "maybe"}, 2),
        ({"JAX_PLATFORMS": "zzz"}, 2),
        ({"XLA_FLAGS": "--zzz"}, 2),
        ({"MPLBACKEND": "zzz", "HOME": "", "JAX_DISABLE_JIT": "1"}, 0),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_the_environment_is_refused_or_works(variables, code, tmp_path):
    flags = "--features=2", "--results=out"
    got, _, err = ended(start(tmp_path, "experiments.catalogue", *flags, **variables))
    assert got == code and err.count("\n") == bool(code), err
    assert not code or next(iter(variables)) in err
    assert [path.name for path in tmp_path.iterdir()] == ([] if code else ["out"])


@pytest.mark.slow
def test_nothing_is_trained_under_strict_promotion(tmp_path):
    strict = {"JAX_NUMPY_DTYPE_PROMOTION": "strict"}
    code, _, err = ended(start(tmp_path, "experiments.edges", **strict))
    assert code == 2 and err.count("\n") == 1 and "unset it" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_may_be_closed(closed, tmp_path):
    words = shlex.join([sys.executable, "-m", "experiments", "--version"])
    child = subprocess.run(
        ["sh", "-c", f"{words} {closed}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0 and not child.stderr
    assert bool(child.stdout) == (">&-" not in closed.split())


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def __init__(self, error):
        super().__init__()
        self.raised = error

    def write(self, text):
        raise self.raised

    flush = write  # type: ignore[assignment]


def test_no_stream_makes_a_command_fail(monkeypatch):
    for error in (BrokenPipeError(32, "gone"), OSError(28, "full"), ValueError("shut")):
        monkeypatch.setattr(sys, "stdout", Broken(error))
        monkeypatch.setattr(sys, "stderr", Broken(error))
        with streams.forgiving():
            print("a line")
            print("another", file=sys.stderr)
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    with streams.forgiving():
        print("1 ± 2 \udcff")
    narrow.seek(0)
    assert narrow.read() == "1 \\xb1 2 \\udcff\n"


FAULTS = [
    (
        MemoryError("8 GB"),
        1,
        "does not fit in memory: MemoryError: 8 GB; a smaller --w",
    ),
    (OverflowError("int"), 1, "does not fit in memory: OverflowError"),
    (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: x"), 1, "does not fit in memory"),
    (jax.errors.JaxRuntimeError("INTERNAL: Out of memory"), 1, "not fit in memory"),
    (jax.errors.JaxRuntimeError("INTERNAL: odd"), 1, "failed"),
    (FloatingPointError("nan"), 1, "JAX_DEBUG_NANS"),
    (KeyError("command"), 1, "your own code failed, in"),
    (GeneratorExit(), 1, "your own code failed, in"),
    (OSError(5, "disk"), 1, "the run failed"),
]


@pytest.mark.parametrize(
    ("error", "code", "sentence"), FAULTS, ids=[repr(fault[0]) for fault in FAULTS]
)
@pytest.mark.parametrize("logged", [True, False])
def test_what_nobody_expected_is_one_sentence(
    error, code, sentence, logged, launched, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def run(config, results):
        if logged:
            results.log(kind="row")
        raise error

    toy = SimpleNamespace(__name__="toy", Config=Config, run=run)
    got, _, err = launched(toy, "--results=out", "--widths=80,90")
    # A disk that fails may work again, so the command to resume follows.
    lines = 2 if logged and isinstance(error, OSError) else 1
    assert got == code and err.count("\n") == lines and sentence in err, err
    assert (" --resume\n" in err) == (lines == 2)
    names = {path.name for path in tmp_path.iterdir()}
    assert "out" not in names and ("out.unfinished" in names) == logged
    if not isinstance(error, OSError):
        (file,) = re.findall(r"the traceback is in (\S+?)\)", err)
        assert type(error).__name__ in pathlib.Path(file).read_text()


def test_an_internal_error_is_named_as_such(launched, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def run(config, results):
        raise TypeError("of ours")

    module = SimpleNamespace(__name__="toy", Config=Config, run=run)
    monkeypatch.setattr(endings, "_own_code", lambda error: None)
    code, _, err = launched(module, "--results=out")
    assert code == 70 and "a fault of backflow, please report it: TypeError" in err


def test_flag_files_and_paths_of_all_kinds(launched, tmp_path, monkeypatch):
    toy = SimpleNamespace(__name__="toy", Config=Config, run=lambda *_: None)
    for data in ("--widths=4\n".encode("utf-16"), b"--names=\xff\n", b"--names=a\0\n"):
        (tmp_path / "flags").write_bytes(data)
        code, _, err = launched(toy, "--flagfile=flags", "--results=out")
        assert code == 2 and err.count("\n") == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    assert launched(toy, "--results=~/out").returncode == 0
    assert (tmp_path / "out").is_dir()
    assert "no home folder for '~zzz'" in launched(toy, "--results=~zzz/a").stderr


def test_too_much_memory_is_refused():
    assert 2**20 < machine.memory() < 2**63
    with pytest.raises(cli.UsageError, match="the weights need 1e"):
        machine.need(1e30, "the weights", "--features")


@pytest.mark.slow
def test_nothing_is_watched_in_a_library():
    code = (
        "import signal, sys; before = signal.getsignal(signal.SIGINT), sys.excepthook\n"
        "import experiments, experiments.harness.process, experiments.harness.signals\n"
        "assert before == (signal.getsignal(signal.SIGINT), sys.excepthook)\n"
        "assert not experiments.harness.process.began()"
    )
    with contextlib.chdir(ROOT):
        subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_flags_are_known_without_jax():
    code = (
        "import importlib, sys; from experiments.harness import process\n"
        "for name in process.experiments():\n"
        "    importlib.import_module(f'experiments.{name}').Config()\n"
        "slow = {'jax', 'numpy', 'nets', 'train', 'matplotlib'} & set(sys.modules)\n"
        "assert not slow and len(process.experiments()) > 20, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gradient_flo", "this is no experiment; did you mean gradient_flow?"),
        ("zzz", "this is no experiment; expected one of adding, "),
        ("harness", "this is a part of experiments, not an experiment; expected one"),
    ],
)
def test_an_unknown_experiment_is_refused(name, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        process._expect_experiment(name)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"{name}: {sentence}")


def test_a_full_disk_of_compiled_programs_is_no_warning():
    message = "Error writing persistent compilation cache entry for 'f': OSError"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        machine.keep_compiled()
        warnings.warn(message, stacklevel=1)
        warnings.warn("other", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["other"]
