"""The grid of a study: members as in runs of their own, divergence, claims, figure."""

import json
import os
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import kills
import numpy as np
import pytest
from commands import files, rows

import nets
import train
from experiments import merge, study
from experiments.harness import own_sequences, training
from experiments.harness.runs import Run
from experiments.harness.saved import open_run
from experiments.study import claims, experiment, figures, measure
from experiments.study.measure import CellResult, Member

SMALL = ["--order=rows", "--features=3", "--batch_size=8", "--steps=3"]
# On a CPU, a member's numbers are those of a run of its own, bit for bit. Elsewhere the
# members of a step are batched, and differ by rounding.
CLOSE = 0 if jax.default_backend() == "cpu" else 1e-4


@pytest.fixture
def run(launched):
    return partial(launched, study)


def only(logged, **settings):
    (row,) = [r for r in logged if all(r[k] == v for k, v in settings.items())]
    return row


def close(value):
    """An equal value, up to rounding if it is a number; None has no number."""
    if not isinstance(value, float):
        return value
    return pytest.approx(value, rel=CLOSE, abs=CLOSE)


@pytest.mark.slow
def test_members_are_as_in_separate_runs(run, tmp_path):
    grid = ["--learning_rate=1e-2,1e-1", "--gain=0.5,2", "--forget_bias=0,3"]
    grid += ["--clip_norm=0.1,0", "--dropout=0,0.5", "--seeds=1:3", "--cells=lstm"]
    code, out, err = run(*SMALL, *grid, "--results=all")
    assert (code, err) == (0, "")
    members = rows(tmp_path / "all", "member")
    assert len(members) == 2**6 and "An accuracy of 50% is reached in" in out
    assert {"study.png", "report.html"} <= files(tmp_path / "all")
    settings = {
        "seed": 2,
        "learning_rate": 1e-1,
        "gain": 2,
        "forget_bias": 3,
        "clip_norm": 0.1,
        "dropout": 0.5,
    }
    flags = [f"--{k}={v}" for k, v in settings.items() if k != "seed"]
    assert run(*SMALL, *flags, "--seeds=2", "--cells=lstm", "--results=one")[0] == 0
    alone = only(rows(tmp_path / "one", "member"))
    together = only(members, **settings)
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        assert together[name] == close(value), name
    # Each setting changes the result.
    for name in settings:
        (other,) = {row[name] for row in members} - {settings[name]}
        changed = only(members, **settings | {name: other})
        assert abs(changed["test_loss"] - together["test_loss"]) > 1e-4, name


def test_a_member_that_diverges_changes_no_other(run, tmp_path):
    flags = ["--cells=irnn", "--seeds=0:2", "--gain=1", "--optimizer=sgd"]
    flags += ["--clip_norm=0", *SMALL]
    rates = "--learning_rate=0.001,1e30"
    code, out, err = run(*flags, rates, "--results=all")
    assert code == 0 and "irnn: step 2, seed 0, " in err, err
    members = rows(tmp_path / "all", "member")
    # The units of seed 1 are all 0 after a step of 1e30, so that its loss is finite.
    assert [row["diverged"] for row in members] == [False, False, True, False]
    assert [row["diverged_step"] for row in members] == [None, None, 2, None]
    assert "1 model was dropped, as a step was not finite: irnn, seed 0, " in out
    assert "learning rate 1e+30, clip norm 0.0, gain 1.0, " in out
    (lost,) = rows(tmp_path / "all", "nonfinite")
    assert (lost["seed"], lost["step"]) == (0, 2)
    assert (lost["learning_rate"], lost["clip_norm"]) == (1e30, 0)
    # The settings are those of the flags, not rounded to float32.
    steps = rows(tmp_path / "all", "training")
    assert {row["learning_rate"] for row in steps} == {0.001, 1e30}
    assert {row["clip_norm"] for row in steps} == {0}
    assert run(*flags, "--learning_rate=0.001", "--results=good")[0] == 0
    good = rows(tmp_path / "good", "member")
    for row, other in zip(members, good, strict=False):
        for name in ("test_loss", "decay_before", "decay_after"):
            assert row[name] == close(other[name]), name


