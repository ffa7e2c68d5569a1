# The service with its model. compose.yaml starts it with a Postgres; docs/docker.md.
FROM python:3.11-slim-bookworm AS build

WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements-serve.lock ./
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-serve.lock
COPY LICENSE README.md pyproject.toml requirements*.txt ./
COPY app app
COPY migrations migrations
COPY samples samples
# The model is verified by its hashes; a build without a sound one fails. Layers round
# the times of files, which makes half of the compiled modules void: 12 MB and a second
# more for each start. These are not compared with times.
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && MODEL_DIR=/opt/model /opt/venv/bin/job-recommender model \
    && /opt/venv/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/venv/lib

FROM python:3.11-slim-bookworm

COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/model /opt/model
RUN useradd --no-log-init --uid 10001 recommender \
    && install -d -o recommender /var/cache/recommender

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    MODEL_DIR=/opt/model \
    CACHE_DIR=/var/cache/recommender \
    SKILL_CACHE_DIR=/var/cache/recommender/skills \
    RANK_BY=hybrid

WORKDIR /var/cache/recommender
USER 10001
EXPOSE 8000
# Each request ends by its deadline; the process then exits within 20 s.
STOPSIGNAL SIGTERM
# It asks nothing of the database: a restart would not repair that.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["job-recommender", "serve"]
