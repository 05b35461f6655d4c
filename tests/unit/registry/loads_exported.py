"""Loads exported folders with transformers alone and prints what they answer; knows nothing of graft.

`python -I loads_exported.py FILE`: the file holds {folder: [pipeline, {name: [inputs, settings]}]}.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from transformers import pipeline

OURS = ("tasks", "data_contracts")
# Where graft is installed for development its folder is on the path, isolated or not.
sys.path = [path for path in sys.path if not (Path(path) / OURS[-1]).is_dir()]
FOUND: dict[str, Any] = {}
for folder, (kind, calls) in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")).items():
    ask = pipeline(kind, model=folder, trust_remote_code=True)
    FOUND[folder] = {}
    for name, (inputs, settings) in calls.items():
        try:
            FOUND[folder][name] = ask(inputs, **settings)
        except ValueError as error:
            FOUND[folder][name] = str(error)
FOUND["ours"] = [name for name in OURS if name in sys.modules or importlib.util.find_spec(name)]
print(json.dumps(FOUND))
