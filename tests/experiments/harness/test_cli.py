"""From flags to a `Config`, and to the settings of a run."""

import dataclasses
import importlib
import json
import pathlib
import re
from types import SimpleNamespace

import pytest
from commands import TOOLS

from experiments.harness import cli, process, usage
from experiments.harness.folders import ResultsError
from experiments.harness.runs import new_run

HERE = pathlib.Path(cli.__file__).parent


@dataclasses.dataclass(frozen=True)
class Config:
    """Flags of all kinds of lists."""

    widths: list[int] = cli.flag([8], "Units.", lower_bound=1)
    rates: list[float] = cli.flag([0.5], "Steps.", lower_bound=0.1)
    gains: list[float] = cli.flag([1.0], "Of any size.")
    names: list[str] = cli.flag(["a"], "Words.", extends=True)
    form: str = cli.flag("paper", "One word.", choices=("screen", "paper"))
    forms: list[str] = cli.flag(["png"], "Some words.", choices=("png", "svg"))
    share: float = cli.flag(0.5, "A share.", lower_bound=0.001)
    count: int = cli.flag(2, "A count.", lower_bound=2)


def run(config, results):
    if "bad" in config.names:
        raise cli.UsageError("a bad name")
    results.log(kind="names", names=config.names)


toy = SimpleNamespace(__name__="toy", Config=Config, run=run)

MISTAKES = [
    ("--widths=0", "flag --widths: expected integers of at least 1; got 0"),
    ("--widths=4,-1", "flag --widths: expected integers of at least 1; got -1"),
    ("--rates=0.5,0.05", "flag --rates: expected numbers of at least 0.1; got 0.05"),
    ("--rates=inf", "flag --rates: expected finite numbers; got inf"),
    ("--gains=1,nan", "flag --gains: expected finite numbers; got nan"),
    ("--gains=-inf", "flag --gains: expected finite numbers; got -inf"),
    (
        "--form=papr",
        "flag --form: expected one of screen, paper; got 'papr'; did you mean paper?",
    ),
    ("--form=zzz", "flag --form: expected one of screen, paper; got 'zzz'"),
    (
        "--forms=pgn",
        "flag --forms: expected some of png, svg; got 'pgn'; did you mean png?",
    ),
    (
        "--widths=1,5:5",
        "flag --widths: expected a range that ends above its start, as 0:16 for the "
        "integers 0 to 15; got '5:5'",
    ),
    (
        "--widths=3:1",
        "flag --widths: expected a range that ends above its start, as 0:16 for the "
        "integers 0 to 15; got '3:1'",
    ),
    ("--widths=0:3", "flag --widths: expected integers of at least 1; got 0"),
    ("--widths=1:4,2", "flag --widths: 2 is given twice"),
    (
        "--widths=1:9999999999",
        "flag --widths: expected at most 1000 values; got 9999999998",
    ),
    (
        "--widths=1:",
        "flag --widths: expected integers separated by commas; got '1:'",
    ),
    (
        "--rates=1:3",
        "flag --rates: expected numbers separated by commas; got '1:3'",
    ),
    ("--share=0", "flag --share=0: 0.0 is not a number of at least 0.001"),
    ("--count=1", "flag --count=1: 1 is not an integer of at least 2"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_each_item_of_a_list_is_checked(flag, sentence):
    with pytest.raises(cli.UsageError) as error:
        cli.parse(Config, [flag])
    assert str(error.value) == sentence


def test_a_range_is_a_list_of_integers():
    config, _ = cli.parse(Config, ["--widths=1:4,9,16:18"])
    assert config.widths == [1, 2, 3, 9, 16, 17]
    signed = dataclasses.make_dataclass(
        "Signed", [("shifts", list[int], cli.flag([0], "Shifts."))], frozen=True
    )
    assert cli.parse(signed, ["--shifts=-2:2"])[0].shifts == [-2, -1, 0, 1]
    text = usage.text("Which?", "toy", (Config,))
    entry = " ".join(text[text.index("--widths") : text.index("--rates")].split())
    assert "Units. 0:4 is short for 0,1,2,3. At least 1." in entry
    assert text.count("is short for") == 1


UNKNOWN = [
    (["--wdths=1"], "unknown flag --wdths; did you mean --widths?"),
    (["--helq"], "unknown flag --helq; did you mean --help?"),
    (["--zzz"], "unknown flag --zzz; --help lists all flags"),
    (["--nozzz"], "unknown flag --nozzz; --help lists all flags"),
    (["--widths", "--zzz"], "flag --widths: expected integers separated by commas; "),
]


@pytest.mark.parametrize(("flags", "sentence"), UNKNOWN)
def test_a_flag_that_does_not_exist_is_refused(flags, sentence):
    with pytest.raises(cli.UsageError) as error:
        cli.parse(Config, flags)
    assert str(error.value).startswith(sentence)


def test_a_flag_that_is_given_twice_is_refused():
    with pytest.raises(cli.UsageError, match=r"^flag --widths is given twice; give it"):
        cli._check_once(["--widths=1", "--names", "b", "-widths", "2"])
    cli._check_once(["--flagfile=a", "--flagfile=b", "--", "--widths", "--widths"])


def test_what_follows_two_dashes_is_no_flag():
    with pytest.raises(cli.UsageError, match=r"expected flags only, .* got '--zzz'"):
        cli.parse(Config, ["--widths=1", "--", "--zzz"])


@dataclasses.dataclass(frozen=True)
class Compared:
    """Positional arguments."""

    cell: str = cli.argument("Name of a cell.")
    runs: list[str] = cli.argument("Folders of runs.", many=True)
    seed: int = cli.flag(0, "Seed.", group="model")


def test_positional_arguments_are_read_in_order():
    config, folder = cli.parse(Compared, ["lstm", "--seed=3", "a", "--results=c", "b"])
    assert config == Compared("lstm", ["a", "b"], 3) and folder == "c"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "expected CELL (Name of a cell); got none"),
        (["lstm", "--seed=3"], "expected RUNS... (Folders of runs); got none"),
        (["", "a"], "expected CELL (Name of a cell); got none"),
        (["lstm", "a\0"], "RUNS...: expected text without a NUL; got 'a\\x00'"),
    ],
)
def test_positional_arguments_are_checked(words, sentence):
    with pytest.raises(cli.UsageError) as error:
        cli.parse(Compared, words)
    assert str(error.value) == sentence


