"""Runs keep the parameters of the networks that they train."""

import kept
import pytest
from commands import TINY, rows

from experiments import gradient_flow, image_classification


def flags(experiment):
    name = experiment.__name__.rpartition(".")[2]
    return [f"--{flag}" for flag in TINY[name].split(";")]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_parameters_are_kept_on_the_way(launched, tmp_path):
    steps = "--steps=45", "--save_every=20", "--cells=gru", "--seeds=3,5"
    given = [
        f for f in flags(gradient_flow) if not f.startswith(("--steps", "--cells"))
    ]
    done = launched(gradient_flow, *given, *steps, "--results=out")
    assert done.returncode == 0, done.stderr
    saved = kept.assert_reproduced(tmp_path / "out", "gradient_flow")
    assert saved.steps("gru") == [20, 40, 45] and saved.seeds("gru") == [3, 5]
    logged = [row["step"] for row in rows(tmp_path / "out", "training")]
    assert logged == [20, 20, 40, 40, 45, 45]
    on_the_way = [saved.params("gru", 3, step)["dense"]["kernel"] for step in (20, 40)]
    last = saved.params("gru")["dense"]["kernel"]
    assert last.shape == (2, *on_the_way[0].shape)
    assert (on_the_way[0] != on_the_way[1]).any() and (on_the_way[1] != last[0]).any()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_those_of_a_network_of_images_give_its_accuracy_again(launched, tmp_path):
    given = [*flags(image_classification), "--seeds=0,1", "--results=out"]
    done = launched(image_classification, *given)
    assert done.returncode == 0, done.stderr
    saved = kept.assert_reproduced(tmp_path / "out", "image_classification")
    assert saved.networks["cnn"].recurrent is None
