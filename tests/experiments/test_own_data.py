"""Experiments on data of the user's own, through the command line."""

import importlib
import json
import types

import numpy as np
import pytest
from commands import TINY, rows
from PIL import Image

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6, 2)).astype(np.float32)
LABELS = np.array(["down", "up", "flat"])[np.arange(24) % 3]
LENGTHS = RNG.integers(3, 7, 24)
FILES = {
    "equal.npz": {"x": X, "y": LABELS},
    "padded.npz": {"x": X, "y": LABELS, "lengths": LENGTHS},
    "real.npz": {"x": X, "y": 100 + 10 * X.sum(axis=(1, 2)), "lengths": LENGTHS},
    "images.npz": {"x": RNG.random((24, 4, 4)), "y": LABELS},
    "loud.npz": {"x": 2 * RNG.random((24, 4, 4)), "y": LABELS},
    "short.npz": {"x": X[:, :1], "y": LABELS},
}


@pytest.fixture
def run(launched, tmp_path):
    for name, arrays in FILES.items():
        np.savez(tmp_path / name, **arrays)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    for i, color in enumerate(("red", "blue") * 8):
        folder = tmp_path / "photos" / color
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 7), color).save(folder / f"{i}.png")

    def run(name, *flags):
        module = importlib.import_module(f"experiments.{name}")
        tiny = dict(flag.split("=", 1) for flag in TINY[name].split(";"))
        for unused in ("order", "tasks"):
            tiny.pop(unused, None)
        given = {flag.partition("=")[0].strip("-") for flag in flags}
        small = [f"--{k}={v}" for k, v in tiny.items() if k not in given]
        return launched(module, *small, *flags, "--results=out")

    return run


def report(folder):
    (row,) = rows(folder, "report")
    return row


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("gradient_flow", ["--data=padded.npz", "--cells=elman", "--bidirectional"]),
        ("gates", ["--data=padded.npz", "--standardize"]),
        (
            "classify_sequences",
            ["--data=padded.npz", "--cells=elman", "--bidirectional"],
        ),
        ("information", ["--data=padded.npz", "--test_fraction=0.5"]),
        ("lstm_vs_gru", ["--data=padded.npz", "--evaluate_on=validation"]),
        ("vanishing", ["--data=equal.npz", "--depth=3"]),
        ("image_classification", ["--data=photos", "--image_size=4"]),
        ("autoencoder", ["--data=photos", "--image_size=4", "--latent=2"]),
        ("autoencoder", ["--data=images.npz", "--latent=2"]),
    ],
)
def test_experiments_take_user_data(name, flags, run, tmp_path):
    code, out, err = run(name, *flags, "--seeds=0,1")
    assert (code, err) == (0, "")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    path = tmp_path / flags[0].removeprefix("--data=")
    assert config["data"]["path"] == str(path)
    assert len(config["data"]["sha256"]) == 64
    sentence = next(
        text for text in report(tmp_path / "out")["findings"] if "Data" in text
    )
    assert path.name in sentence and "--split_seed=0" in sentence and sentence in out
    assert ("not standardized" in sentence) == ("--standardize" not in flags)
    text = json.dumps(report(tmp_path / "out")) + out
    assert "digit" not in text and "nan" not in out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Data of one&#39;s own" in page or "Data of one's own" in page


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient_flow", "classify_sequences", "lstm_vs_gru"])
def test_real_targets_are_measured_by_r2_and_rmse(name, run, tmp_path):
    cells = [] if name == "lstm_vs_gru" else ["--cells=elman"]
    flags = ["--data=real.npz", "--task=regress", "--standardize", *cells]
    code, out, err = run(name, *flags, "--seeds=0,1")
    assert (code, err) == (0, "")
    logged = [row for row in rows(tmp_path / "out", "accuracy") if "test_r2" in row]
    assert logged and not any("test_accuracy" in row for row in logged)
    for row in logged:  # targets have a deviation of about 10 sqrt(12)
        assert row["test_r2"] < 1 and 1 < row["test_rmse"] < 200
    ratios = [row["test_rmse"] ** 2 / (1 - row["test_r2"]) for row in logged]
    assert np.allclose(ratios, ratios[0], rtol=1e-4)  # the variance of the targets
    assert "RMSE on held-out sequences, in units of the target" in out
    assert "accuracy" not in out and "classif" not in out


