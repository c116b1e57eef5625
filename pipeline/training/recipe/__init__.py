"""What a training is asked to do: sections of TOML, checked, then built."""
