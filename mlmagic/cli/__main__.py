"""`python -m mlmagic.cli`: the same as the `mlmagic` command."""

import sys

from mlmagic.cli import main

sys.exit(main())
