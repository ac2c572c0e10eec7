"""Cells of a user's own: those that no experiment can run, and odd ones that all can.

The text of a module that tests write into their folder, as a user has one.
"""

SOURCE = """
import time
from typing import NamedTuple
import jax, jax.numpy as jnp
import nets

def _step(w, state, x):
    state = 0.9 * state + x @ w
    return state, jnp.tanh(state)

def _zeros(w, x):
    return jnp.zeros((*x.shape[:-1], w.shape[-1]))

leaky = nets.Cell(
    init=lambda key, inputs, features: 0.1 * jax.random.normal(key, (inputs, features)),
    initial_state=_zeros,
    step=_step,
)
with_step = lambda step: leaky._replace(step=step)

# Steps that return something else than a state and an output.
three = with_step(lambda w, s, x: (*_step(w, s, x), s))
one = with_step(lambda w, s, x: (_step(w, s, x)[0],))
state_only = with_step(lambda w, s, x: _step(w, s, x)[0])
nothing = with_step(lambda w, s, x: None)
swapped = with_step(lambda w, s, x: {"state": s, "output": s})
text = with_step(lambda w, s, x: "state")
generator = with_step(lambda w, s, x: (part for part in _step(w, s, x)))

# States.
no_state = leaky._replace(
    initial_state=lambda w, x: (), step=lambda w, s, x: ((), jnp.tanh(x @ w)))
none_state = leaky._replace(
    initial_state=lambda w, x: None, step=lambda w, s, x: (None, jnp.tanh(x @ w)))
integer_state = leaky._replace(
    initial_state=lambda w, x: jnp.zeros(x.shape[:-1], int),
    step=lambda w, s, x: (s + 1, jnp.tanh(x @ w)))
boolean_state = leaky._replace(
    initial_state=lambda w, x: jnp.zeros(x.shape[:-1], bool),
    step=lambda w, s, x: (~s, jnp.tanh(x @ w)))
empty_state = leaky._replace(
    initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], 0)),
    step=lambda w, s, x: (s, jnp.tanh(x @ w)))
number_state = leaky._replace(
    initial_state=lambda w, x: 0.0, step=lambda w, s, x: (s, jnp.tanh(x @ w)))
text_state = leaky._replace(initial_state=lambda w, x: "zeros")
batch_of_two = leaky._replace(initial_state=lambda w, x: jnp.zeros((2, w.shape[-1])))
batch_of_three = leaky._replace(initial_state=lambda w, x: jnp.zeros((3, w.shape[-1])))
even_batches = leaky._replace(
    initial_state=lambda w, x: jnp.zeros((len(x) // 2 * 2, w.shape[-1])))
no_batch = leaky._replace(initial_state=lambda w, x: jnp.zeros(w.shape[-1:]))
batch_last = leaky._replace(
    initial_state=lambda w, x: jnp.zeros((w.shape[-1] + 1, len(x))),
    step=lambda w, s, x: (s, jnp.tanh(x @ w)))
grows = with_step(lambda w, s, x: (jnp.concatenate([s, s], -1), s))
other_type = with_step(lambda w, s, x: (s.astype(jnp.float16), s))
other_structure = with_step(lambda w, s, x: ((s, s), s))

# Outputs.
pair_output = with_step(lambda w, s, x: (_step(w, s, x)[0], (s, s)))
integer_output = with_step(lambda w, s, x: (_step(w, s, x)[0], (s > 0).astype(int)))
no_output = with_step(lambda w, s, x: (_step(w, s, x)[0], None))
scalar_output = with_step(lambda w, s, x: (_step(w, s, x)[0], s.sum()))
flat_output = with_step(lambda w, s, x: (_step(w, s, x)[0], s.sum(-1)))
image_output = with_step(lambda w, s, x: (_step(w, s, x)[0], s[..., None]))
empty_output = with_step(lambda w, s, x: (_step(w, s, x)[0], s[..., :0]))
summed_output = with_step(lambda w, s, x: (_step(w, s, x)[0], s.sum(0, keepdims=True)))

# Numbers.
nan_step = with_step(lambda w, s, x: (_step(w, s, x)[0] * jnp.nan, s))
nan_later = with_step(lambda w, s, x: (jnp.where(s == 0, x @ w, jnp.log(-1.0)), s))
nan_init = leaky._replace(init=lambda k, i, f: jnp.full((i, f), jnp.nan))
infinite = with_step(lambda w, s, x: (_step(w, s, x)[0] / 0.0, s))
nan_gradient = with_step(
    lambda w, s, x: (lambda h: (h, jnp.sqrt(h**2 * 0)))(s + x @ w))
explosive = with_step(lambda w, s, x: (jnp.exp(100 + s + x @ w), s))

# Exceptions, and what no program can trace.
class Odd(BaseException):
    pass
class Silent(Exception):
    def __str__(self):
        raise RuntimeError
def _raises(error):
    def raises(*args):
        raise error
    return raises
generator_exit = with_step(_raises(GeneratorExit()))
base_exception = with_step(_raises(Odd("odd")))
stop_iteration = with_step(_raises(StopIteration(1)))
system_exit = with_step(_raises(SystemExit(0)))
memory_error = with_step(_raises(MemoryError()))
recursion = with_step(_raises(RecursionError("deep")))
silent = with_step(_raises(Silent()))
many_lines = with_step(_raises(ValueError("one\\ntwo\\n" * 500)))
init_fails = leaky._replace(init=_raises(KeyError("w")))
start_fails = leaky._replace(initial_state=_raises(Odd()))
branches = with_step(lambda w, s, x: (s, s) if s.sum() > 0 else (s, x @ w))
no_callable = leaky._replace(step=None)
too_few = with_step(lambda w, s: (s, s))
integer_parameters = leaky._replace(init=lambda k, i, f: jnp.ones((i, f), int))
function_parameters = leaky._replace(init=lambda k, i, f: jnp.tanh)
transposed = leaky._replace(init=lambda k, i, f: jnp.ones((f, i + 1)))
_kept = []
def _keep(w, s, x):
    _kept.append(x)
    return _kept[0] @ w, s
leaks = with_step(_keep)

# Objects that are no cells.
layer = nets.stack(nets.elman(), nets.gru())
both = nets.bidirectional(nets.gru())
functions = tuple(leaky)
number = 3
none = None
class Class:
    pass
class NeedsArguments:
    def __init__(self, size):
        pass
needs_arguments = lambda features: leaky
make_exits = _raises(SystemExit(3))
make_generator_exit = _raises(GeneratorExit())
make_fails = _raises(Odd("boom"))
make_layer = lambda: layer
images = nets.conv_lstm()

# Odd, and right.
jitted = with_step(jax.jit(_step))
checkpointed = with_step(jax.checkpoint(_step))
made = lambda: leaky
class Made(nets.Cell):
    pass
def _print(w, s, x):
    print("tracing")
    return _step(w, s, x)
prints = with_step(_print)
constant = with_step(lambda w, s, x: (0.0 * s + 1.0, jnp.ones_like(s)))
constant_output = with_step(lambda w, s, x: (_step(w, s, x)[0], jnp.ones_like(s)))
no_parameters = nets.Cell(
    init=lambda k, i, f: (),
    initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], x.shape[-1])),
    step=lambda w, s, x: (0.5 * s + x, jnp.tanh(s + x)))
own_width = leaky._replace(
    init=lambda key, inputs, features: 0.1 * jax.random.normal(key, (inputs, 5)))
wide_output = with_step(
    lambda w, s, x: (lambda h: (h, jnp.concatenate([h, h, h], -1)))(_step(w, s, x)[0]))
one_output = with_step(lambda w, s, x: (lambda h: (h, h[..., :1]))(_step(w, s, x)[0]))
counts_steps = leaky._replace(
    initial_state=lambda w, x: (jnp.zeros(x.shape[:-1], int), _zeros(w, x)),
    step=lambda w, s, x: (lambda h: ((s[0] + 1, h), jnp.tanh(h)))(0.9 * s[1] + x @ w))
class Nested(NamedTuple):
    a: dict
    b: list
nested_state = leaky._replace(
    initial_state=lambda w, x: Nested({"h": _zeros(w, x)}, [_zeros(w, x), None]),
    step=lambda w, s, x: (lambda h: (Nested({"h": h}, [s.a["h"], None]), h))(
        0.9 * s.a["h"] + 0.1 * s.b[0] + x @ w))
matrix_state = leaky._replace(
    initial_state=lambda w, x: jnp.zeros((*x.shape[:-1], w.shape[-1], 2)),
    step=lambda w, s, x: (lambda h: (h, h.sum(-1)))(0.9 * s + (x @ w)[..., None]))
as_list = with_step(lambda w, s, x: list(_step(w, s, x)))
weak_start = leaky._replace(initial_state=lambda w, x: 0.0 * x[..., :1] @ w[:1])
dictionary = nets.Cell(
    init=lambda k, i, f: {"w": 0.1 * jax.random.normal(k, (i, f)), "none": None},
    initial_state=lambda p, x: _zeros(p["w"], x),
    step=lambda p, s, x: _step(p["w"], s, x))
stateless_gradient = with_step(lambda w, s, x: (x @ w, jnp.tanh(x @ w)))
"""

