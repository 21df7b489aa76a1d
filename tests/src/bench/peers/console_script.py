"""Runs a program of this environment by its name, and says when its code is loaded: what comes
before is not measured."""

import sys
from importlib.metadata import entry_points

(script,) = entry_points(group="console_scripts", name=sys.argv[1])
main = script.load()
sys.argv = sys.argv[1:]
print("ready", flush=True)
sys.exit(main())
