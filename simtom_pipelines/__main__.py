"""``python -m simtom_pipelines``: the command line."""

from __future__ import annotations

from simtom_pipelines.cli import main

if __name__ == "__main__":
    main()