_WRONG, _RIGHT = SOURCE.split("# Steps that")[1].split("# Odd, and right.")


def _names(text: str) -> list[str]:
    """Names that are assigned, or defined as classes, at the left of a line."""
    starts = (line.split()[0] for line in text.splitlines() if " = " in line)
    return [name for name in starts if name.isidentifier() and name[0] != "_"]


BROKEN = [*_names(_WRONG), "Class", "NeedsArguments"]
RIGHT = _names(_RIGHT)
TAKE_CELLS = {
    "adding": "cells",
    "atlas": "cells",
    "capacity": "cells",
    "classify_sequences": "cells",
    "copy_memory": "cells",
    "draw_digits": "cell",
    "gradient_flow": "cells",
    "information": "cell",
    "initialization": "cells",
    "instrument_cost": "cells",
    "language_model": "cells",
    "memory": "cells",
    "music": "cells",
    "parallel": "cells",
    "spectra": "cells",
    "study": "cells",
    "tag_sequences": "cell",
    "temporal_order": "cells",
    "translate_dates": "cell",
}
MODULES = {
    "syntax": "def cell(:\n",
    "name": "cell = undefined\n",
    "attribute": "import os\ncell = os.nothing\n",
    "zero": "cell = 1 / 0\n",
    "missing": "import no_such_module\n",
    "exits": "raise SystemExit(0)\n",
    "generator": "raise GeneratorExit\n",
    "base": "class Odd(BaseException): pass\nraise Odd('odd')\n",
    "empty": "",
    "tabs": "if True:\n\tx = 1\n        y = 2\n",
    "bytes": "cell = '\ud800'\n",
    "imports_itself": "from broken_imports_itself import cell\n",
}
