"""`python -m twinarm` is the `twinarm` command."""

import sys

from .workflows.cli import main

if __name__ == "__main__":
    sys.exit(main())
