"""Event files for TensorBoard, read back with its records and protos."""

import io
import struct
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from commands import TINY, rows
from PIL import Image

from experiments import gradient_flow, remedies
from experiments.harness import common_flags, events, training
from experiments.harness.runs import new_run


def read(folder):
    """The values of a model's event file: [(step, tag, value)]."""
    event = events._library().event_pb2.Event
    (file,) = folder.glob("events.out.tfevents.*")
    data, values = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])  # then a checksum of four bytes
        record = event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
        for value in record.summary.value:
            kind = value.WhichOneof("value")
            content = getattr(value, kind)
            if kind == "image":
                content = Image.open(io.BytesIO(content.encoded_image_string))
            elif kind == "tensor":
                content = content.string_val[0].decode()
            values.append((record.step, value.tag, content))
    return values


def scalars(folder, tag):
    return [(step, value) for step, name, value in read(folder) if name == tag]


def run(tmp_path, *logged, tensorboard=True):
    config = {"tensorboard": tensorboard, "features": 3, "grid": "a=1|2"}
    with new_run(tmp_path / "out", {"command": "me", "config": config}) as results:
        for row in logged:
            results.log(**row)
    return tmp_path / "out" / "tensorboard"


BEFORE = {"kind": "gradient", "cell": "gru", "when": "before", "seed": 4, "decay": 0.5}
STEP = {"kind": "training", "cell": "gru", "seed": 4, "step": 20, "loss": 0.25}
LAST = {"kind": "accuracy", "cell": "gru", "seed": 4, "test_accuracy": 0.75}


def test_rows_are_scalars_of_their_model(tmp_path):
    later = {**STEP, "step": 40, "loss": 0.125}
    folder = run(tmp_path, BEFORE, STEP, later, LAST, {**STEP, "seed": 5})
    assert {path.name for path in folder.iterdir()} == {"gru-4", "gru-5"}
    assert scalars(folder / "gru-4", "training/loss") == [(20, 0.25), (40, 0.125)]
    assert scalars(folder / "gru-4", "gradient/before/decay") == [(0, 0.5)]
    assert scalars(folder / "gru-4", "accuracy/test_accuracy") == [(40, 0.75)]


def test_the_config_is_text(tmp_path):
    folder = run(tmp_path, STEP)
    ((_, text),) = scalars(folder / "gru-4", "config/text_summary")
    assert '| command | "me" |' in text and "| features | 3 |" in text
    assert r'| grid | "a=1\|2" |' in text  # a bar would end the cell


def test_the_gradient_over_time_is_an_image_at_each_probe(tmp_path):
    probes = [
        {"kind": "probe", "cell": "gru", "seed": 4, "step": step, "log_norm": norms}
        for step, norms in ((0, [-5.0, -1.0, 0.0]), (20, [0.0, None, -5.0]))
    ]
    folder = run(tmp_path, STEP, *probes)
    images = scalars(folder / "gru-4", "probe/log_norm")
    assert [step for step, _ in images] == [0, 20]
    first, second = (np.asarray(image, int) for _, image in images)
    assert first.shape == second.shape and first.shape[2] == 3
    assert (first != second).any()


def test_curves_and_tables_of_a_row_are_scalars(tmp_path):
    row = {"kind": "look", "cell": "gru", "seed": 4, "gates": {"forget": 0.5}}
    folder = run(tmp_path, STEP, {**row, "steps": [0, 10], "bits": [2.0, 1.0]})
    assert scalars(folder / "gru-4", "look/bits") == [(0, 2.0), (10, 1.0)]
    assert scalars(folder / "gru-4", "look/gates/forget") == [(20, 0.5)]


def test_rows_of_no_model_are_left_out(tmp_path):
    folder = run(tmp_path, {"kind": "majority", "accuracy": 0.1}, STEP)
    assert [path.name for path in folder.iterdir()] == ["gru-4"]
    assert not [tag for _, tag, _ in read(folder / "gru-4") if "majority" in tag]


def test_nothing_is_written_unless_it_is_asked_for(tmp_path):
    assert not run(tmp_path, STEP, tensorboard=False).exists()


def test_what_was_written_before_a_failure_is_kept(tmp_path):
    with (
        pytest.raises(RuntimeError),
        new_run(tmp_path / "out", {"config": {"tensorboard": True}}) as results,
    ):
        results.log(**STEP)
        raise RuntimeError
    folder = tmp_path / "out.unfinished" / "tensorboard" / "gru-4"
    assert scalars(folder, "training/loss") == [(20, 0.25)]


def test_training_writes_loss_norm_and_rate(tmp_path):
    config = common_flags.TrainingConfig(
        seeds=[3], steps=4, batch_size=2, learning_rate=0.5, tensorboard=True
    )
    with new_run(tmp_path / "out", {"config": vars(config)}) as results:
        training.train(
            lambda w, x, key: ((w - x) ** 2).mean(),
            jnp.zeros(1),
            jnp.ones(4),
            config,
            results,
            schedule=lambda step: 1.0 / (1.0 + step),
        )
    folder = tmp_path / "out" / "tensorboard" / "seed-3"
    (logged,) = rows(tmp_path / "out", "training")
    for name in ("loss", "gradient_norm", "learning_rate"):
        ((step, value),) = scalars(folder, f"training/{name}")
        assert step == 4 and value == pytest.approx(logged[name])
    assert logged["learning_rate"] == pytest.approx(0.125)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.slow
def test_experiments_write_event_files(launched, tmp_path):
    flags = [f"--{f}" for f in TINY["gradient_flow"].split(";") if "probes" not in f]
    flags += ["--cells=gru", "--seeds=4", "--probes=state_gradients", "--tensorboard"]
    assert launched(gradient_flow, *flags, "--results=out").returncode == 0
    folder = tmp_path / "out" / "tensorboard" / "gru-4"
    tags = {tag for _, tag, _ in read(folder)}
    assert {"training/loss", "accuracy/test_accuracy"} <= tags
    images = scalars(folder, "probe/forward/state_gradients")
    assert [step for step, _ in images] == [0, 2]
    flags = [f"--{f}" for f in TINY["remedies"].split(";")]
    done = launched(remedies, *flags, "--seeds=0", "--tensorboard", "--results=two")
    assert done.returncode == 0
    models = {path.name for path in (tmp_path / "two" / "tensorboard").iterdir()}
    assert models == {"elman-0", "clip-0", "seed-0"}


@pytest.mark.slow
def test_the_library_is_imported_last_and_without_torch():
    code = (
        "import sys; from experiments.harness import events, training\n"
        "assert 'tensorboardX' not in sys.modules\n"
        "events._library()\n"
        "assert 'tensorboardX' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
