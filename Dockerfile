# da3-pipeline in a container, with CUDA unless it is told otherwise; docs/OPERATIONS.md has the commands.
#   docker build -t da3-pipeline .
#   docker build -t da3-pipeline:cpu --build-arg TORCH_INDEX=INDEX .     # PyTorch's own index of builds for the CPU
FROM python:3.11-slim-bookworm

# Where torch and torchvision come from beside PyPI, whose builds bring CUDA with them, so that the image needs no CUDA
# of its own, only the host's driver. Builds for the CPU are 4.4 GB smaller.
ARG TORCH_INDEX=
ARG EXTRAS=matchers,people,viewer

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1 \
    HOME=/cache \
    HF_HUB_CACHE=/cache/hub \
    DA3_PIPELINE_WEIGHTS=/cache/weights \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

WORKDIR /opt/da3-pipeline

COPY container/apt-packages.txt container/
RUN apt-get update \
    && xargs apt-get install --yes --no-install-recommends < container/apt-packages.txt \
    && rm -rf /var/lib/apt/lists/*

# Before the code, so that a change of ours costs none of their gigabytes.
COPY constraints.txt ./
RUN pip install --constraint constraints.txt ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} torch torchvision

COPY pyproject.toml README.md LICENSE ./
COPY da3_pipeline da3_pipeline
COPY plugins plugins
COPY workflows workflows
RUN pip install --constraint constraints.txt ".[${EXTRAS}]"

# Whoever runs it may do so as any user: what is fetched goes into /cache, what is made into /data.
RUN install --directory --mode 1777 /cache /data && useradd --uid 1000 --home-dir /cache da3
USER da3
WORKDIR /data
VOLUME ["/cache"]

# tini passes SIGTERM on, and takes in what children leave behind.
ENTRYPOINT ["tini", "--", "da3-pipeline"]
CMD ["--help"]
