"""Edge kernels, fixed and learned: exact facts, and the command from end to end."""

import json
import sys

import numpy as np
import pytest
from commands import files
from scipy import ndimage

from experiments.edges import claims, figures, measure
from experiments.edges import experiment as edges
from experiments.edges.measure import KernelSimilarity, LearnedKernels
from experiments.harness import cli
from experiments.harness.runs import new_run
from train.data import digits, photographs, strokes

SOBEL = measure.FIXED["Sobel"]
TINY = ["--steps=2", "--seeds=0", "--filters=1", "--digits=0"]


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in this process; its exit code (0 if it returns), and words."""
    monkeypatch.chdir(tmp_path)

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["edges", *flags])
        code = 0
        try:
            cli.main(edges.Config, edges.run)
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def rows(folder, kind):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def learned(kernels):
    some = np.ones((len(kernels), kernels.shape[-1]), int)
    return LearnedKernels(kernels, kernels, some > 0, some, np.ones(len(kernels)))


@pytest.fixture(scope="module", params=["china", "digit"])
def image(request):
    if request.param == "digit":
        return digits.load()[0].images[0]
    return photographs.load("china")


@pytest.mark.parametrize(
    ("padding", "mode"),
    [("same", "constant"), ("valid", "nearest"), ("replicate",) * 2],
)
def test_maps_are_those_of_scipy(image, padding, mode):
    edge_maps = measure.maps(image, padding).edges
    mode = "nearest" if mode == "replicate" else mode
    for i, kernel in enumerate((SOBEL, SOBEL.T)):
        wanted = ndimage.correlate(image.astype(float), kernel, mode=mode)
        sobel = ndimage.sobel(image.astype(float), axis=i, mode=mode)
        np.testing.assert_allclose(wanted, sobel, atol=1e-12)
        wanted = wanted[1:-1, 1:-1] if padding == "valid" else wanted
        np.testing.assert_allclose(edge_maps[..., i], wanted, atol=1e-5)


def test_a_step_is_found_by_the_kernel_of_its_direction_alone():
    step = np.repeat(np.array([[0, 0, 0, 1, 1, 1]], np.float32), 6, axis=0)
    edge_map = measure.maps(step, "valid").edges
    assert edge_map[..., 1].tolist() == [[0, 4, 4, 0]] * 4  # at the step, nowhere else
    assert not edge_map[..., 0].any()
    turned = measure.maps(step.T, "valid").edges
    np.testing.assert_array_equal(turned, edge_map.swapaxes(0, 1)[..., ::-1])


def test_zeros_around_an_image_are_an_edge_that_it_does_not_have():
    white = np.ones((5, 6), np.float32)
    same = measure.maps(white, "same").edges[..., 1]
    assert same.tolist() == [
        [3, 0, 0, 0, 0, -3],
        *[[4, 0, 0, 0, 0, -4]] * 3,
        [3, 0, 0, 0, 0, -3],
    ]
    assert not measure.maps(white, "valid").edges.any()
    assert not measure.maps(white, "replicate").edges.any()
    both = measure.maps(white, "same").edges  # 4 corners, 4 and 3 a side without them
    assert measure.rim(both) == pytest.approx(
        (4 * (3 + 3) + 2 * 4 * (4 + 0) + 2 * 3 * (0 + 4)) / (18 * 2)
    )


@pytest.mark.parametrize(
    ("padding", "edge_map", "pooled"),
    [("same", (9, 12), (4, 6)), ("valid", (7, 10), (3, 5))],
)
def test_relu_and_pooling_keep_what_is_brighter(padding, edge_map, pooled):
    image = np.random.default_rng(0).random((9, 12), np.float32)
    maps = measure.maps(image, padding)
    assert maps.edges.shape == maps.kept.shape == (*edge_map, 2)
    assert maps.pooled.shape == (*pooled, 2)
    np.testing.assert_array_equal(maps.kept, np.maximum(maps.edges, 0))
    even = maps.kept[: 2 * pooled[0], : 2 * pooled[1]]
    blocks = even.reshape(pooled[0], 2, pooled[1], 2, 2)
    np.testing.assert_array_equal(maps.pooled, blocks.max(axis=(1, 3)))


def test_cosines_know_neither_sign_nor_size_nor_mean():
    kernels = np.stack([SOBEL, -3 * SOBEL.T + 7, measure.FIXED["line"]], axis=-1)
    prewitt = 8 / np.sqrt(12 * 6)
    wanted = [
        [[1, 0], [prewitt, 0], [0, 0]],
        [[0, 1], [0, prewitt], [0, 0]],
        [[0, 0], [0, 0], [1, 0]],
    ]
    np.testing.assert_allclose(measure.cosines(kernels), wanted, atol=1e-6)
    assert measure.closest(kernels[None]).tolist() == [
        ["Sobel — 1.00", "Sobel | 1.00", "line — 1.00"]
    ]
    assert not measure.cosines(np.ones((3, 3, 1))).any()  # a mean and nothing else


def test_a_kernel_is_alike_if_chance_is_not():
    pair = np.stack([SOBEL, SOBEL.T], axis=-1)[None]
    alike = {
        (similarity.to, similarity.of): similarity
        for similarity in measure.similarities(learned(pair))
    }
    assert alike["Sobel", "all"].after == pytest.approx(1)
    assert alike["Prewitt", "best"].above == 1
    assert alike["line", "best"].above == 0

    random = np.random.default_rng(1).normal(size=(2000, 3, 3, 4))
    for similarity in measure.similarities(learned(random)):
        assert similarity.above / 2000 == pytest.approx(0.05, abs=0.02)
        assert np.median(similarity.after) == pytest.approx(similarity.median, abs=0.02)


@pytest.mark.parametrize(
    ("sobel", "title"),
    [
        ([0.9, 0.8], "Every network that classifies strokes learns edge kernels;"),
        ([0.9, 0.5], "1 of 2 networks that classify strokes learn edge kernels;"),
        ([0.3, 0.5], "Networks that classify strokes learn no edge kernels;"),
    ],
)
def test_the_title_is_what_was_measured(sobel, title):
    def one(to, after):
        return KernelSimilarity(to, "all", 0.4, 0.6, np.zeros(2), np.array(after))

    similar = [one("Sobel", sobel), one("Prewitt", [0.9, 0.9]), one("line", [0.2, 0.2])]
    first, second = claims.finding(similar).splitlines()
    assert first == title
    assert "Prewitt 0.90 (chance 0.40)" in second


@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_the_corner_shown_is_the_brightest(y, x):
    image = np.zeros((40, 60))
    image[y, x] = 1
    name, corner = figures.brightest_corner(image)
    assert name == f"{('top', 'bottom')[y]} {('left', 'right')[x]} corner"
    assert image[corner].shape == (16, 16)
    assert image[corner].sum() == 1


@pytest.mark.slow
def test_it_looks_and_learns_and_draws(command, tmp_path):
    flags = ["--seeds=0,3", "--steps=300", "--digits=3,5"]
    code, out, err = command(*flags, "--results=out")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    start = lines.index(next(line for line in lines if "----" in line)) + 1
    table = lines[start : lines.index("", start)]
    assert [line.split()[:2] for line in table] == [
        [to, of] for of in ("all", "best") for to in ("Sobel", "Prewitt", "line")
    ]
    assert lines[-3].startswith("Test accuracy: ")
    assert " of 8 filters fire on some of them; " in lines[-2]
    assert lines[-1] == "Results: out"
    folder = tmp_path / "out"
    assert files(folder) == {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "report.html",
        *("photograph.png", "digits.png", "kernels.png"),
    }
    for figure in folder.glob("*.png"):
        assert figure.read_bytes().startswith(b"\x89PNG")

    sizes = {(r["image"], r["padding"]): r["sizes"] for r in rows(folder, "maps")}
    assert set(sizes) == {
        (image, padding)
        for image in ("china", "no. 3: 3", "no. 5: 5")
        for padding in ("same", "valid")
    }
    assert sizes["china", "same"]["edges"] == [427, 640]
    assert sizes["china", "valid"] == {
        "edges": [425, 638],
        "kept": [425, 638],
        "pooled": [212, 319],
    }
    assert {row["seed"] for row in rows(folder, "training")} == {0, 3}
    assert all(row["test_accuracy"] > 0.9 for row in rows(folder, "accuracy"))
    kernels = rows(folder, "kernel")
    assert len(kernels) == 2 * 4 * 2  # seeds, filters, before and after
    for row in kernels:
        alike = measure.cosines(np.array(row["kernel"])[..., None]).max(axis=-1)[0]
        np.testing.assert_allclose(
            [row[name] for name in measure.FIXED], alike, atol=1e-5
        )
    (prewitt,) = (
        row
        for row in rows(folder, "likeness")
        if (row["to"], row["of"]) == ("Prewitt", "all")
    )
    assert min(prewitt["after"]) > prewitt["high"] > np.mean(prewitt["before"])


@pytest.mark.slow
def test_one_filter_and_another_pool_and_more_seeds_than_are_drawn(tmp_path):
    seeds = list(range(9))
    config = edges.Config(seeds=seeds, steps=1, filters=1, pool="max")
    with new_run(tmp_path / "out", {}) as results:
        result = edges.learn(config, *strokes.load(), results)
        assert result.after.shape == (9, 3, 3, 1)
        names = {when: measure.closest(result.after) for when in ("before", "after")}
        alike = measure.similarities(result)
        plot = figures.kernels(result, names, alike, measure.FIXED, seeds, "Text.")
        figure = plot.figure
        figure.savefig(results.path / "kernels.png")
    assert len(figure.axes) == (1 + 8) * 9
    assert len(rows(tmp_path / "out", "accuracy")) == 9


def test_help_begins_with_the_question(command):
    code, out, _ = command("--help")
    assert code == 0
    assert out.startswith("What does a convolution see, and does a network learn edge")
    assert "--photograph=china" in out


MISTAKES = [
    ("--digits=1797", "flag --digits: expected numbers from 0 to 1796; got 1797"),
    ("--digits=3,-1", "flag --digits: expected numbers from 0 to 1796; got 3,-1"),
    ("--digits=a", "flag --digits: expected integers separated by commas; got 'a'"),
    ("--digits=0,1,2,3,4,5,6,7,8", "flag --digits: expected at most 8, as all are"),
    ("--filters=0", "flag --filters=0: 0 is not a positive integer"),
    ("--filters=17", "flag --filters: expected at most 16, as all are drawn; got 17"),
    ("--photograph=cat", "expected one of china, flower"),
    ("--pool=lp", "expected one of mean, max"),
    ("--batch_size=441", "expected at most 440, the training strokes; got 441"),
    ("--steps=99999999999", "flag --steps: expected at most 10,000,000"),
]


@pytest.mark.parametrize(("flag", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(flag, sentence, command, tmp_path):
    code, out, err = command(*TINY, flag)
    assert (code, out) == (2, "")
    assert err.startswith("edges: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("results/*/*"))
