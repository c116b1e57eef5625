"""The ``restora`` command."""
