"""The parameters that a run keeps give the numbers that it reports."""

import collections
import dataclasses
import pathlib
from typing import Any

import numpy as np

from experiments import gradient_flow
from experiments.gradient_flow import experiment
from experiments.harness import own_sequences, training
from experiments.harness.fingerprints import fingerprint
from experiments.harness.runs import new_run
from experiments.harness.saved import SavedRun, open_run

BLIND = "drawn without seeing rows, temperature 1"
# Rows of the held-out numbers of a run: entries of such a row, the number in it, and
# the name of its network.
REPORTS: dict[str, list[tuple[dict[str, Any], str, str]]] = {
    "adding": [({"kind": "learned"}, "best_loss", "{cell}, {length}, init={init}")],
    "autoencoder": [({"kind": "mse"}, "test_mse", "latent {latent}, {upsample}")],
    "classify_sequences": [({"kind": "accuracy"}, "test_accuracy", "{cell}, {way}")],
    "draw_digits": [
        ({"digits": "handwritten"}, "read_as_label", "judge"),
        ({"digits": "drawn, temperature 1"}, "test_nll", "gru SequenceGenerator"),
        ({"digits": BLIND}, "test_nll", "gru Blind"),
    ],
    "edges": [({"kind": "accuracy"}, "test_accuracy", "strokes")],
    "gates": [({"kind": "clamp"}, "test_accuracy", "{forget}")],
    "gradient_flow": [({"kind": "accuracy"}, "test_accuracy", "{cell}")],
    "image_classification": [({"kind": "accuracy"}, "test_accuracy", "cnn")],
    "information": [({"when": "trained"}, "test_accuracy", "elman")],
    "language_model": [({"kind": "held_out"}, "nats", "{cell}")],
    "lstm_vs_gru": [({"kind": "accuracy"}, "test_accuracy", "{task}, {model}")],
    "mnist1d": [({"kind": "accuracy"}, "test_accuracy", "{model}")],
    "music": [({"kind": "nll"}, "test_nll", "{cell}, best in validation")],
    "remedies": [
        ({"kind": "remedy"}, "error_with", "clip"),
        ({"kind": "remedy"}, "error_without", "elman"),
    ],
    "tag_sequences": [({"kind": "scores"}, "accuracy", "{way}")],
    "translate_dates": [({"kind": "exact"}, "greedy", "{model}")],
    "vanishing": [({"kind": "accuracy"}, "test_accuracy", "{net}, {init}")],
}


def assert_reproduced(folder: pathlib.Path, name: str) -> SavedRun:
    """Assert that its parameters give the held-out numbers of a run again."""
    saved = open_run(folder)
    seeds = collections.defaultdict(set)
    for entries, number, network in REPORTS[name]:
        for row in saved.metrics:
            if not (entries.items() <= row.items() and number in row):
                continue
            model, params = saved.model(network.format(**row), row["seed"])
            np.testing.assert_allclose(model.score(params), row[number], rtol=1e-5)
            seeds[network.format(**row)].add(row["seed"])
    # Of the last parameters of a chorale's network, only the training loss is reported.
    reported = {*seeds, *(["elman"] if name == "music" else [])}
    assert reported == set(saved.names) == set(saved.networks)
    assert all(
        of_network == set(saved.config["seeds"]) for of_network in seeds.values()
    )
    return saved


def untrained(folder: pathlib.Path, **flags: Any) -> SavedRun:
    """A run of gradient_flow as if after 7 and 9 steps, without training."""
    config = gradient_flow.Config(
        **{
            "cells": ["lstm", "gru"],
            **({} if "data" in flags else {"order": "rows"}),
            "features": 4,
            "seeds": [3, 5],
            **flags,
        }
    )
    settings = {"experiment": "gradient_flow", "config": dataclasses.asdict(config)}
    if known := fingerprint(config):
        settings["data"] = known
    data = own_sequences.load(config)
    with new_run(folder, settings) as results:
        for name, model in experiment.build(config, data).items():
            params = training.start(model, data.example, config.seeds)
            for step in (7, 9):
                results.keep(name, step, config.seeds, params)
        results.log(kind="accuracy", seed=3, test_accuracy=0.5)
    return open_run(folder)
