"""How the threads of a numerical library shall wait, for processes that are this package's own."""

from __future__ import annotations

# A thread that has nothing to do for a moment spins, by default for milliseconds, so as to wake
# sooner. On a machine that others use too, spinning threads take the cores from those that they
# wait for: a reconstruction became twenty times slower. This many turns still bridge the gap from
# one array operation to the next. Read by GNU's OpenMP when it is loaded; others ignore it.
THREAD_WAITING = {'GOMP_SPINCOUNT': '2000'}
