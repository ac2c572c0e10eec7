"""Results of a command, as the tests read them."""

import json
import pathlib
from typing import NamedTuple

LEAKY = """
import jax, jax.numpy as jnp, nets

def _step(params, state, x):
    state = {keep} * state + x @ params
    return state, jnp.tanh(state)

leaky = nets.Cell(
    init=lambda key, inputs, features: jax.random.normal(key, (inputs, features)),
    initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], w.shape[-1])),
    step=_step,
)
"""


class Done(NamedTuple):
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


def rows(folder: pathlib.Path, kind: str) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


# Commands that read runs of experiments, or run them in parts.
TOOLS = {"compare", "export", "inspect", "merge", "published", "submit"}

# Flags of a small run of each experiment.
TINY = {
    "adding": "features=3;lengths=4;steps=2;evaluate_every=2;cells=gru;batch_size=4",
    "atlas": "cells=elman;inits=own;features=3;batch_size=2;adding_length=4;"
    "order_length=11;copy_length=2;adding_steps=2;order_steps=2;copy_steps=2",
    "autoencoder": "batch_size=4;steps=2;filters=4;latent=4,2;upsample=nearest",
    "capacity": "cells=elman;features=2;time=4,8;batch_size=2;members=2;examples=4",
    "catalogue": "inputs=1",
    "classify_sequences": "order=rows;features=4;cells=elman,gru;steps=2;batch_size=4",
    "copy_memory": "features=3;lengths=3;steps=2;evaluate_every=2;cells=elman;"
    "batch_size=4",
    "course": "lessons=edges",
    "draw_digits": "batch_size=4;features=4;components=2;steps=2;samples_per_label=2;"
    "temperatures=1",
    "edge_of_chaos": "features=6;gains=0.5,3;spectra=0.5;steps=40;warmup=4",
    "edges": "batch_size=4;steps=2;filters=1;digits=0",
    "gates": "batch_size=4;features=3;steps=2;order=rows;biases=0",
    "gradient_flow": "order=rows;features=3;cells=elman,gru;steps=2;batch_size=4;"
    "probes=none",
    "hyperparameters": "experiment=mine.toy;grid=steps=2;set=seeds=0",
    "image_classification": "steps=2;batch_size=4;filters=2",
    "information": "features=3;steps=2;batch_size=8;cell=elman;ridge=0.1;order=rows",
    "initialization": "inputs=2;steps=20;cells=elman;inits=keras",
    "instrument_cost": "cells=elman;inputs=2;batch_size=2;time=5;repeats=1;"
    "spectrum_features=2;spectrum_time=2;product_features=2;product_time=2",
    "language_model": "features=4;length=8;batch_size=4;steps=2;cells=gru;"
    "text_file=text.txt;sample_length=3",
    "lstm_vs_gru": "tasks=digits;features=4;steps=1;timing_rounds=1;batch_size=4",
    "memory": "max_steps=512;inputs=1;batch_size=1;cells=elman",
    "mnist1d": "models=linear;steps=2;batch_size=4;pooling=false",
    "music": "parameters=1000;batch_size=2;steps=2;cells=elman;prompt_steps=2;"
    "generated_steps=3;data_dir=music",
    "parallel": "parts=cells;cells=elman;inits=own;gains=1;features=3;steps=2;"
    "batch_size=4;length=8;max_iterations=4",
    "remedies": "features=4;length=6;examples=40;batch_size=8;steps=2;exponents=2;"
    "remedies=clip",
    "spectra": "inputs=2;steps=30;warmup=10;cells=elman;inits=own",
    "study": "batch_size=4;features=3;steps=2;order=rows;cells=elman;gain=1",
    "tag_sequences": "features=4;length=12;steps=2;cell=elman",
    "temporal_order": "features=3;lengths=11;steps=2;evaluate_every=2;cells=elman;"
    "batch_size=4;original_sequences=2",
    "throughput": "cells=elman;members=1;features=4;time=5;rounds=1;seconds=1e-9;"
    "overhead_steps=0",
    "translate_dates": "features=4;embedding=3;steps=2;batch_size=4;examples=60;"
    "held_out=26;beam=1;cell=elman;attention=with",
    "vanishing": "batch_size=4;depth=4;widths=4;trained_width=4;steps=2;inits=he;"
    "trained_inits=he",
}


def files(folder: pathlib.Path) -> set[str]:
    """Names of the files in a results folder, but the data next to each figure."""
    return {
        path.name
        for path in folder.iterdir()
        if not (path.suffix == ".csv" and path.with_suffix(".png").exists())
    }
