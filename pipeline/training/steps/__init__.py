"""The steps of training, in plain torch: no files, no clocks, no engine."""
