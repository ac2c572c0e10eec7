"""The atlas: its rows, its statistics against SciPy and exact facts, its command."""

import math
import pathlib
import re
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import TINY, files, rows
from scipy import stats

import nets
import train
from experiments import atlas
from experiments.atlas import (
    claims,
    experiment,
    measure,
    page,
    predictions,
    records,
    scores,
)
from experiments.atlas.records import Row
from experiments.atlas.rows import Analysis, analyze, outcome_texts, tables_of
from experiments.atlas.scores import MEASURES, OUTCOMES, Estimate
from experiments.harness import cli
from experiments.harness.claims import REFUTED, SUPPORTED
from experiments.harness.runs import Run
from nets.models import SequenceClassifier

TASKS = "adding", "temporal_order", "copy_memory"
FLAGS = [f"--{flag}" for flag in TINY["atlas"].split(";")]


def row(cell, init, features=8, seed=0, quality=0.0, share=math.nan, noise=0.0):
    """A network that learns the better the longer its half-life is, or not at all."""
    rate = 0.1 * math.exp(-quality)
    steps = 100 * math.exp(-quality + noise)
    solved = math.inf if steps > 150 else steps
    loss = 0.5 - 0.01 * (quality - noise)
    return Row(
        *(cell, init, features, seed),
        *(rate, math.log(2) / rate, 1 / rate, -rate, -2 * rate, 1 + quality, share),
        *(0.01, solved, loss, 0.01, steps, loss, 0.03, math.inf, loss),
    )


def synthetic(cells=6, inits=5, features=(8, 16), noise=0.0, signal=1.0):
    """Rows of cells that differ; quality is that of cell and initialization."""
    rng = np.random.default_rng(0)
    return [
        row(
            *(f"cell{i}", f"init{j}", units, seed),
            quality=signal * quality,
            share=math.nan if i == 0 else rng.random(),
            noise=noise * rng.standard_normal() + (1 - signal) * quality,
        )
        for i in range(cells)
        for j in range(inits)
        for quality in [rng.standard_normal()]
        for units in features
        for seed in range(3)
    ]


def test_rows_are_kept_in_a_file(tmp_path):
    kept = [row("gru", "keras"), row("elman", "own", quality=-2.0, share=0.25)]
    (tmp_path / "a.csv").write_text(records.as_csv(kept))
    again = records.read([str(tmp_path / "a.csv")])
    assert [r.network for r in again] == [r.network for r in kept]
    assert np.isinf(again[1].adding_steps) and np.isnan(again[0].highway_share)
    np.testing.assert_allclose([r[4:] for r in again], [r[4:] for r in kept], 1e-6)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cell,init\ngru,keras\n", "with the columns cell, init, features, seed, "),
        ("", "with the columns cell, init, features, seed, "),
        ("{header}\ngru,keras,8,0,x\n", r"line 2 of a\.csv \(could not convert"),
        ("{header}\ngru,keras,8,0,1\n", r"line 2 of a\.csv \("),
        ("{header}\n{row}\n{row}\n", "got gru, keras, 8 units, seed 0 twice"),
    ],
)
def test_another_file_is_refused(text, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header, line = records.as_csv([row("gru", "keras")]).splitlines()
    (tmp_path / "a.csv").write_text(text.format(header=header, row=line))
    with pytest.raises(cli.UsageError, match=sentence):
        records.read(["a.csv"])
    with pytest.raises(cli.UsageError, match=r"cannot read b\.csv"):
        records.read(["b.csv"])


def test_rank_correlations_are_those_of_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (40, 3)).astype(float), rng.standard_normal((40, 2))
    x[:10, 1], x[0, 0], y[:5, 1] = np.nan, np.inf, -np.inf
    found = scores.rank_correlations(x, y)
    for i in range(3):
        known = ~np.isnan(x[:, i])
        for j in range(2):
            expected = stats.spearmanr(x[known, i], y[known, j]).statistic  # pyright: ignore
            np.testing.assert_allclose(found[i, j], expected, rtol=1e-12)
    assert np.isnan(scores.rank_correlations(np.ones((9, 1)), y[:9])).all()


def test_medians_are_those_of_the_seeds():
    values = [
        row("gru", "own", seed=s, quality=q) for s, q in enumerate((-2, 0, -3, 1))
    ]
    atlas_points = scores.points(values)
    assert len(atlas_points.cells) == 1
    # Two of four seeds do not solve it: the lower median is not a mean of infinities.
    assert np.isneginf(atlas_points.outcomes[0, 0])
    half_life = atlas_points.measures[0, list(MEASURES).index("half-life")]
    assert half_life == pytest.approx(math.log(2) / (0.1 * math.exp(2)))


