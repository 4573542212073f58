"""``python -m audioseq``: the command `audioseq`."""

import sys

from audioseq.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
