"""The campaigns and the toy trial can be imported."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "workflows" / "parts"):
    sys.path.insert(0, str(folder))
