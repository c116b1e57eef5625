"""Work: jobs, storage, formats, metrics, the worker and its engines. Imports models, never prefect."""
