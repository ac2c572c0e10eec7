"""Image classification, run through its command line, mostly in this process."""

import contextlib
import gzip
import json
import math
import re
import struct
import sys

import numpy as np
import pytest
from commands import files
from matplotlib.figure import Figure
from PIL import Image

from experiments.harness import cli
from experiments.harness.plotting import Plot
from experiments.image_classification import experiment as image_classification
from experiments.image_classification import figures

TINY = ["--seeds=0,1", "--steps=2", "--batch_size=4"]
FIGURES = {"confusion", "misread", "filters", "feature_maps"}
SIZES = {"train": 9, "t10k": 6}  # of the IDX files


def written(array) -> bytes:
    """An array of bytes as an IDX file."""
    array = np.asarray(array, np.uint8)
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to run in, which holds a small data set, and damaged ones."""
    rng = np.random.default_rng(0)
    for folder in ("clothes", "cut", "mixed"):
        (tmp_path / folder).mkdir()
        for name, count in SIZES.items():
            images = written(rng.integers(0, 256, (count, 28, 28)))
            labels = written(np.arange(count) % 10)
            path = tmp_path / folder / f"{name}-images-idx3-ubyte.gz"
            path.write_bytes(gzip.compress(images))
            (tmp_path / folder / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    path = tmp_path / "cut" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    path = tmp_path / "mixed" / "train-labels-idx1-ubyte"
    path.write_bytes(written([1, 2, 3]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here, monkeypatch, capsys):
    """`code, out, err = run("--flag=value", ...)`."""

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["image_classification", *flags])
        code = 0
        with contextlib.suppress(SystemExit):
            try:
                cli.main(image_classification.Config, image_classification.run)
            except SystemExit as stop:
                code = stop.code
        return code, *capsys.readouterr()

    return run


def rows(folder, kind):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


DATA = {
    "digits": (["--filters=2,3"], 899, 2 * 10 + 3 * (9 * 2 + 1) + 10 * 13),
    "mnist1d": (["--data=mnist1d", "--filters=2,2"], 1000, 2 * 6 + 2 * 7 + 10 * 21),
    "idx": (
        ["--data_dir=clothes", "--filters=2,3", "--hidden=4"],
        6,
        2 * 26 + 3 * (25 * 2 + 1) + 4 * 49 + 10 * 5,
    ),
}


def table_line(lines):
    """The last line of the table, which follows the answer and a blank line."""
    start = lines.index("") + 1
    return lines[lines.index("", start) - 1]


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
def test_it_trains_and_shows_what_was_learned(data, run, here):
    flags, examples, parameters = DATA[data]
    code, out, err = run(*TINY, *flags, "--results=out")
    assert (code, err) == (0, "")
    *lines, reference, last = out.splitlines()
    model = "cnn_1d on mnist1d" if data == "mnist1d" else "cnn on "
    line = table_line(lines)
    assert line.startswith(model) and f" {parameters} " in line
    number = image_classification.REFERENCES[data].accuracy
    assert number in line and reference.startswith("Reference: ")
    assert last == "Results: out"

    folder = here / "out"
    pictures = {path.stem for path in folder.glob("*.png")}
    assert pictures == FIGURES
    assert len(files(folder)) == len(FIGURES) + 4  # checkpoints, among others
    for name in FIGURES:
        with Image.open(folder / f"{name}.png") as picture:
            assert 500 <= picture.width <= 1500 and 200 <= picture.height <= 1500
            assert np.asarray(picture.convert("L")).std() > 5  # not empty

    assert sum(row["parameters"] for row in rows(folder, "network")) == parameters
    (settings,) = rows(folder, "settings")
    assert settings["data"] == data and settings["steps"] == 2
    expected = image_classification.REFERENCES[data].learning_rate
    assert settings["learning_rate"] == expected
    assert {row["seed"] for row in rows(folder, "training")} == {0, 1}
    (confusion,) = rows(folder, "confusion")
    counts = np.array(confusion["counts"])
    accuracies = [row["test_accuracy"] for row in rows(folder, "accuracy")]
    assert counts.shape == (10, 10) and counts.sum() == 2 * examples
    assert np.trace(counts) / counts.sum() == pytest.approx(np.mean(accuracies))
    config = json.loads((folder / "config.json").read_text())
    assert config["command"].startswith("python -m ")


@pytest.mark.slow
def test_it_learns_and_the_same_flags_give_the_same_numbers(run, here, monkeypatch):
    nothing = {"confusion.png": Plot(Figure(), "A finding.", "A caption.")}
    monkeypatch.setattr(figures, "draw", lambda *_: nothing)
    flags = "--seeds=3", "--epochs=5", "--filters=8,16"
    for name in ("one", "two"):
        assert run(*flags, f"--results={name}")[0] == 0
    one, two = ((here / n / "metrics.jsonl").read_text() for n in ("one", "two"))
    assert one == two
    (accuracy,) = rows(here / "one", "accuracy")
    assert accuracy["epochs"] == 5 and accuracy["seed"] == 3
    assert accuracy["test_accuracy"] > 0.75 and accuracy["train_accuracy"] > 0.8


MODELS = {
    "lenet5": ["--data_dir=clothes"],
    "linear": ["--data=digits"],
}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_other_models_are_trained_and_shown_too(model, run, here):
    flags = "--seeds=0", "--steps=1", "--batch_size=2", f"--model={model}"
    code, out, err = run(*flags, *MODELS[model], "--results=out")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert table_line(lines).startswith(f"{model} on ")
    assert {path.stem for path in (here / "out").glob("*.png")} == FIGURES


def test_lenet5_is_described_as_it_is_known(run, here):
    code, out, err = run(
        "--model=lenet5", "--data_dir=clothes", "--describe", "--results=out"
    )
    assert (code, err) == (0, "")
    assert [path.name for path in sorted((here / "out").iterdir())] == [
        "config.json",
        "metrics.jsonl",
    ]
    layers = rows(here / "out", "network")
    assert [row["shape"] for row in layers[:4]] == [
        [28, 28, 6],
        [14, 14, 6],
        [10, 10, 16],
        [5, 5, 16],
    ]
    fields = [row["receptive_field"] for row in layers]
    assert fields == [[5, 5], [6, 6], [14, 14], [16, 16], None, None, None, None]
    counts = [row["parameters"] for row in layers if row["parameters"]]
    assert counts == [156, 2_416, 48_120, 10_164, 850]
    # Two for each weight and output; one for each bias and each tanh.
    flops = {row["name"]: row["flops"] for row in layers}
    products = {
        "conv 5x5, 6": 2 * 25 * 28 * 28 * 6,
        "conv 5x5, 16": 2 * 25 * 6 * 10 * 10 * 16,
        "dense 120": 2 * 400 * 120,
        "dense 84": 2 * 120 * 84,
        "dense 10": 2 * 84 * 10,
    }
    assert sum(products.values()) == 2 * 416_520
    outputs = {"conv 5x5, 6": 28 * 28 * 6, "conv 5x5, 16": 10 * 10 * 16}
    outputs |= {"dense 120": 120, "dense 84": 84}
    for name, count in products.items():
        assert flops[name] == count + 2 * outputs.get(name, 5)  # 10 has no tanh
    # Three or four additions and a division for each output of the pools.
    assert 4 <= sum(r["flops"] for r in layers[1:4:2]) / (14 * 14 * 6 + 5 * 5 * 16) <= 5
    lines = [re.split(r"\s{2,}", line) for line in out.splitlines()]
    total = f"{sum(row['flops'] for row in layers):,}"
    assert lines[-2] == ["total", "61,706", total]
    assert ["conv 5x5, 16", "10x10x16", "2,416", "14x14", "483,200"] in lines


CHOSEN = {
    "cnn": (
        [
            "--filters=3,3",
            "--kernel_size=4",
            "--padding=valid",
            "--pool=mean",
            "--init=he",
        ],
        ["conv 4, 3", "mean_pool 2", "conv 4, 3", "mean_pool 2", "flatten", "dense 10"],
        [37 * 3, 18 * 3, 15 * 3, 7 * 3, 21, 10],
    ),
    "cnn_1d": (
        ["--filters=2,3"],
        ["conv 5, 2, stride 2", "conv 3, 3, stride 2", "flatten", "dense 10"],
        [19 * 2, 10 * 3, 30, 10],
    ),
    "feed_forward": (
        ["--hidden=6,6"],
        ["flatten", "dense 6", "dense 6", "dense 10"],
        [40, 6, 6, 10],
    ),
}


@pytest.mark.parametrize("model", CHOSEN)
def test_flags_make_the_network(model, run, here):
    flags, names, sizes = CHOSEN[model]
    common = "--data=mnist1d", f"--model={model}", "--describe", "--results=out"
    code, _, err = run(*common, *flags)
    assert (code, err) == (0, "")
    layers = rows(here / "out", "network")
    assert [row["name"] for row in layers] == names
    assert [math.prod(row["shape"]) for row in layers] == sizes


MISTAKES = [
    (["--data=idx"], "flag --data_dir: expected a folder, as --data=idx reads files; "),
    (["--data=idx"], "dataset-fashion-mnist"),
    (["--data_dir=nowhere"], "nowhere: expected a folder with the files train-images"),
    (["--data_dir=cut"], "t10k-images-idx3-ubyte.gz: expected complete gzip data"),
    (["--data_dir=mixed"], "expected 9 labels, one for each image of train-images"),
    (["--data_dir=cut", "--describe"], "t10k-images-idx3-ubyte.gz: expected complete"),
    (["--data=digits", "--data_dir=clothes"], "digits are not read from files"),
    (["--data=photos"], "expected auto, digits, mnist1d, idx, or a file or folder"),
    (["--model=resnet"], "flag --model: expected one of auto, cnn, lenet5"),
    (
        ["--model=lenet5"],
        "--model=lenet5 does not fit digits of shape [8, 8, 1]: layer 2 (conv 5x5, 16) "
        "of 8, for inputs [4, 4, 6]: expected an input at least as large as the kernel",
    ),
    (
        ["--model=lenet5", "--data=mnist1d"],
        "does not fit mnist1d of shape [40, 1]: layer 0 (conv 5x5, 6) of 8",
    ),
    (["--model=cnn_1d"], "does not fit digits of shape [8, 8, 1]: layer 0 (conv 5, 32"),
    (["--filters=2,3,4,5"], "layer 7 (max_pool 2x2) of 10, for inputs [1, 1, 5]"),
    (["--padding=valid", "--kernel_size=9"], "layer 0 (conv 9x9, 32) of 6"),
    (["--filters=8,0"], "expected filters to be a positive integer; got 0"),
    (["--filters=8,x"], "flag --filters: expected integers separated by commas"),
    (["--hidden=-1"], "expected features to be a positive integer; got -1"),
    (["--pool=sum"], "expected one of auto, max, mean, lp, none"),
    (["--init=zeros"], "expected one of auto, linen, he, keras, torch"),
    (
        ["--model=linear", "--hidden=5"],
        "flag --hidden: linear does not use this flag; omit it, or use --model=cnn or "
        "feed_forward",
    ),
    (["--data=mnist1d", "--pool=max"], "flag --pool: cnn_1d does not use this flag"),
    (["--epochs=2"], "flag --steps: omit it or --epochs"),
    (["--batch_size=899"], "expected at most 898, the training images; got 899"),
    (["--data_dir=clothes", "--batch_size=64"], "expected at most 9, the training"),
    (["--steps=10000001"], "flag --steps: expected at most 10,000,000"),
    (["--epochs=-1"], "flag --epochs=-1: -1 is not a non-negative integer"),
    (["--seeds=-1"], "expected integers from 0 to 2^32 - 1; got [-1]"),
    (["--results=clothes"], "exists already; remove it, or name another"),
]


@pytest.mark.parametrize(("flags", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(flags, sentence, run, here):
    before = set(here.rglob("*"))
    code, out, err = run(*TINY, *flags)
    assert (code, out) == (2, "")
    assert err.startswith("image_classification: ") and sentence in err
    assert err.count("\n") == 1
    results = here / "results"
    left = set(here.rglob("*")) - before
    assert left <= {results, results / "image_classification"}


def test_help_lists_the_defaults_of_each_data_set(run):
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert out.startswith("Which images does a convolutional network misread")
    out = " ".join(out.split())
    for data, reference in image_classification.REFERENCES.items():
        assert f"{data} {reference.epochs}" in out
        assert f"{data} {reference.learning_rate}" in out


def title(drawn):
    figure, finding = drawn
    assert " ".join(finding.split()) == " ".join(figure.get_suptitle().split())
    return " ".join(finding.split())


def test_the_confusion_names_the_most_frequent_mistake():
    counts = np.array([[98, 2, 0], [0, 9, 1], [0, 0, 0]])  # more often, but more rarely
    assert title(figures.confusion(counts)) == (
        "97.3 % of the test set is classified correctly; most frequent mistake: 1 "
        "read as 2, in 10.0 % of all 1s"
    )
    assert title(figures.confusion(np.eye(3, dtype=int))) == (
        "100.0 % of the test set is classified correctly"
    )


def test_what_most_seeds_misread_comes_first():
    labels = np.array([0, 1, 2, 2])
    images = np.zeros((4, 3, 3, 1))
    one = [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.0, 0.6, 0.4], [0.0, 0.0, 1.0]]
    other = [[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]]
    drawn = figures.misread(images, labels, np.array([one, other]))
    assert title(drawn) == "1 of 4 test images are misread by every seed"
    titles = [axis.get_title() for axis in drawn[0].axes if axis.get_title()]
    assert titles == [
        "2 read as 1\n55 %, 2 of 2 seeds",
        "1 read as 0\n60 %, 1 of 2 seeds",
    ]
    right = np.eye(3)[labels][None]
    drawn = figures.misread(np.zeros((4, 9, 1)), labels, right)
    assert title(drawn) == "None of 4 test sequences is misread; these are the closest"


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_networks_at_several_rates_are_each_as_alone(run, here):
    flags = ["--data=digits", "--filters=2,3", "--seeds=0,1", "--steps=12"]
    rates = [3e-3, 1e-2]
    config = image_classification.Config
    configs = [
        cli.parse(config, [*flags, f"--learning_rate={rate}"])[0] for rate in rates
    ]
    together = image_classification.scores(configs)
    for i, rate in enumerate(rates):
        code, *_ = run(*flags, f"--learning_rate={rate}", f"--results=out{i}")
        assert code == 0
        alone = rows(here / f"out{i}", "accuracy")
        for name, scores in together[i].items():
            # A digit between two classes may fall to either side by rounding.
            np.testing.assert_allclose(scores, [row[name] for row in alone], atol=0.003)


@pytest.mark.slow
def test_a_rate_at_which_training_diverges_has_no_accuracy():
    flags = ["--data=digits", "--filters=2,3", "--seeds=0", "--steps=12"]
    flags += ["--optimizer=sgd"]
    configs = [
        cli.parse(image_classification.Config, [*flags, f"--learning_rate={rate}"])[0]
        for rate in (1e-2, 1e30)
    ]
    fine, diverged = image_classification.scores(configs)
    assert np.isfinite(fine["test_accuracy"]).all()
    assert np.isnan(diverged["test_accuracy"]).all()
