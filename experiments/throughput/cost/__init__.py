"""How do time and memory of a train step grow with the work?

The steps of a sequence, the units, the batch and the devices are varied one at a time.
A loop over time is compared with `jax.lax.associative_scan` for a minGRU, and a step
with rematerialization with a plain one.
"""
