"""Set the clock of a whole program apart: Python reads this at its start when this folder is on PYTHONPATH.

Wall time alone: stopwatches and sleeps stay true. (libfaketime was tried; it breaks the absolute sleeps that Python uses.)
"""

import datetime
import os

import time_machine

apart = datetime.timedelta(hours=float(os.environ["DRILL_HOURS_APART"]))
time_machine.travel(datetime.datetime.now(tz=datetime.UTC) + apart, tick=True).start()
