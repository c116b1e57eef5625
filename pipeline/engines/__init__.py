"""How units reach workers: a loop in this process, or a pool of Ray actors."""
