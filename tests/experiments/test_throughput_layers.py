"""Throughput of layers: equal numbers, contenders, ratios and claims on given times."""

import json
from functools import partial

import jax
import numpy as np
import pytest
from commands import rows

from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.throughput import experiment as throughput
from experiments.throughput import ratios
from experiments.throughput.config import Config
from experiments.throughput.layers import claims, measure
from experiments.throughput.layers.claims import BEST_JAX, BEST_TORCH
from experiments.throughput.rows import Entry, Row, Workers
from experiments.throughput.rows import measure as measure_rows
from experiments.throughput.workers import programs, server
from experiments.throughput.workers.contenders import ALL_DEVICES, AS_HAIKU, OURS
from experiments.throughput.workers.jobs import Job, difference

SMALL = Job("lstm", 4, 3, 2, 4, "train")


@pytest.fixture
def run(launched, undrawn):
    return partial(launched, throughput)


@pytest.mark.slow
def test_the_command_times_what_equals_ours(run, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "cores", lambda: 2)
    done = run(
        "--what=layers",
        "--layers=elman",
        "--sizes=2x3x2x4",
        "--peers=linen,equinox",
        "--rounds=2",
        "--seconds=1e-9",
        "--results=out",
    )
    assert done.returncode == 0, done.stderr
    logged = rows(tmp_path / "out", "time")
    timed = [row for row in logged if row["seconds"]]
    every = {OURS, ALL_DEVICES, "linen", "matrix products"}
    assert {row["contender"] for row in timed} == every
    assert {row["program"] for row in timed} == {"forward", "train"}
    assert all(len(row["seconds"]) == 2 for row in timed)
    compared = {r["contender"]: r["difference"] for r in timed if r["difference"]}
    assert max(compared.values()) < 1e-5 and {ALL_DEVICES, "linen"} == {*compared}
    assert all(row["bytes"] > 0 for row in timed if row["contender"] == "linen")
    assert (
        "equinox was not timed (elman 2x3x2x4 forward and 1 more): Equinox has no elman"
        in done.stdout
    )
    assert "Compilation takes at most 1.2 times as long as Linen's" in done.stdout


@pytest.mark.peers
@pytest.mark.parametrize(
    ("layer", "names"),
    [
        ("bidirectional_lstm", ["linen", "nnx", "haiku", "equinox", "keras"]),
        ("gru", ["linen", "nnx", AS_HAIKU, "haiku", "equinox", "keras"]),
        ("stacked_lstm", ["equinox"]),
        ("min_gru", ["ours, parallel", "plain lax.scan", "plain lax.associative_scan"]),
    ],
)
def test_outputs_and_gradients_of_peers_equal_ours(layer, names, tmp_path):
    job = SMALL._replace(layer=layer, batch=2)
    with jax.numpy_rank_promotion("allow"):
        made = programs.prepare(job, [OURS, *names], 1)
        for name, prepared in made.items():
            assert not isinstance(prepared, str), prepared
            deviation = server.check(prepared, tmp_path, 0)
            assert isinstance(deviation, float) and deviation < 1e-5, name


def test_a_contender_with_other_numbers_is_not_timed(monkeypatch, tmp_path):
    asked = []

    class Fake:
        def __init__(self, name, *args):
            self.name = name

        def send(self, line):
            self.request = json.loads(line)
            asked.append((self.name, self.request["do"]))

        def answer(self, seconds):
            replies = {
                "prepare": {"p": {"compile_seconds": 1.0, "bytes": 2}},
                "check": {"p": {"good": 0.0, "bad": 1e-3}[self.name]},
            }
            return json.dumps(replies.get(self.request["do"], 0.5))

        def end(self):
            pass

    monkeypatch.setattr("experiments.throughput.rows.Worker", Fake)
    with Workers() as workers:
        for name in ("good", "bad"):
            workers.start(name, "", "")
        entries = [Entry(name, name, "p") for name in ("good", "bad")]
        options = {"rounds": 2, "seconds": 0.0, "tolerance": 1e-5}
        good, bad = measure_rows(SMALL, entries, workers, str(tmp_path), **options)
    assert good.seconds.tolist() == [0.5, 0.5] and not good.error
    assert len(bad.seconds) == 0 and bad.difference == 1e-3
    assert bad.error == (
        "its numbers deviate by 1.0e-03 of the largest, expected at most 1e-05"
    )
    assert ("bad", "time") not in asked


