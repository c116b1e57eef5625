"""How good a network is while it is trained."""