def numbers(saved):
    params = {name: saved.params(name) for name in saved.names}
    tables = {
        file.name: file.read_bytes() for file in sorted(saved.folder.glob("*.csv"))
    }
    return saved.metrics, tables, params


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_shards_of_all_members_are_merged_into_the_whole_run(
    run, launched, monkeypatch, tmp_path
):
    """9 members from 3 seeds, in shards of 5 and 4; 2 members diverge."""
    flags = ["--cells=irnn", "--seeds=0:3", "--gain=1", "--optimizer=sgd"]
    flags += ["--clip_norm=0", "--learning_rate=0.001,0.01,1e30", *SMALL]
    assert run(*flags, "--results=whole")[0] == 0
    whole = open_run(tmp_path / "whole")
    kinds = [row["kind"] for row in whole.metrics]
    assert kinds.count("nonfinite") > 1 and kinds.count("member") == 9
    for shard in ("0/2", "1/2"):
        code, out, err = run(*flags, "--results=study", f"--shard={shard}")
        assert code == 0, err
    assert out.startswith("Members trained: 4.\n")
    shard = open_run(tmp_path / "study" / "shard_1_of_2")
    named = [f"irnn, learning_rate={rate}" for rate in (0.001, 0.01, 1e30)]
    assert [shard.seeds(name) for name in named] == [[1], [0, 2], [1]]
    commands = []
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    assert launched(merge, "study", keeps_results=False).returncode == 0
    (command,) = commands
    monkeypatch.setattr(train, "fit", None)  # nothing is trained
    code, _, err = run(*command[3:])
    assert code == 0, err
    merged = open_run(tmp_path / "study" / "merged")
    assert merged.names == named
    chex.assert_trees_all_equal_structs(*map(numbers, (whole, merged)))
    rows, tables, params = zip(*map(numbers, (whole, merged)), strict=True)
    if CLOSE == 0:
        assert rows[0] == rows[1] and tables[0] == tables[1]
    chex.assert_trees_all_close(*params, rtol=CLOSE, atol=CLOSE)
    # A network of one setting, rebuilt.
    (row,) = [
        row
        for row in merged.metrics
        if row["kind"] == "member" and row["learning_rate"] == 0.01 and row["seed"] == 2
    ]
    network, params = merged.model(named[1], seed=2)
    assert float(network.score(params)) == close(row["test_accuracy"])


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_study_that_was_stopped_gives_the_same(run, monkeypatch, tmp_path):
    """It stops in the second of three calls of the program, after a member diverged."""
    flags = ["--cells=irnn", "--seeds=0:2", "--gain=1", "--optimizer=sgd", *SMALL[:-1]]
    flags += ["--clip_norm=0,1", "--learning_rate=0.001,1e30", "--steps=60"]
    flags += ["--checkpoint_every=20"]
    assert run(*flags, "--results=whole")[0] == 0
    kinds = [row["kind"] for row in open_run(tmp_path / "whole").metrics]
    last = max(i for i, kind in enumerate(kinds) if kind == "training")
    log, rest = Run.log, iter(range(last - 1))

    def log_or_stop(results, **row):
        if next(rest, None) is None:
            raise KeyboardInterrupt
        log(results, **row)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", log_or_stop)
        assert run(*flags, "--results=out")[0] == 130
    saved = json.loads((tmp_path / "out.unfinished/checkpoints/index.json").read_text())
    assert list(saved["irnn"]["states"]) == ["20", "40"]
    code, _, err = run(*flags, "--results=out", "--resume")
    assert code == 0, err
    kills.assert_same(tmp_path / "whole", tmp_path / "out")


def test_more_shards_than_members_are_refused(run, tmp_path):
    """A cell without a forget gate has fewer members than a cell with one."""
    flags = ["--cells=lstm,gru", "--seeds=0", "--gain=1", "--learning_rate=0.1"]
    code, out, err = run(*flags, "--shard=0/2", "--results=out")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "expected at most 1 shards, one per member of each training; got 0/2" in err
    assert not list(tmp_path.iterdir())


def test_gain_and_bias_act_on_the_initial_parameters():
    config = study.Config(
        seeds=[4, 7], features=3, order="rows", gain=[0.5, 2.0], forget_bias=[-1.0, 3.0]
    )
    data = own_sequences.load(config)
    grid = measure.members(config, "lstm")
    model = measure.network("lstm", config, data)
    params = measure.start("lstm", model, config, data, grid)
    for bias in config.forget_bias:
        # As initialized with this bias, without a gain.
        plain = training.start(
            model.clone(cell=nets.lstm(forget_bias=bias)), data.example, config.seeds
        )
        for i, member in enumerate(grid):
            if member.forget_bias != bias:
                continue
            seed = config.seeds.index(member.seed)
            expected = jax.tree.map(lambda leaf, seed=seed: leaf[seed], plain)
            cell = expected["recurrent"]["cell"]
            cell = cell._replace(w_h=member.gain * cell.w_h)
            expected["recurrent"]["cell"] = cell
            of_member = jax.tree.map(lambda leaf, i=i: leaf[i], params)
            chex.assert_trees_all_close(of_member, expected, rtol=1e-6)


def test_dropout_is_on_the_outputs_that_the_head_reads():
    config = study.Config(features=6, order="rows", dropout=[0.0, 0.5])
    data = own_sequences.load(config)
    model = measure.network("gru", config, data)
    batch = jax.tree.map(lambda leaf: leaf[:4], data.train)
    params: Any = model.init(jax.random.key(0), batch[0])["params"]
    dropped = jax.jit(measure.loss_of(model, drops=True))
    key = jax.random.key(1)
    plain = training.loss_of(model)(params, batch, key)
    assert dropped(params, batch, key, dropout=0.0, gain=1.0) == pytest.approx(plain)
    # A head of ones that reads the last outputs: the expectation is that without.
    losses = jax.vmap(lambda k: dropped(params, batch, k, dropout=0.5))(
        jax.random.split(key, 300)
    )
    assert losses.std() > 1e-3
    head = jax.tree.map(jnp.zeros_like, params["dense"])
    headless = params | {"dense": head}
    nothing = dropped(headless, batch, key, dropout=0.5)
    assert nothing == pytest.approx(np.log(10))


