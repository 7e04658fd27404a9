# syntax=docker/dockerfile:1
# The service of simtom-pipelines. Build: docker build -t simtom .   Run: docker run -p 8000:8000 simtom

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/simtom
# What is installed changes less often than the sources: its layer stays.
COPY requirements.lock ./
RUN /opt/simtom/bin/pip install --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY generators generators
COPY simtom_pipelines simtom_pipelines
RUN /opt/simtom/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim AS run
RUN groupadd --gid 10001 simtom \
    && useradd --uid 10001 --gid simtom --no-create-home --home-dir /data --shell /usr/sbin/nologin simtom \
    && install --directory --owner simtom --group simtom /data
COPY --from=build /opt/simtom /opt/simtom
ENV PATH=/opt/simtom/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SIMTOM_HOST=0.0.0.0 \
    SIMTOM_PORT=8000 \
    SIMTOM_LAKE=/data/lake \
    SIMTOM_LOG_FORMAT=json
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['SIMTOM_PORT']}/health\", timeout=4)"]
ENTRYPOINT ["simtom"]
CMD ["serve"]
