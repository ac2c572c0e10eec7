"""The autoencoder on digits, run through its command line."""

import json
import pathlib
import re
import sys

import numpy as np
import pytest
from commands import files

from experiments.autoencoder import experiment as autoencoder
from experiments.harness import cli
from train.data import digits

TINY = ["--steps=2", "--seeds=0,1", "--filters=4", "--latent=4"]


@pytest.fixture
def command(monkeypatch, tmp_path):
    """`command("--flag=value", ...)` in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["autoencoder", *flags])
        cli.main(autoencoder.Config, autoencoder.run)

    return run


def rows(folder: pathlib.Path, kind: str) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def halves():
    return [half.images[..., None] for half in digits.load()]


@pytest.mark.slow
def test_it_compares_and_draws(command, capsys, tmp_path):
    command(*TINY, "--upsample=nearest,unpool", "--results=out")
    folder, captured = tmp_path / "out", capsys.readouterr()
    assert captured.err == ""
    assert files(folder) == {
        *("config.json", "metrics.jsonl", "checkpoints", "report.html"),
        *("reconstructions.png", "walk.png", "errors.png"),
    }
    for figure in folder.glob("*.png"):
        assert figure.read_bytes().startswith(b"\x89PNG")

    lines = captured.out.splitlines()
    table = [line.split() for line in lines if re.match("4  ", line)]
    labels = [" ".join(re.findall(r"[a-z]+", " ".join(line))) for line in table]
    assert labels == ["nearest", "unpool switches", "unpool no switches"]
    assert "The mean digit alone: train 0.0722, test 0.0750." in captured.out
    assert (
        "* In addition to z, this decoder receives 64 switches" in captured.out
    )  # 4 of 4x4
    assert lines[-1] == "Results: out"

    assert len(rows(folder, "training")) == 2 * 2  # ways, seeds
    errors = rows(folder, "mse")
    assert len(errors) == 3 * 2
    for row in errors:
        assert 0 < row["train_mse"] < 0.3 and 0 < row["test_mse"] < 0.3
        assert row["switches"] <= (row["upsample"] == "unpool")
    with_switches, without = (
        [row["test_mse"] for row in errors if (row["upsample"], row["switches"]) == way]
        for way in (("unpool", True), ("unpool", False))
    )
    assert np.not_equal(with_switches, without).all()
    first = [row["train_mse"] for row in errors if row["upsample"] == "nearest"]
    words = f"{np.mean(first):.4f} ± {np.std(first, ddof=1):.4f}"
    assert words in next(line for line in lines if line.startswith("4  "))
    assert {row["seed"] for row in rows(folder, "halfway")} == {0, 1}
    assert len(rows(folder, "pca")) == 33


@pytest.mark.slow
def test_pca_equals_published_errors(command, tmp_path):
    """The exact value, to its five decimals; and the rows say the same."""
    linear = autoencoder.pca(*halves(), count=32)
    expected = {0: (0.07216, 0.07503), 8: (0.02259, 0.02686), 16: (0.01012, 0.01330)}
    for count, errors in expected.items():
        result = linear.train_mse[count], linear.test_mse[count]
        np.testing.assert_allclose(result, errors, atol=1e-5)
    assert (np.diff(linear.train_mse) < 0).all()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_it_beats_pca_of_its_size(command, tmp_path):
    """After 21 epochs, on what it was trained with and on other writers."""
    flags = "--latent=8", "--seeds=0", "--steps=300", "--filters=16"
    command(*flags, "--learning_rate=0.01")
    (folder,) = (tmp_path / "results" / "autoencoder").iterdir()
    (row,) = rows(folder, "mse")
    floor = rows(folder, "pca")[8]
    assert row["train_mse"] < 0.85 * floor["train_mse"]
    assert row["test_mse"] < 0.95 * floor["test_mse"]


def test_describe_prints_the_layers_and_trains_nothing(command, capsys, tmp_path):
    flags = ["--describe", "--latent=8", "--upsample=nearest,transposed"]
    command(*flags, "--results=out")
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert "latent 8, nearest:" in printed
    assert "latent 8, transposed:" in printed
    lines = [re.split(r"  +", line) for line in printed.splitlines()]
    conv = next(line for line in lines if line[0] == "conv 3x3, 32")
    assert conv[1:4] == ["4x4x32", "4,640", "8x8"]
    assert [line[1] for line in lines if line[0] == "total"] == ["11,753"] * 2
    layers = rows(tmp_path / "out", "layer")
    assert sum(row["parameters"] for row in layers) == 2 * 11_753
    assert not rows(tmp_path / "out", "training")


MISTAKES = [
    ("--upsample=bilinear", "--upsample: expected some of nearest, linear, transposed"),
    ("--upsample=", "--upsample: expected values separated by commas"),
    ("--latent=0", "--latent: expected integers from 1 to 63, fewer than a digit has"),
    ("--latent=64", "fewer than a digit has pixels; got [64]"),
    ("--latent=eight", "--latent: expected integers separated by commas; got 'eight'"),
    ("--latent=8,8", "--latent: 8 is given twice"),
    ("--filters=4,8,16,32", "--filters: expected spatial sizes that are multiples of"),
    ("--filters=0", "--filters: expected filters to be positive integers"),
    ("--kernel_size=0", "--kernel_size=0: 0 is not a positive integer"),
    ("--kernel_size=9", "--kernel_size: expected at most 8, the width of a digit"),
    ("--batch_size=899", "expected at most 898, the training digits; got 899"),
    ("--seeds=-1", "expected integers from 0 to 2^32 - 1; got [-1]"),
    ("--describe=maybe", "--describe=maybe: expected true or false"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, command, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        command(*TINY, flag)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.err.startswith("autoencoder: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.glob("results/*/*"))
