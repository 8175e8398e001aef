"""``python -I -S -E .../supervisor/__main__.py WORKLOAD_DIR``: kept tiny, as it is never cached as bytecode."""

import importlib
import os.path
import sys

# At the end: no neighbour of ours may hide a module of the standard library.
sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
importlib.import_module("supervisor.program").main(sys.argv[1])
