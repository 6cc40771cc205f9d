# Two images from one file, for the legacy builder as well as for BuildKit:
#   docker build --target bridge -t grpc-sse-bridge .
#   docker build --target backend -t grpc-sse-backend .

FROM python:3.11-slim AS base
ENV PATH=/opt/app/bin:/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin \
    PYTHONPATH=/opt/app \
    PYTHONUNBUFFERED=1

# What the bridge depends on, as locked, with what makes it fast. Cached until the lock changes.
FROM base AS bridge-venv
ARG UV_VERSION=0.13.9
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON=/usr/local/bin/python \
    UV_PYTHON_DOWNLOADS=never
COPY pyproject.toml uv.lock /src/
RUN python -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir "uv==$UV_VERSION" \
    && /opt/uv/bin/uv sync --project /src --locked --no-default-groups --no-install-project \
    --extra fast

# What the backend depends on instead: the engine of the local model, and its weights.
FROM bridge-venv AS backend-venv
RUN /opt/uv/bin/uv sync --project /src --locked --no-default-groups --no-install-project \
    --extra local --group weights

# Our own code, apart from the environment: a layer of some kilobytes, with the schema's
# generated code.
FROM bridge-venv AS app
COPY . /src/
RUN /opt/uv/bin/uv pip install --python /opt/venv/bin/python --target /opt/app --no-deps /src \
    && cp /src/scripts/healthcheck.py /opt/app/bin/healthcheck

# The user has no name and needs none.
FROM base AS bridge
COPY --from=bridge-venv /opt/venv /opt/venv
COPY --from=app /opt/app /opt/app
USER 10001:10001
ENV BRIDGE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s CMD ["healthcheck", "bridge"]
CMD ["bridge", "serve"]

FROM base AS backend
# The engine of the local model is linked against libgomp, which the base image lacks.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libgomp1 \
    && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY --from=backend-venv /opt/venv /opt/venv
COPY --from=app /opt/app /opt/app
USER 10001:10001
ENV BACKEND_HOST=0.0.0.0
EXPOSE 50051
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s CMD ["healthcheck", "backend"]
CMD ["backend", "serve"]
