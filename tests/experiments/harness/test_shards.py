"""Shards of a study are separate runs in one folder."""

import dataclasses
import json
from types import SimpleNamespace

import pytest

from experiments.harness import cli, common_flags
from experiments.harness.common_flags import TrainingConfig


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    """A network per seed."""

    seeds: list[int] = common_flags.seeds([7, 3, 5])


def run(config, results):
    for seed in config.seeds:
        results.log(kind="seed", seed=seed)


toy = SimpleNamespace(__name__="toy", Config=Config, run=run)


def seeds(folder):
    rows = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(row)["seed"] for row in rows]


def test_shards_share_a_folder_and_divide_the_members(launched, tmp_path):
    for index in (0, 1):
        done = launched(toy, "--results=out", f"--shard={index}/2", "--steps=9")
        assert done.returncode == 0, done.stderr
    first, second = (tmp_path / "out" / f"shard_{i}_of_2" for i in (0, 1))
    assert sorted((tmp_path / "out").iterdir()) == [first, second]
    assert seeds(first) == [7, 5] and seeds(second) == [3]
    stored = json.loads((second / "config.json").read_text())
    assert stored["shard"] == "1/2" and stored["config"]["seeds"] == [7, 3, 5]
    assert stored["command"].endswith(" --shard=1/2 --steps=9")


def test_a_shard_is_not_run_twice(launched, tmp_path):
    flags = "--results=out", "--shard=0/3"
    assert launched(toy, *flags).returncode == 0
    done = launched(toy, *flags)
    assert done.returncode == 2 and "shard_0_of_3 exists already" in done.stderr


@pytest.mark.parametrize("text", ["3", "0/0", "9/8", "8/8", "-1/2", "a/2", "1/2/3"])
def test_a_shard_that_does_not_exist_is_refused(text, launched, tmp_path):
    done = launched(toy, "--results=out", f"--shard={text}")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "flag --shard: expected I/N, shard I of N" in done.stderr
    assert done.stderr.endswith(f"got {text!r}\n") and not list(tmp_path.iterdir())


def test_more_shards_than_members_are_refused(launched, tmp_path):
    done = launched(toy, "--results=out", "--shard=0/4")
    assert done.returncode == 2 and "expected at most 3 shards" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_shard_needs_the_folder_that_it_shares(launched, tmp_path):
    done = launched(toy, "--shard=0/2")
    assert done.returncode == 2 and "with --results" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_experiment_without_members_has_no_shards(launched, tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Untrained:
        seeds: list[int] = common_flags.seeds([0, 1])

    untrained = SimpleNamespace(__name__="untrained", Config=Untrained, run=run)
    done = launched(untrained, "--results=out", "--shard=0/2")
    assert done.returncode == 2 and "has no members to divide" in done.stderr
    assert cli.parse_all(Untrained, ["--shard=0/2"])[3].shard == "0/2"
