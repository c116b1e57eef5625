# Restora with its commands, its flows, and Ray: the image of every machine of a cluster.
#
#   docker build -t restora .                              for CPUs
#   docker build -t restora:cuda --build-arg DEVICE=cuda . for NVIDIA GPUs
#
# Versions are those of constraints.txt, which the tests ran on.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ARG DEVICE=cpu
ARG EXTRAS=s3,gcs,geo,dicom,nifti,perceptual,train,hf
WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/restora
COPY constraints.txt ./
# The wheel for CPUs is in an index of its own; the one with CUDA is the default on Linux.
RUN if [ "$DEVICE" = cpu ]; then index="--index-url https://download.pytorch.org/whl/cpu"; fi \
    && /opt/restora/bin/pip install $index "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY models models
COPY pipeline pipeline
COPY flows flows
COPY restora restora
RUN /opt/restora/bin/pip install --constraint constraints.txt ".[${EXTRAS}]" \
    "ray[default]==$(sed -n 's/^ray==//p' constraints.txt)"

FROM python:${PYTHON}-slim-bookworm
# wget: KubeRay asks Ray's health by it.
RUN apt-get update && apt-get install --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 restora && install -d -o restora /srv/restora
COPY --from=build /opt/restora /opt/restora
COPY --chown=restora conf /srv/restora/conf
COPY --chown=restora flows /srv/restora/flows
COPY --chown=restora prefect.yaml /srv/restora/
ENV PATH=/opt/restora/bin:$PATH PYTHONUNBUFFERED=1 DO_NOT_TRACK=1 RAY_USAGE_STATS_ENABLED=0
USER restora
WORKDIR /srv/restora
CMD ["restora", "--help"]