def test_the_deviation_is_relative_to_the_largest_number():
    reference = {"a": np.array([1.0, -10.0]), "b": np.zeros(2)}
    assert difference(reference, reference) == 0
    assert difference({"a": np.array([1.5, -10.0])}, reference) == 0.05
    assert difference({"b": np.array([0.0, np.nan])}, reference) == np.inf


def test_pytorch_is_a_contender_at_one_thread_and_at_all(monkeypatch):
    monkeypatch.setattr(measure, "cores", lambda: 4)
    monkeypatch.setattr(measure, "_installed", lambda name: name != "keras")
    config = Config(peers=["keras", "haiku", "torch"])
    names = [entry.name for entry in measure.entries(SMALL, config)]
    threads = ["torch, 1 thread", "torch, 4 threads"]
    assert names == [OURS, "haiku", "matrix products", ALL_DEVICES, *threads]
    assert measure.missing(config) == ["keras"]
    elman = measure.entries(SMALL._replace(layer="elman"), config)
    assert elman[1].name == AS_HAIKU


def of_all(torch=2.5, slow="gru", compile_seconds=1.0):
    """Times of two sizes, in which this library takes a second."""
    times = {
        "linen": 3.0,
        "haiku": 2.0,
        "torch, 1 thread": torch,
        "matrix products": 0.5,
    }
    made = []
    for layer in ("elman", "lstm", "gru"):
        for size in ((2, 3, 2, 4), (128, 50, 256, 512)):
            job = Job(layer, *size, "train")
            made.append(Row(job, OURS, np.ones(3), compile_seconds))
            made += [
                Row(job, name, np.full(3, seconds), 1.0)
                for name, seconds in times.items()
            ]
            made.append(Row(job, "keras", np.array([]), error="no"))
    made.append(Row(Job(slow, 9, 9, 9, 9, "train"), OURS, np.ones(3)))
    made.append(Row(Job(slow, 9, 9, 9, 9, "train"), "nnx", np.full(3, 0.5)))
    return made


def test_claims_follow_from_the_times():
    judged = claims.evaluate_claims(of_all(compile_seconds=1.5))
    of_jax, slower, of_torch, lstm, floor, compilation = judged
    # Six rows at 2 and one at 0.5, with an interval of no width.
    assert of_jax.outcome == SUPPORTED
    assert of_jax.cases[0].value == "1.64 [1.64, 1.64], of least times 1.64"
    assert [case.outcome for case in slower.cases] == [SUPPORTED] * 6 + [REFUTED]
    assert of_torch.outcome == lstm.outcome == SUPPORTED
    assert floor.outcome == REFUTED  # half of the time is products
    assert compilation.outcome == REFUTED
    (lower,) = [
        c for c in claims.evaluate_claims(of_all(torch=0.8)) if "An LSTM t" in c.text
    ]
    assert lower.outcome == REFUTED


def test_a_peer_is_compared_with_the_same_equation():
    job = Job("gru", 2, 3, 2, 4, "train")
    times = {OURS: 1.0, AS_HAIKU: 4.0, "haiku": 2.0, "linen": 0.75}
    group = {name: Row(job, name, np.array([t])) for name, t in times.items()}
    matched = claims.best(group, BEST_JAX)
    assert matched is not None and matched.peer.contender == "haiku"
    assert matched.ratio == 0.5
    assert claims.best(group, BEST_TORCH) is None


def test_contenders_of_a_figure_have_different_colors():
    names = [f"library {i}" for i in range(10)]
    rows = [Row(SMALL, name, np.ones(3)) for name in (OURS, *names)]
    (panel,) = ratios.draw(rows, names, "A finding", "A caption").figure.axes
    lines = panel.get_lines()[: len(names)]
    assert len({line.get_color() for line in lines}) == 10


def test_the_answer_and_the_summary_have_geometric_means():
    assert claims.answer(of_all()) == (
        "A train step of an Elman net, LSTM or GRU is 1.64 times as fast as the best "
        "other JAX library and 2.50 times as fast as PyTorch at its best number of "
        "threads."
    )
    summary = claims.summary(of_all())
    by_layer = {row[0]: row for row in summary.rows}
    assert (
        by_layer["gru, train"][1] == "1.26" and by_layer["gru, train"][-1] == "1 of 3"
    )
    assert by_layer["elman, lstm, gru, train"][-1] == "1 of 7"
    assert summary.header[2] == BEST_TORCH and "keras" not in summary.header


def test_a_size_that_is_no_size_is_one_sentence(run):
    done = run("--what=layers", "--sizes=2x3x2")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "throughput: flag --sizes: expected BATCHxTIMExINPUTSxFEATURES"
    )
