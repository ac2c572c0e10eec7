"""Every flag of every experiment is bounded, and its help names the bounds."""

import dataclasses
import importlib
import re
import shlex
import typing

import fuzz
import pytest

import nets
import train
from experiments.harness import cli

NUMBERS = {int: int, float: float, list[int]: int, list[float]: float}
BEYOND = 10**30


def flags(config):
    return [f for f in dataclasses.fields(config) if "argument" not in f.metadata]


def configs():
    return [
        (name, importlib.import_module(f"experiments.{name}").Config)
        for name in fuzz.EXPERIMENTS
    ]


def numeric():
    return [
        (name, field)
        for name, config in configs()
        for field in flags(config)
        if typing.get_type_hints(config)[field.name] in NUMBERS
    ]


def test_all_numbers_are_found():
    assert len(numeric()) > 100 and len(configs()) > 20


@pytest.mark.parametrize(
    ("name", "field"), numeric(), ids=lambda value: getattr(value, "name", value)
)
def test_a_number_that_nothing_can_hold_is_refused_at_once(
    name, field, launched, tmp_path
):
    module = importlib.import_module(f"experiments.{name}")
    if field.metadata["upper_bound"] is not None:
        words = [f"--{field.name}={BEYOND}9"]
    else:  # it is checked against the data, or another flag
        tiny = {**fuzz.TINY, **fuzz.OWN.get(name, {})}
        known = {option.name for option in dataclasses.fields(module.Config)}
        words = [
            f"--{option}={value}"
            for option, value in tiny.items()
            if option in known - {field.name} and value is not None
        ]
        if name == "vanishing":
            words = []
        words.append(f"--{field.name}={BEYOND}")
    code, _, err = launched(module, *words, "--results=out")
    assert code == 2 and err.count("\n") == 1 and f"--{field.name}" in err, err
    assert not list(tmp_path.glob("out*"))


def test_bounds_are_in_the_help(launched):
    for name, config in configs():
        module = importlib.import_module(f"experiments.{name}")
        _, out, _ = launched(module, "--help")
        flags_help = " ".join(out[out.index("\n  --") :].split())
        # Commands that do not train have no flags of devices.
        trains = any(field.name == "learning_rate" for field in flags(config))
        bounded = [
            field
            for some in (config, *cli.COMMON)
            for field in flags(some)
            if field.metadata["upper_bound"] is not None
            and (trains or field.metadata["group"] != "devices")
        ]
        assert flags_help.count(" At most ") == len(bounded), name


@pytest.mark.parametrize("name", fuzz.EXPERIMENTS)
def test_help_begins_with_a_question_and_two_commands(name):
    module = importlib.import_module(f"experiments.{name}")
    text = (module.__doc__ or "").replace("\\\n", " ")
    commands = re.findall(rf"^    python -m experiments\.{name} (.*)$", text, re.M)
    assert len(commands) >= 2 and re.match(r"[A-Z].*\?", text)
    parsed = [cli.parse(module.Config, shlex.split(command)) for command in commands]
    assert all(config is not None for config, _ in parsed)
    assert len({repr(config) for config, _ in parsed}) == len(commands)


def test_choices_are_the_names_in_the_code():
    """Help is printed without importing JAX, so configs repeat these names."""
    from experiments.classify_sequences import config, figures
    from experiments.edges.experiment import POOLS
    from experiments.harness import common_flags, data_flags, probes
    from experiments.hyperparameters.experiment import OBJECTIVES
    from experiments.vanishing.networks import INITIALIZERS
    from nets import initializers
    from nets.initializers import kernels
    from nets.models import autoencoder, images
    from train.data import chorales, csv_files, dataset, digits, loading, photographs

    assert tuple(train.OPTIMIZERS) == common_flags.OPTIMIZERS
    assert tuple(probes.PROBES) == common_flags.PROBES
    assert digits.ORDERS == common_flags.ORDERS
    assert sorted(nets.CELLS) == common_flags.CELLS
    assert {*initializers.INITIALIZERS, "chrono"} == {*common_flags.INITIALIZERS}
    choices = {
        (name, field.name): field.metadata["choices"]
        for name, made in configs()
        for field in flags(made)
    }
    shown = {
        (name, field.name): field.metadata["help"]
        for name, made in configs()
        for field in flags(made)
    }
    assert tuple(figures.DATA) == config.DATA
    assert data_flags.TASKS == dataset.TASKS and data_flags.LABEL == csv_files.LABEL
    assert (data_flags.SEQUENCES, data_flags.IMAGES) == loading.KINDS
    assert choices["edges", "pool"] == tuple(POOLS)
    assert choices["edges", "photograph"] == photographs.PHOTOGRAPHS
    assert choices["hyperparameters", "objective"] == tuple(OBJECTIVES)
    image = "image_classification"
    assert choices[image, "init"] == ("auto", *kernels.KERNELS)
    assert choices[image, "pool"] == ("auto", *images.POOLS, "none")
    assert ", ".join(INITIALIZERS) in shown["vanishing", "inits"]
    assert ", ".join(autoencoder.UPSAMPLING) in shown["autoencoder", "upsample"]
    assert chorales.FILE in shown["music", "data_dir"]


def test_no_default_is_near_its_bound():
    for name, config in configs():
        for field in flags(config):
            high = field.metadata["upper_bound"]
            if high is None or high <= 1:  # a probability
                continue
            usual = getattr(config(), field.name)
            most = max(usual) if isinstance(usual, list) else usual
            assert most * 8 <= high, (name, field.name)


def test_the_bound_itself_is_taken(launched):
    toy = dataclasses.make_dataclass(
        "Toy",
        [
            ("units", int, cli.flag(1, "Units.", upper_bound=10)),
            ("gains", list[float], cli.flag([1.0], "Gains.", upper_bound=2.0)),
        ],
        frozen=True,
    )
    config, _ = cli.parse(toy, ["--units=10", "--gains=-2,2"])
    assert config == toy(10, [-2.0, 2.0])
    for word, sentence in (
        ("--units=11", "flag --units: expected at most 10; got 11"),
        ("--gains=1,2.5", "flag --gains: expected at most 2; got 2.5"),
        ("--gains=-2.5", "flag --gains: expected at least -2; got -2.5"),
    ):
        with pytest.raises(cli.UsageError) as error:
            cli.parse(toy, [word])
        assert str(error.value) == sentence