@pytest.mark.parametrize("view", scores.VIEWS)
def test_a_measure_that_orders_the_outcomes_correlates(view, monkeypatch):
    monkeypatch.setattr(scores, "DRAWS", 50)
    monkeypatch.setattr(
        scores.cells, "initializer_name", lambda *_: "init0", raising=True
    )
    estimates = scores.correlations(scores.points(synthetic()), view)
    place = list(OUTCOMES).index("temporal order, steps")
    by_name = {m: estimates[i][place] for i, m in enumerate(MEASURES)}
    assert by_name["half-life"].value == pytest.approx(1)
    assert by_name["conditioning"].value == pytest.approx(-1)
    low, high = by_name["half-life"].interval()[1:]
    assert low == pytest.approx(1) and high == pytest.approx(1)
    share = by_name["highway share"]
    assert abs(share.value) < 1 and share.interval().low < share.interval().high


def test_whole_cells_are_drawn(monkeypatch):
    """Copies of the points of a cell make no interval narrower."""
    monkeypatch.setattr(scores, "DRAWS", 200)
    few = synthetic(noise=1.0, inits=2, features=(8,))
    copies = [r._replace(init=f"{r.init} {i}") for r in few for i in range(4)]
    widths = []
    for sample in (few, copies):
        estimates = scores.correlations(scores.points(sample))
        _, low, high = estimates[0][
            list(OUTCOMES).index("copy memory, loss")
        ].interval()
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=1e-6) and widths[0] > 0.1


def test_cells_with_few_initializations_have_no_order(monkeypatch):
    monkeypatch.setattr(scores, "DRAWS", 5)
    atlas_points = scores.points(synthetic(inits=scores.FEWEST - 1))
    estimates = scores.correlations(atlas_points, scores.WITHIN)
    assert all(np.isnan(e.value) for of_measure in estimates for e in of_measure)
    assert estimates[0][0].interval().low == -np.inf


@pytest.mark.parametrize("view", [scores.ALL, scores.WITHIN])
def test_few_cells_have_no_interval(view, monkeypatch):
    """Three cells that agree are no evidence, though all draws agree, too."""
    monkeypatch.setattr(scores, "DRAWS", 20)
    place = list(OUTCOMES).index("temporal order, steps")
    for cells, finite in ((3, False), (scores.FEWEST_CELLS, True)):
        atlas_points = scores.points(synthetic(cells=cells))
        estimates = scores.correlations(atlas_points, view)
        half_life = estimates[list(MEASURES).index("half-life")][place]
        assert half_life.value == pytest.approx(1)
        assert np.isfinite(half_life.interval().low) == finite
        # One of the cells has no highway.
        share = estimates[list(MEASURES).index("highway share")][place]
        assert share.interval().low == -np.inf


@pytest.fixture
def few_draws(monkeypatch):
    for module in (scores, predictions):
        monkeypatch.setattr(module, "DRAWS", 50)


def test_cells_that_are_left_out_are_predicted(few_draws):
    place = list(OUTCOMES).index("temporal order, steps")
    good = predictions.predict(scores.points(synthetic(cells=8)), place)
    bad = predictions.predict(scores.points(synthetic(cells=8, signal=0.0)), place)
    assert good and bad
    assert good.single.value > 0.99 and good.single.interval().low > 0.9
    assert good.chosen in ("slow decay", "half-life", "horizon", "largest exponent")
    assert good.gain.value == pytest.approx(good.sparse.value - good.single.value)
    assert bad.single.value < 0.3
    unsolved = [r._replace(adding_steps=math.inf) for r in synthetic()]
    assert predictions.predict(scores.points(unsolved), 0) is None


def places(values, among):
    """Ranks among some values, from 0 to 1, by SciPy; the mean for nan."""
    known = values[among & ~np.isnan(values)]
    ranks = (stats.rankdata(known) - 1) / max(len(known) - 1, 1)
    result = np.full(len(values), 0.5)
    result[among & ~np.isnan(values)] = ranks
    for i in np.flatnonzero(~among & ~np.isnan(values)):
        if len(known):
            result[i] = stats.percentileofscore(known, values[i], kind="mean") / 100
    return result


