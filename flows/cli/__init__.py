"""The ``restora`` command.

Commands import what they need when they run, so that start-up, and every ``--help``, stays short.
"""
