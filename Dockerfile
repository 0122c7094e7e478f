# The service in a container: `docker compose --profile cpu up --build` (see docker-compose.yml).
#
# TORCH_ARGS are pip arguments for PyTorch alone. On amd64 pip by itself takes the build with
# CUDA, which runs on a CPU too but is several gigabytes larger; hand in the index of the build
# that PyTorch's site names for your machine:
#   docker build --build-arg TORCH_ARGS="--index-url <index>" -t motet .
# EXTRAS names optional parts; see pyproject.toml. Each has a file in requirements/.

ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/motet
ENV PATH=/opt/motet/bin:$PATH
WORKDIR /app

# Whatever is downloaded must have a hash of requirements/, except PyTorch from another index.
# The largest layers change the least: PyTorch, then the other dependencies, then the code.
COPY constraints.txt ./
COPY requirements ./requirements
ARG TORCH_ARGS=""
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -n "$TORCH_ARGS" ]; then \
      pip install --constraint constraints.txt $TORCH_ARGS torch setuptools; \
    else \
      pip install --require-hashes --no-deps --requirement requirements/torch.txt; \
    fi

ARG EXTRAS="fast,images,voice,gpu,sentences,llamacpp,whisper"
RUN --mount=type=cache,target=/root/.cache/pip \
    for each in service $(echo "$EXTRAS" | tr , ' '); do \
      set -- "$@" --requirement "requirements/$each.txt"; \
    done \
    && pip install --require-hashes --no-deps --no-build-isolation "$@"

COPY . ./
RUN pip install --no-deps --no-build-isolation --editable .


FROM python:${PYTHON}-slim
RUN useradd --uid 10001 --user-group --create-home motet \
    && install --directory --owner motet --group motet /data
COPY --from=build /opt/motet /opt/motet
COPY --from=build /app /app
WORKDIR /app
USER motet

# Inside a container the port is reached through the address of the container, and which machines
# may reach it is decided where the port is published. Web pages are kept out here as elsewhere.
ENV PATH=/opt/motet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MOTET_HOME=/data \
    MOTET_HOST=0.0.0.0 \
    MOTET_PORT=8000 \
    MOTET_TRUST_NETWORK=true
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f'http://127.0.0.1:{os.environ[\"MOTET_PORT\"]}/ready', timeout=4)"]

CMD ["motet", "serve"]