def test_the_left_out_cell_decides_nothing(few_draws):
    """R^2 of the single measure, computed again by NumPy and SciPy."""
    atlas_points = scores.points(synthetic(cells=5, noise=1.0, features=(8,)))
    place = list(OUTCOMES).index("copy memory, loss")
    prediction = predictions.predict(atlas_points, place)
    assert prediction
    squares = np.zeros(2)
    for cell in set(atlas_points.cells):
        out = atlas_points.cells == cell
        x = np.stack([places(c, ~out) for c in atlas_points.measures.T], axis=1)
        y = places(atlas_points.outcomes[:, place], ~out)
        r2 = [np.corrcoef(column[~out], y[~out])[0, 1] ** 2 for column in x.T]
        best = int(np.argmax(np.round(r2, 12)))
        line = np.polyfit(x[~out, best], y[~out], 1)
        squares += [
            ((y[out] - np.polyval(line, x[out, best])) ** 2).sum(),
            ((y[out] - y[~out].mean()) ** 2).sum(),
        ]
    assert prediction.single.value == pytest.approx(1 - squares[0] / squares[1])


def test_claims_tables_and_findings(few_draws, monkeypatch):
    monkeypatch.setattr(scores.cells, "initializer_name", lambda *_: "init0")
    atlas_points = scores.points(synthetic(cells=8))
    analysis = analyze(atlas_points)
    outcomes = {c.text.split(",")[0]: c for c in claims.evaluate_claims(analysis)}
    assert outcomes["The longer the gradient's half-life before training"].outcome == (
        SUPPORTED
    )
    conditioned = "The better the product of Jacobians is conditioned before training"
    assert outcomes[conditioned].outcome == REFUTED
    assert "slow decay foretells learning best: rank correlation +0.9" in (
        claims.answer(analysis)
    )
    against = next(s for s in claims.findings(atlas_points, analysis) if "Against" in s)
    assert "conditioning (temporal order, steps, -1.00" in against
    tables = list(tables_of(atlas_points, analysis).values())
    assert [len(table.rows) for table in tables] == [len(MEASURES)] * 3 + [5, 8]
    assert all(len(r) == len(t.header) for t in tables for r in t.rows)
    assert outcome_texts([-np.inf, 0.0, -50.0, -0.25, -0.125]) == [
        *("not solved", "solved", "50", "0.25", "0.125")
    ]


def test_an_outcome_that_is_constant_is_left_out_of_the_means(few_draws):
    """As in a short run, in which nothing solves the adding problem."""
    values = [r._replace(adding_steps=math.inf) for r in synthetic()]
    atlas_points = scores.points(values)
    sentences = claims.findings(atlas_points, analyze(atlas_points))
    assert any("cells with tagged gates" in sentence for sentence in sentences)
    assert not any("nan" in sentence for sentence in sentences)


def test_copies_are_counted():
    losses = {"cell0": 0.6, "cell1": 0.5, "cell2": 0.1}
    values = [
        row(cell, "own")._replace(
            copy_memory_loss=loss, copy_memory_steps=9.0 if loss == 0.1 else math.inf
        )
        for cell, loss in losses.items()
    ]
    # Without memory, the loss is 10 ln 8 / 40.
    sentence = claims.copied(scores.points(values), 20)
    assert "solved at 1 of 3 points; at 2 the loss is below 0.520" in sentence


def test_an_atlas_of_one_cell_has_no_answer(few_draws):
    analysis = analyze(scores.points([row("gru", "orthogonal")]))
    assert isinstance(analysis, Analysis)
    assert claims.answer(analysis).startswith("Too few cells")
    assert claims.evaluate_claims(analysis) == []
    assert Estimate(0.5, np.zeros(0)).interval().text("{:.1f}") == "0.5"


def test_an_atlas_without_default_initializations(few_draws):
    """As from --inits=keras, whose command ended with a traceback."""
    atlas_points = scores.points([row("lstm", "keras"), row("gru", "keras")])
    assert not atlas_points.default.any()
    analysis = analyze(atlas_points)
    assert np.isnan(analysis.estimate("half-life", "adding, loss", scores.DEFAULTS)[0])
    assert tables_of(atlas_points, analysis)


def test_the_page_orders_rows_by_every_column(tmp_path):
    values = [row("b", "own", quality=1.0), row("a", "own", quality=-1.0, share=0.5)]
    page.write(tmp_path / "atlas.html", scores.points(values), "two cells")
    text = (tmp_path / "atlas.html").read_text()
    assert "<script" not in text and text.count('type="radio"') == 2 * 15
    orders = [
        dict(re.findall(r"--c(\d+):(\d+);", style))
        for style in re.findall(r'<tr style="([^"]*)"', text)
    ]
    # By cell, b is second; by decay rate and by steps it is first.
    assert [order["1"] for order in orders] == ["2", "1"]
    assert [order["4"] for order in orders] == ["1", "2"]
    assert [order["5"] for order in orders] == ["2", "1"]
    assert [order["11"] for order in orders] == ["1", "2"]
    # A cell without a highway is before all that have one.
    assert [order["10"] for order in orders] == ["1", "2"]


