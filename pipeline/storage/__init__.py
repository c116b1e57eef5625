"""Where objects lie: a disk of this machine, or a store that fsspec reaches. ``folder`` chooses."""
