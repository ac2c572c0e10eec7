"""From how many steps is a recurrence faster in parallel over time than in a loop?

The loop is compared with an associative scan for linear cells, and with Newton's method
and the quasi-Newton method for the rest, against the numbers of steps and of units.
"""
