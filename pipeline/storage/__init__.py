"""Where objects are stored: a disk of this machine, or a store that fsspec reaches. ``folder`` chooses."""
