"""Tensors: operators, networks, solvers and the restorers built from them. Imports nothing of ours."""
