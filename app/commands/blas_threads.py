"""Imported before NumPy: as many BLAS threads as the container really has processors.

OpenBLAS counts those of the host, and threads without a processor wait for one another.
"""

import os

from app.process import available_cpus

os.environ.setdefault("OPENBLAS_NUM_THREADS", str(available_cpus()))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
