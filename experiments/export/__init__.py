"""How do the parameters of a run get into another library?

    python -m experiments.export RUN lstm.safetensors --cell=lstm --seed=0
    python -m experiments.export RUN lstm.safetensors --to=torch_names --cell=lstm
    python -m experiments.export RUN lstm.npz --to=keras --cell=lstm

RUN is the folder of a run. `safetensors` keeps our names, such as
"recurrent.cell.w_h". `torch_names` writes a safetensors file with the names and
layouts of PyTorch, such as "recurrent.weight_hh_l0" and "dense.weight", for
`load_state_dict` of a module with those parts. `keras` writes the arrays of each part
for `set_weights`, as "recurrent/0", "recurrent/1", ... of a NumPy archive.
"""

from experiments.export.config import Config

__all__ = ["Config", "run"]


def run(config):
    """Write the file; JAX is imported only here, as help does not need it."""
    from experiments.export import experiment

    experiment.run(config)
