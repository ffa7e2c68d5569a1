"""Limit BLAS threads to the container's processors; import it before NumPy.

OpenBLAS counts the processors of the host, and surplus threads wait for one another.
"""

import os

from app.process import available_cpus

os.environ.setdefault("OPENBLAS_NUM_THREADS", str(available_cpus()))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