MISTAKES = [
    ("gradient_flow", ["--data=broken.npz"], "broken.npz: expected a NumPy archive"),
    ("gradient_flow", ["--data=none.npz"], "none.npz: expected a file .npz, .ts, .csv"),
    (
        "gradient_flow",
        ["--standardize"],
        "flag --standardize: it applies to --data=FIL",
    ),
    ("gradient_flow", ["--task=regress"], "flag --task: it applies to --data=FILE_OR_"),
    (
        "gradient_flow",
        ["--data=equal.npz", "--order=rows"],
        "flag --order: omit it with",
    ),
    ("gradient_flow", ["--data=real.npz"], "use task=regress for real targets"),
    (
        "gradient_flow",
        ["--data=equal.npz", "--task=regress"],
        "y: expected real numbers",
    ),
    ("gradient_flow", ["--data=short.npz"], "expected sequences of at least 2 steps"),
    (
        "gradient_flow",
        ["--data=equal.npz", "--batch_size=19"],
        "expected at most 18, the",
    ),
    (
        "gradient_flow",
        ["--data=equal.npz", "--test_fraction=1"],
        "flag --test_fraction: ",
    ),
    (
        "classify_sequences",
        ["--data=faces"],
        "expected digits, mnist1d, or a file or fol",
    ),
    (
        "lstm_vs_gru",
        ["--data=equal.npz", "--tasks=words"],
        "flag --tasks: omit it with",
    ),
    (
        "vanishing",
        ["--data=padded.npz"],
        "flag --data: expected sequences of equal length",
    ),
    (
        "vanishing",
        ["--data=equal.npz"],
        "flag --depth: expected a divisor of 6, its steps",
    ),
    ("vanishing", ["--data=equal.npz", "--task=regress"], "unknown flag --task"),
    (
        "image_classification",
        ["--data=photos", "--data_dir=x"],
        "flag --data_dir: omit it",
    ),
    (
        "image_classification",
        ["--data=padded.npz"],
        "expected no lengths, as x contains images",
    ),
    (
        "autoencoder",
        ["--data=loud.npz"],
        "flag --data: expected pixels from 0 to 1, or",
    ),
    ("autoencoder", ["--data=images.npz", "--standardize"], "pixels stay from 0 to 1"),
    ("autoencoder", ["--data=photos"], "flag --filters:"),
]


@pytest.mark.parametrize(("name", "flags", "sentence"), MISTAKES)
def test_mistakes_end_in_one_sentence(name, flags, sentence, run, tmp_path):
    code, out, err = run(name, *flags)
    assert code == 2 and out == ""
    assert sentence in err and err.count("\n") == 1
    assert not list(tmp_path.glob("out*"))


def test_a_search_is_not_resumed_with_other_data(launched, run, tmp_path):
    from experiments.hyperparameters import experiment as hyperparameters

    flags = [
        "--experiment=classify_sequences",
        "--grid=learning_rate=0.1",
        "--set=data=equal.npz;features=2;cells=elman;steps=1;batch_size=4;seeds=0",
        "--results=out",
    ]
    unfinished = tmp_path / "out.unfinished"
    unfinished.mkdir()
    (unfinished / "metrics.jsonl").write_text('{"kind": "data", "sha256": ["0"]}\n')
    code, _, err = launched(hyperparameters, *flags, "--resume", resumable=True)
    assert code == 2 and "belongs to a run with other data files" in err


def test_the_runs_of_a_search_keep_the_hash_of_the_data(run, tmp_path):
    from experiments.gradient_flow import Config
    from experiments.harness.fingerprints import fingerprint
    from experiments.hyperparameters import trials
    from experiments.hyperparameters.grid import Trial

    module = types.SimpleNamespace(
        __name__="experiments.gradient_flow", run=lambda config, results: None
    )
    config = Config(data="equal.npz")
    trials._run(module, Trial(0, {}, {}, config), tmp_path / "000")
    settings = json.loads((tmp_path / "000" / "config.json").read_text())
    assert settings["data"] == fingerprint(config)
    assert settings["data"]["path"] == str(tmp_path / "equal.npz")
