"""Every experiment that trains keeps parameters that give its numbers again."""

import importlib

import numpy as np
import pytest
from commands import TINY
from matplotlib.figure import Figure
from PIL import Image
from scipy.io import savemat

from experiments.harness.saved import open_run
from train.data import digits
from train.data.chorales import FILE, PARTS

# Rows of the held-out number that a network reports: kind, number, and the network of
# a row, by its labels.
REPORTS = {
    "autoencoder": ("mse", "test_mse", "latent {latent}, {upsample}"),
    "classify_sequences": ("accuracy", "test_accuracy", "{cell}, {way}"),
    "edges": ("accuracy", "test_accuracy", "strokes"),
    "gates": ("clamp", "test_accuracy", "{forget}"),
    "gradient_flow": ("accuracy", "test_accuracy", "{cell}"),
    "image_classification": ("accuracy", "test_accuracy", "cnn"),
    "language_model": ("held_out", "nats", "{cell}"),
    "lstm_vs_gru": ("accuracy", "test_accuracy", "{task}, {model}"),
    "music": ("nll", "test_nll", "{cell}, best in validation"),
    "tag_sequences": ("scores", "accuracy", "{way}"),
    "translate_dates": ("exact", "greedy", "{model}"),
    "vanishing": ("accuracy", "test_accuracy", "{net}, {scheme}"),
}
FEW = 200  # digits of each half
SEEDS = 3, 5


@pytest.fixture
def run(launched, tmp_path, monkeypatch):
    halves = [digits.Digits(*(a[:FEW] for a in half)) for half in digits.load()]
    monkeypatch.setattr(digits, "load", lambda: halves)
    (tmp_path / "text.txt").write_text("To be, or not to be. " * 40)
    pieces = {}
    for part, count in zip(PARTS, (6, 2, 2), strict=True):
        pieces[part] = np.empty((1, count), object)
        for i in range(count):
            pieces[part][0, i] = np.eye(9, 88, 40, np.uint8)
    (tmp_path / "music").mkdir()
    savemat(tmp_path / "music" / FILE, pieces)
    # Each experiment's test looks at its figures; here, drawing them only takes time.
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda _, file, **how: Image.new("L", (9, 9)).save(file, **how),
    )

    def run(name, *flags):
        experiment = importlib.import_module(f"experiments.{name}")
        tiny = [f"--{flag}" for flag in TINY[name].split(";")]
        seeds = f"--seeds={','.join(map(str, SEEDS))}"
        done = launched(experiment, *tiny, seeds, "--results=out", *flags)
        assert done.returncode == 0, done.stderr
        return open_run("out")

    return run


def check(saved, name, score, network, seed):
    """The network's score, from its parameters, is the one in the row."""
    kept, params = saved.model(network, seed)
    np.testing.assert_allclose(kept.score(params), score, rtol=1e-5, err_msg=network)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REPORTS))
def test_parameters_give_the_reported_numbers_again(name, run):
    saved = run(name)
    kind, number, network = REPORTS[name]
    reported = [row for row in saved.metrics if row["kind"] == kind]
    networks = set()
    for row in reported:
        networks.add(network.format(**row))
        check(saved, name, row[number], network.format(**row), row["seed"])
    assert {row["seed"] for row in reported} == set(SEEDS)
    # music also keeps its last parameters, whose loss it does not report.
    assert networks | {n.partition(",")[0] for n in networks} >= set(saved.names)
    assert networks <= set(saved.names) == set(saved.networks)


@pytest.mark.slow
def test_those_of_information_are_of_the_trained_network(run):
    saved = run("information")
    (name,) = saved.names
    for row in saved.metrics:
        if row["kind"] == "accuracy" and row["when"] == "trained":
            check(saved, name, row["test_accuracy"], name, row["seed"])


@pytest.mark.slow
def test_those_of_remedies_are_with_and_without_each_remedy(run):
    flags = "--remedies=clip,pascanu,h_detach,identity"
    saved = run("remedies", flags)
    plain = {"clip": "elman", "pascanu": "elman", "h_detach": "lstm"}
    plain["identity"] = "identity: torch"
    assert set(saved.names) == {*plain, *plain.values()} == set(saved.networks)
    reported = [row for row in saved.metrics if row["kind"] == "remedy"]
    assert len(reported) == len(plain) * len(SEEDS)
    for row in reported:
        seed, remedy = row["seed"], row["remedy"]
        check(saved, "remedies", row["error_with"], remedy, seed)
        check(saved, "remedies", row["error_without"], plain[remedy], seed)


@pytest.mark.slow
def test_those_of_draw_digits_are_the_judge_and_both_generators(run):
    saved = run("draw_digits")
    assert saved.names == ["judge", "gru SequenceGenerator", "gru Blind"]
    for row in saved.metrics:
        if row["kind"] == "drawn" and row["digits"] == "handwritten":
            check(saved, "draw_digits", row["read_as_label"], "judge", row["seed"])
        if row["kind"] == "drawn" and "test_nll" in row:
            blind = "without" in row["digits"]
            name = "gru Blind" if blind else "gru SequenceGenerator"
            check(saved, "draw_digits", row["test_nll"], name, row["seed"])


def test_parameters_are_kept_on_the_way(run):
    flags = "--steps=45", "--save_every=20", "--cells=gru"
    saved = run("gradient_flow", *flags)
    assert saved.steps("gru") == [20, 40, 45] and saved.seeds("gru") == list(SEEDS)
    logged = [row["step"] for row in saved.metrics if row["kind"] == "training"]
    assert sorted(set(logged)) == [20, 40, 45]
    on_the_way = [saved.params("gru", 3, step)["dense"]["kernel"] for step in (20, 40)]
    last = saved.params("gru")["dense"]["kernel"]
    assert last.shape == (2, *on_the_way[0].shape)
    assert (on_the_way[0] != on_the_way[1]).any() and (on_the_way[1] != last[0]).any()
