"""Use one BLAS thread, as the service does; import it before NumPy.

Beside a busy database OpenBLAS' threads wait for one another: with two threads on two
busy cores `recommend_all.py` took 1.3 to 3 times as long.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
