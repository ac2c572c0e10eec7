"""Shards in a folder, joined into one run."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any

import chex
import jax
import numpy as np
import pytest
from commands import TINY, files

from experiments import gradient_flow, merge
from experiments.harness.process import ROOT
from experiments.harness.runs import new_run
from experiments.harness.saved import open_run
from experiments.merge import records


def shard(folder, index, count=2, **other):
    """The folder of a shard, as if it had been run."""
    metadata = {
        "experiment": "gradient_flow",
        "config": dataclasses.asdict(gradient_flow.Config(seeds=[0, 1, 2])),
        "shard": f"{index}/{count}",
        "command": "python -m experiments.gradient_flow --seeds=0,1,2 "
        f"--shard={index}/{count}",
    }
    place = folder / f"shard_{index}_of_{count}"
    with new_run(place, {**metadata, **other}) as results:
        results.log(kind="accuracy", seed=index, test_accuracy=0.5)
    return place


def alter(place, **entries):
    """Change config.json of a run."""
    file = place / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


@pytest.fixture
def study(tmp_path):
    for index in (0, 1):
        shard(tmp_path / "study", index)
    return tmp_path / "study"


@pytest.fixture
def refused(launched):
    """The one sentence with which the folder "study" is refused."""

    def refused(*flags):
        done = launched(merge, "study", *flags, keeps_results=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done
        return done.stderr

    return refused


def test_shards_are_opened_in_their_order_next_to_other_files(study):
    (study / "slurm-17.out").write_text("")
    (study / "submitit").mkdir()
    assert [run.metadata["shard"] for run in records.read(study)] == ["0/2", "1/2"]


def test_commits_may_differ_but_are_named(study, capsys):
    alter(study / "shard_1_of_2", commit="abc")
    assert len(records.read(study)) == 2
    assert capsys.readouterr().err.endswith(", abc\n")


def test_missing_and_unfinished_shards_are_named(refused, tmp_path):
    for index in (0, 3):
        shard(tmp_path / "study", index, 5)
    place = shard(tmp_path / "study", 2, 5)
    place.rename(place.with_name(place.name + ".unfinished"))
    assert refused().endswith(
        "expected 5 complete shards; study has no shard 1, 4: run --shard=1/5, "
        "--shard=4/5; and it has unfinished shards 2: wait for their end, or resume "
        "them, e.g. python -m experiments.gradient_flow --seeds=0,1,2 --shard=2/5 "
        "--results=study --resume\n"
    )
    assert not (tmp_path / "study" / "merged").exists()


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"device": "gpu: X"}, "differ in device: cpu: cpu and gpu: X"),
        ({"devices": 4}, "differ in devices: 1 and 4"),
        ({"versions": {"jax": "0.1"}}, "differ in versions: .* and "),
        ({"data": {"path": "a", "sha256": "b"}}, "content of their data: None and a"),
        ({"experiment": "gates"}, "differ in experiment: gradient_flow and gates"),
        ({"shard": "0/2"}, "expected shard 1 of 2 in .*; .* has shard '0/2'"),
    ],
)
def test_shards_of_two_studies_are_refused(entries, sentence, study, refused):
    alter(study / "shard_1_of_2", **entries)
    assert re.search(sentence, refused())


def test_the_flag_is_named_in_which_shards_differ(study, refused):
    config = json.loads((study / "shard_1_of_2" / "config.json").read_text())["config"]
    alter(study / "shard_1_of_2", config={**config, "features": 7})
    assert refused().endswith("differ in flag --features: 64 and 7\n")


def test_shards_of_other_versions_than_this_are_refused(study, refused):
    for index in (0, 1):
        alter(study / f"shard_{index}_of_2", device="gpu: X")
    assert "were run with device gpu: X, and this is cpu: cpu" in refused()


def test_other_folders_are_refused(study, refused, tmp_path):
    (study / "shard_1").mkdir()
    assert "expected folders shard_I_of_N only" in refused()
    (study / "shard_1").rmdir()
    shard(study, 0, 3)
    assert "got shards of 2 and 3" in refused()
    shutil.rmtree(study)
    assert "there is no folder study" in refused()
    study.mkdir()
    assert "there are none" in refused()


def test_a_merged_run_is_not_replaced(study, refused, tmp_path):
    (tmp_path / "out").mkdir()
    (study / "merged.unfinished").mkdir()
    assert "/out exists already" in refused("--results=out")
    assert "/merged.unfinished exists already" in refused()
    (tmp_path / "file").write_text("")
    assert "cannot be written: Not a directory" in refused("--results=file/out")


def test_the_flags_of_a_shard_are_those_of_the_study(study):
    first = records.read(study)[0]
    assert records.flags(first) == ["--seeds=0,1,2"]
    for typed, flags in (
        ("--shard 0/2 --steps=3", ["--steps=3"]),
        ("--coordinator=a:1 --process_id=1 --devices=2", ["--devices=2"]),
        (
            "--flagfile=f --shard=0/2",
            [
                *("--flagfile=f", "--shard=", "--coordinator="),
                *("--num_processes=0", "--process_id=-1"),
            ],
        ),
    ):
        first.metadata["command"] = f"python -m experiments.gradient_flow {typed}"
        assert records.flags(first) == flags


def leaves(run):
    """Numbers and words of the rows of a run, but its text."""
    rows = [row for row in run.metrics if row["kind"] != "report"]
    paths, values = zip(*jax.tree.leaves_with_path(rows), strict=True)
    words = [value for value in values if not isinstance(value, float)]
    return paths, words, [value for value in values if isinstance(value, float)]


def shard_flags(index):
    return ["--results=study", f"--shard={index}/2"]


@pytest.mark.slow
def test_shards_are_merged_into_the_run_of_all_members(launched, tmp_path):
    """Two shards that run at the same time, one of them in a separate process."""
    flags = [f"--{flag}" for flag in TINY["gradient_flow"].split(";")]
    flags = [flag for flag in flags if not flag.startswith(("--probes", "--cells"))]
    flags += ["--probes=state_gradients", "--cells=elman", "--seeds=5,3,4"]
    flags += ["--devices=1"]
    command = [sys.executable, "-m", "experiments.gradient_flow"]
    place: Any = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    child = subprocess.Popen(
        [*command, *flags, *shard_flags(1)], stdout=subprocess.DEVNULL, **place
    )
    for results in (shard_flags(0), ["--results=whole"]):
        done = launched(gradient_flow, *flags, *results)
        assert done.returncode == 0, done.stderr
    assert child.wait(timeout=300) == 0
    command = [sys.executable, "-m", "experiments.merge", "study"]
    done = subprocess.run(command, capture_output=True, text=True, **place)
    assert "Results: study/merged" in done.stdout, done.stderr
    whole, merged = (open_run(tmp_path / name) for name in ("whole", "study/merged"))
    assert files(whole.folder) == files(merged.folder)
    settings = [
        {name: run.metadata[name] for name in ("experiment", "command", "config")}
        for run in (whole, merged)
    ]
    assert settings[0] == settings[1] and "shard" not in merged.metadata
    assert merged.seeds("elman") == [5, 3, 4] and merged.names == whole.names
    params = whole.params("elman"), merged.params("elman")
    chex.assert_trees_all_close(*params, rtol=1e-5, atol=1e-6)
    rows = leaves(whole), leaves(merged)
    assert rows[0][:2] == rows[1][:2]
    np.testing.assert_allclose(rows[0][2], rows[1][2], rtol=1e-4, atol=1e-5)
    # Nothing of the trainings' states is left.
    assert len(list(merged.folder.rglob("training"))) == 0
    shard_files = list((tmp_path / "study" / "shard_0_of_2").rglob("training"))
    assert len(shard_files) == 1
