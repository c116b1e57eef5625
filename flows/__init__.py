"""When: Prefect flows and the ``restora`` command. Imports pipeline, never torch, ray or models."""
