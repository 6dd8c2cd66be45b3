"""Independent references: every mechanism once more, as slow float64 loops over numpy arrays, written from its paper.

Each module has `reference(config, parameters, x, mask, starts, memory)`, which gives outputs (B, T, V) from the
parameters by name, and may have `initial(config, parameters)`, with the initial values of some parameters.
They import nothing of the package: a mistake there cannot be repeated here.
"""
