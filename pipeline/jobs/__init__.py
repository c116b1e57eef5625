"""What is asked: jobs and datasets, read from TOML and checked without torch."""
