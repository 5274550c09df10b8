"""An invented clinic to look at: nobody in it lives, and it says so. Made again from its seed at any time."""

from scheduling.demo.building import DemoRefused, Report, accounts, build

__all__ = ["DemoRefused", "Report", "accounts", "build"]
