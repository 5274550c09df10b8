"""How gunicorn's workers stop: whoever was let in is answered first."""

from __future__ import annotations

import errno
import time

from gunicorn.workers.sync import SyncWorker

EMPTY = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})


class DrainingWorker(SyncWorker):
    """A sync worker that, told to stop, answers those who already wait in the listener's queue.

    The kernel takes connections on our behalf and a client sends its request at once; a plain sync worker leaves them
    there, and they are reset when the listener closes.
    """

    def run_for_one(self, timeout: float) -> None:
        """Serve until told to stop, then until nobody waits or most of the grace is over."""
        super().run_for_one(timeout)
        if self.alive:  # the parent is gone, not we
            return
        ends = time.monotonic() + self.cfg.graceful_timeout * 0.8
        while time.monotonic() < ends:
            self.notify()
            try:
                self.accept(self.sockets[0])
            except OSError as error:
                if error.errno in EMPTY:
                    return
                if error.errno != errno.ECONNABORTED:
                    raise