def result(cell, accuracy, before=None, diverged=None, bias=None, gains=(0.5, 1, 1.5)):
    """Two seeds at each gain."""
    accuracy = np.asarray(accuracy, float)
    grid = [
        Member(seed, 0.1, 0.0, gain, bias, 0.0) for gain in gains for seed in (0, 1)
    ]
    zeros = np.zeros(len(grid))
    before = zeros if before is None else np.asarray(before, float)
    lost = zeros if diverged is None else np.asarray(diverged)
    return CellResult(cell, grid, accuracy, before, -before, lost.astype(int))


ELMAN = result(
    "elman",
    [0.1, 0.11, 0.8, 0.81, 0.6, 0.61],
    before=[0.9, 0.91, 0.1, 0.11, 0.2, 0.22],
    diverged=[3, 0, 0, 0, 0, 0],
)
LSTM = result("lstm", [0.9, 0.91, 0.95, 0.94, 0.9, 0.9], bias=1.0)


def test_claims_compare_settings_seed_by_seed():
    assert claims.trained_share(ELMAN, 0.5).tolist() == [2 / 3, 2 / 3]
    cells, decay, gain = claims.evaluate_claims([ELMAN, LSTM], 0.5)
    assert [case.name for case in cells.cases] == ["lstm - elman"]
    assert cells.outcome == "supported" and "+33.3" in cells.cases[0].value
    # ELMAN is the more accurate, the less its gradient decays; LSTM has no ranks.
    assert [case.name for case in decay.cases] == ["elman"]
    assert decay.outcome == "supported" and decay.cases[0].value.startswith("+1.00")
    names = [case.name for case in gain.cases]
    assert names == [
        "elman, 1 - 0.5",
        "elman, 1 - 1.5",
        "lstm, 1 - 0.5",
        "lstm, 1 - 1.5",
    ]
    assert gain.cases[0].value.startswith("+70.0")
    assert "67% of the settings of Elman, 100% of the settings of LSTM" in (
        claims.answer([ELMAN, LSTM], 0.5)
    )
    table = claims.table([ELMAN, LSTM], ["gain"], 0.5)
    assert table.rows[0][:2] == ["elman, best", "gain 1"] and table.rows[0][-1] == "1"


def test_no_clipping_counts_as_the_largest_norm():
    assert claims._clipped([0.0, 1.0, 0.1]) == [(0.1, 0.0)]
    assert claims._clipped([0.5, 1.0]) == [(0.5, 1.0)]
    assert figures.place_of("clip_norm", [0.1, 0.0, 1.0]).tolist() == [0.1, 10.0, 1.0]
    grid = [Member(0, 0.1, norm, 1.0, None, 0.0) for norm in (0.0, 2.0)]
    norms = experiment.hyperparameters(grid)["clip_norm"].tolist()
    assert norms == [0.0, 2.0]


def test_the_figure_has_a_line_per_cell_and_marks_what_diverged():
    plot = figures.draw([ELMAN, LSTM], ["gain"], 0.5, "caption")
    accuracy, decay = plot.figure.axes
    drawn = {line.get_label(): line for line in accuracy.lines}
    means: Any = drawn["elman"].get_ydata()
    np.testing.assert_allclose(means, [10.5, 80.5, 60.5])
    assert drawn["elman"].get_color() != drawn["lstm"].get_color()
    marks = [line.get_xydata() for line in accuracy.lines if line.get_marker() == "x"]
    places = [tuple(point) for points in marks for point in np.asarray(points)]
    assert places == [(0.5, pytest.approx(10))]
    assert decay.get_ylabel() == "decay of the gradient, nats per step"
    assert "Elman 67%, LSTM 100%" in plot.finding


MISTAKES = [
    ("--cells=lru", "flag --gain: cell 'lru' has no recurrent weights 'w_h' to scale"),
    ("--dropout=1", "flag --dropout: expected at most 0.999; got 1.0"),
    ("--learning_rate=0", "flag --learning_rate: expected numbers of at least 1e-30"),
    ("--tensorboard", "flag --tensorboard: expected a single --learning_rate with it"),
    ("--seeds=3:3", "flag --seeds: expected a range that ends above its start"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, run, tmp_path):
    code, out, err = run(*SMALL, flag, "--results=out")
    assert (code, out) == (2, "") and sentence in err and err.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_rows_are_json_without_gaps():
    """A cell without a forget gate has null for its bias, and no such setting."""
    (member,) = measure.members(
        study.Config(seeds=[0], learning_rate=[0.1], gain=[1.0]), "elman"
    )
    assert json.loads(json.dumps(member._asdict()))["forget_bias"] is None
    assert "forget_bias" not in member.settings
