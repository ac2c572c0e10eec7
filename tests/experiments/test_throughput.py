"""Throughput: that every contender is timed and compared, not how fast it is."""

from functools import partial

import numpy as np
import pytest
from commands import rows

from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.throughput import experiment as throughput
from experiments.throughput.study import claims, measure
from experiments.throughput.study.measure import (
    IN_TURN,
    LOOP,
    ONE_DEVICE,
    PER_CORE,
    STUDY,
    Times,
)

TINY = [
    "--features=4",
    "--time=5",
    "--batch_size=4",
    "--rounds=2",
    "--seconds=1e-9",
    "--overhead_steps=40",
]
PEERS = {IN_TURN, PER_CORE} if measure.has_torch() else set()


@pytest.fixture
def run(launched):
    return partial(launched, throughput)


@pytest.mark.slow
def test_every_contender_is_timed_in_every_round(run, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "cores", lambda: 2)
    done = run(*TINY, "--cells=gru", "--members=3", "--results=out")
    assert done.returncode == 0, done.stderr
    steps = rows(tmp_path / "out", "step")
    contenders = {(row["contender"], row["cores"]) for row in steps}
    expected = {(STUDY, 2), (ONE_DEVICE, 1), (LOOP, 1)}
    if PEERS:
        expected |= {(IN_TURN, 1), (IN_TURN, 2), (PER_CORE, 2)}
    assert contenders == expected
    assert all(len(row["seconds"]) == 2 and min(row["seconds"]) > 0 for row in steps)
    (overhead,) = rows(tmp_path / "out", "overhead")
    assert len(overhead["ratios"]) == 2 and min(overhead["ratios"]) > 0
    assert "Checkpoints every 100 steps and logging add less than 3 %" in done.stdout
    assert "One program trains a study of 3 models" in done.stdout
    assert (tmp_path / "out" / "throughput.png").stat().st_size > 10_000


def of_all(study):
    """Times of a study of 16 models, in which every contender is slower."""
    ones = np.array([1.0, 1.1, 0.9])
    return [
        Times(cell, 16, contender, 2, ones * slower)
        for cell in ("lstm", "gru")
        for contender, slower in (
            (STUDY, study),
            (ONE_DEVICE, 1.9),
            (LOOP, 3.0),
            (IN_TURN, 8.0),
            (IN_TURN, 2.0),
            (PER_CORE, 1.5),
        )
    ]


def test_claims_follow_from_the_ratios():
    by_text = {claim.text: claim for claim in claims.evaluate_claims(of_all(1.0))}
    in_turn, per_core, loop, devices = by_text.values()
    # PyTorch counts at its best number of threads: twice as slow.
    assert [case.outcome for case in in_turn.cases] == [SUPPORTED, REFUTED]
    assert in_turn.cases[0].value == "2.00 [2.00, 2.00]"
    assert [case.outcome for case in per_core.cases] == [SUPPORTED, REFUTED]
    assert loop.outcome == devices.outcome == SUPPORTED
    assert "models 2.0 times" not in claims.answer(of_all(0.5))
    assert (
        "between 4.0 and 4.0 times as fast as one model after another in PyTorch"
        in (claims.answer(of_all(0.5)))
    )


def test_the_time_of_checkpoints_is_judged():
    quick = claims.overhead_claim(np.array([1.01, 1.0, 1.02, 1.01, 1.01]))
    assert quick.outcome == SUPPORTED and quick.cases[0].value.startswith("+1.0 %")
    slow = claims.overhead_claim(np.array([1.10, 1.1, 1.12]))
    assert slow.outcome == REFUTED


def test_single_models_take_their_turn():
    measured = {
        (STUDY, 2, 16): np.array([1.0]),
        (STUDY, 2, 3): np.array([0.5]),
        (LOOP, 1, 1): np.array([0.1]),
        (PER_CORE, 1, 2): np.array([0.2]),
    }
    times = list(measure._of_study("gru", 3, measured))
    assert [(t.contender, t.cores, t.seconds.round(6).tolist()) for t in times] == [
        (STUDY, 2, [0.5]),
        (LOOP, 1, [pytest.approx(0.3)]),
        (PER_CORE, 2, [0.4]),  # two at once, and then one
    ]


@pytest.mark.parametrize(
    ("what", "flag"),
    [
        ("layers", "--members=3"),
        ("gpu", "--overhead_steps=5"),
        ("cost", "--peers=torch"),
        ("parallel", "--batch_size=64"),  # its default
        ("study", "--minutes=1"),
    ],
)
def test_flags_of_another_part_are_refused(run, what, flag):
    done = run(f"--what={what}", flag)
    name = flag.partition("=")[0]
    assert done.returncode == 2
    assert done.stderr.startswith(f"throughput: flag {name} applies only with --what=")
    assert done.stderr.rstrip().endswith(f"; got --what={what}")


def test_mistakes_and_contenders_that_fail_are_one_sentence(run, monkeypatch):
    done = run("--batch_size=2000")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "throughput: flag --batch_size: expected at most 1437"
    )
    monkeypatch.setenv("JAX_PLATFORMS", "no_such_platform")
    done = run(*TINY, "--cells=gru", "--members=1", "--results=out")
    assert done.returncode == 1
    assert "the run failed: the process of study with gru ended with 1" in done.stderr
