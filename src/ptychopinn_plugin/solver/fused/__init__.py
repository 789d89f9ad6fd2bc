"""Functions of the solver by fused loops, for `Ops` whose arrays are NumPy's."""