def test_one_positional_argument_too_many_is_refused():
    config = dataclasses.make_dataclass(
        "One", [("run", str, cli.argument("A run."))], frozen=True
    )
    with pytest.raises(cli.UsageError, match=r"^expected only RUN and flags, .* 'b'$"):
        cli.parse(config, ["a", "b"])


def test_the_help_has_arguments_and_groups(launched):
    toy = SimpleNamespace(__name__="toy", Config=Compared, run=run)
    code, out, _ = launched(toy, "--help")
    headings = [line for line in out.splitlines() if re.fullmatch(r"[A-Z]\w+:", line)]
    assert code == 0 and headings == ["Arguments:", "Model:", "Output:", "Other:"]
    assert "\n  RUNS...\n      Folders of runs." in out
    assert "Model:\n  --seed=0\n      Seed.\n\nOutput:\n  --results" in out


def test_every_experiment_prints_the_versions(launched):
    code, out, _ = launched(toy, "--widths=4", "--version")
    assert code == 0 and out.startswith("backflow ") and "\njax " in out
    assert "--version\n" in launched(toy, "--help").stdout


def test_what_is_allowed_in_a_list_is_taken():
    flags = ["--widths=1,2", "--rates=0.1", "--gains=-1e9,0", "--names=nan,inf"]
    config, _ = cli.parse(Config, flags)
    assert config == Config([1, 2], [0.1], [-1e9, 0.0], ["nan", "inf"])


def test_no_experiment_refuses_its_own_defaults():
    names = set(process.experiments()) - TOOLS
    modules = [importlib.import_module(f"experiments.{name}") for name in names]
    taken = [cli.parse(module.Config, [])[0] == module.Config() for module in modules]
    assert len(taken) > 20 and all(taken)


@pytest.mark.parametrize("where", [["--results=out"], ["--results", "out"]])
def test_the_command_that_is_kept_can_be_given_again(where, launched, tmp_path):
    assert launched(toy, *where, "--widths=4").returncode == 0
    command = json.loads((tmp_path / "out" / "config.json").read_text())["command"]
    assert command.startswith("python -m ") and command.endswith(" --widths=4")
    assert "out" not in command


def test_a_complete_run_is_extended(launched, tmp_path):
    def call(*flags):
        return launched(toy, "--results=out", *flags, "--resume", resumable=True)

    metrics, config = tmp_path / "out" / "metrics.jsonl", tmp_path / "out/config.json"
    assert call().returncode == 0
    assert call("--names=b,c").returncode == 0
    assert len(metrics.read_text().splitlines()) == 2
    assert json.loads(config.read_text())["config"]["names"] == ["b", "c"]
    before = config.read_bytes()
    for flag, sentence in (
        ("--widths=9", "belongs to a run with other flags"),
        ("--names=bad", "a bad name"),
    ):
        code, _, err = call(flag)
        assert code == 2 and sentence in err and err.count("\n") == 1
        assert config.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_was_added_before_a_failure_is_kept(tmp_path):
    folder, made = tmp_path / "run", {"config": {"names": 1}}
    with new_run(folder, made) as results:
        results.log(a=1)
    extending = {"resume": True, "extends": ["names"]}
    with (
        pytest.raises(KeyboardInterrupt),
        new_run(folder, made, **extending) as results,
    ):
        results.log(a=2)
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["run.unfinished"]
    with new_run(folder, {"config": {"names": 2}}, **extending) as results:
        assert results.logged() == [{"a": 1}, {"a": 2}]
    with (
        pytest.raises(ResultsError, match="exists already"),
        new_run(folder, made, resume=True),  # no flag extends it
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
