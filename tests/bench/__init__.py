"""The paths that matter, measured against bare references in the same run: `python3 dev.py bench [--json]`."""