def kept(tags):
    """h' = f h + x, whose every factor is known."""

    def step(params, h, x):
        f = jnp.full_like(h, 0.5)
        h = (nets.tag_gate(f, "keep", retains=True) if tags else f) * h + x @ params
        return h, h

    return nets.Cell(
        init=lambda key, inputs, features: jnp.ones((inputs, features)),
        initial_state=lambda params, x: jnp.zeros((*x.shape[:-1], params.shape[-1])),
        step=step,
    )


@pytest.mark.parametrize("tags", [True, False])
def test_the_flow_of_a_leaky_integrator(tags):
    model = SequenceClassifier(kept(tags), 3, 1)
    rng = np.random.default_rng(0)
    xs = jnp.asarray(rng.standard_normal((4, 30, 2)), jnp.float32)
    targets = jnp.asarray(rng.standard_normal(4), jnp.float32)
    params = model.init(jax.random.key(0), xs)["params"]
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), params)
    flow = measure.measurer(model, (xs, targets))(stacked)
    exact = math.log(2), 1.0, 10.0, -math.log(2), -math.log(2), 0.0
    for value, expected in zip(flow, exact, strict=False):
        np.testing.assert_allclose(value, [expected] * 2, rtol=1e-4, atol=1e-5)
    shares = np.asarray(flow.highway_share)
    assert (shares == 1).all() if tags else np.isnan(shares).all()


@pytest.fixture
def run(launched):
    return partial(launched, atlas)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_run_is_resumed_and_its_rows_are_read_again(run, tmp_path, monkeypatch):
    flags = [
        *FLAGS,
        "--inits=own,keras,chrono",
        "--seeds=3,4",
        "--learning_rates=1,0.1",
    ]

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_complete", stop)
        code, _, err = run(*flags, "--results=out")
        assert code == 130, err
    monkeypatch.setattr(train, "fit", stop)
    code, out, err = run(*flags, "--results=out", "--resume")
    assert code == 0, err
    assert "Left out: chrono(4) of cell 'elman'" in out
    assert {"atlas.csv", "atlas.html", "map.png", "correlations.png"} <= files(
        tmp_path / "out"
    )
    logged = rows(tmp_path / "out", "network")
    names = [(r["cell"], r["init"], r["features"], r["seed"]) for r in logged]
    assert names == [
        ("elman", init, 3, seed) for init in ("orthogonal", "keras") for seed in (3, 4)
    ]
    tried = rows(tmp_path / "out", "rate")
    assert [r["task"] for r in tried] == [t for t in TASKS for _ in range(2)]
    for task in TASKS:
        losses = {r["learning_rate"]: r["loss"] for r in tried if r["task"] == task}
        assert logged[0][f"{task}_rate"] == min(losses, key=losses.__getitem__)
    again = run("--rows=out/atlas.csv", "--results=again")
    assert again.returncode == 0, again.stderr
    for file in ("atlas.csv", "map.csv", "atlas.html"):
        first, second = ((tmp_path / f / file).read_text() for f in ("out", "again"))
        assert (first == second) == (file != "atlas.html")  # which has the setting


def test_no_rows_are_measured_twice_or_for_bad_seeds(run):
    code, _, err = run(*FLAGS, "--seeds=-1", "--results=out")
    assert code == 2 and "flag --seeds: expected integers from 0" in err
    code, _, err = run("--rows=missing.csv", "--results=out")
    assert code == 2 and "flag --rows: cannot read missing.csv" in err
    code, _, err = run(*FLAGS, "--order_length=12", "--results=out")
    assert code == 2 and "flag --order_length: expected a multiple of 11" in err
    huge = "--adding_length=100000", "--features=4096,3"
    code, _, err = run(*FLAGS, *huge, "--results=out")
    assert code == 2 and "flag --adding_length, --features: the gradients of" in err


def test_the_caption_has_the_sizes_of_the_rows():
    config = SimpleNamespace(rows=["a.csv"])
    text = experiment.caption(config, synthetic(cells=2))  # pyright: ignore
    assert text == (
        "2 cells, 10 initializations of them, 8 and 16 units, 3 seeds; rows of a.csv."
    )


KEPT = pathlib.Path(atlas.__file__).parent / records.FILE


def test_the_kept_rows_are_of_every_cell():
    values = records.read([str(KEPT)])
    vectors = {name for name, make in nets.CELLS.items() if not make().spatial_dims}
    assert {row.cell for row in values} == vectors
    assert {row.features for row in values} == {8, 16}
    points = scores.points(values)
    assert len(values) == 5 * len(points.cells) and np.isfinite(points.measures).any()
    assert points.default.sum() == 2 * len(vectors)
