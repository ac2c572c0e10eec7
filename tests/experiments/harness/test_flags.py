"""Every flag of every experiment: bounded, and said to be."""

import dataclasses
import importlib
import typing

import fuzz
import pytest

from experiments.harness import cli

NUMBERS = {int: int, float: float, list[int]: int, list[float]: float}
BEYOND = 10**30


def configs():
    return [
        (name, importlib.import_module(f"experiments.{name}").Config)
        for name in fuzz.EXPERIMENTS
    ]


def numeric():
    return [
        (name, field)
        for name, config in configs()
        for field in dataclasses.fields(config)
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
        known = {one.name for one in dataclasses.fields(module.Config)}
        words = [
            f"--{one}={value}"
            for one, value in tiny.items()
            if one in known - {field.name} and value is not None
        ]
        if name == "vanishing":
            words = []
        words.append(f"--{field.name}={BEYOND}")
    code, _, err = launched(module, *words, "--results=out")
    assert code == 2 and err.count("\n") == 1 and f"--{field.name}" in err, err
    assert not list(tmp_path.glob("out*"))


def test_bounds_are_said_in_the_help(launched):
    for name, config in configs():
        module = importlib.import_module(f"experiments.{name}")
        _, out, _ = launched(module, "--help")
        said = [
            line
            for line in out.splitlines()
            if line.startswith("      ") and " At most " in line
        ]
        bounded = [
            field
            for field in dataclasses.fields(config)
            if field.metadata["upper_bound"] is not None
        ]
        assert len(said) == len(bounded), name


def test_no_default_is_near_its_bound():
    for name, config in configs():
        for field in dataclasses.fields(config):
            high = field.metadata["upper_bound"]
            if high in (None, 1.0):  # a probability
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
