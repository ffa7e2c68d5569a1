"""Imported before NumPy: one BLAS thread, as the service has.

Beside a database at work, OpenBLAS' threads wait for one another: with two of them
`recommend_all.py` took from 1.3 to 3 times as long on two busy cores.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
