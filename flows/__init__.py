"""What runs: one deployable flow a file, and the command line."""

import logging

OWN_LOGGERS = ("graft", "tasks")
for name in OWN_LOGGERS:
    # Prefect keeps what they say with a run, and on a worker, where nobody else asks for it, only from warnings on.
    logging.getLogger(name).setLevel(logging.INFO)
