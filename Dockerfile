# The inference server with its weights; no compiler, no pygame. Two images from one file:
#
#   docker build --target cpu-server .    without PyTorch: OpenVINO runs the network
#   docker build .                        the GPU server, with PyTorch and its CUDA libraries
#
# (The GPU stages stand last: builders without BuildKit make every stage above their target.)
#
#   BASE    any Debian-like image with Python 3.11 or later and its venv module
#   INDEX   an extra package index

ARG BASE=python:3.12-slim-bookworm

# What each server needs, as lists that stay the same when the rest of pyproject.toml changes.
FROM ${BASE} AS requirements
COPY pyproject.toml ./
RUN python3 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; server = project['dependencies'] + extras['server']; \
gpu = [line for line in extras['gpu'] if not line.startswith(project['name'])]; \
open('/server.txt', 'w').write('\\n'.join(server)); open('/gpu.txt', 'w').write('\\n'.join(gpu))"

FROM ${BASE} AS cpu-dependencies
ARG INDEX=
WORKDIR /build
COPY --from=requirements /server.txt ./
COPY constraints.txt ./
# pip is only needed here, so it stays outside the environment.
RUN python3 -m venv /opt/installer && python3 -m venv --without-pip /opt/venv \
    && /opt/installer/bin/pip --python /opt/venv/bin/python install --no-cache-dir \
        ${INDEX:+--extra-index-url "${INDEX}"} -c constraints.txt -r server.txt

FROM cpu-dependencies AS package
COPY . .
RUN /opt/installer/bin/pip install --no-cache-dir --no-deps --target /opt/app . \
    && rm -rf /opt/app/viewer_client /opt/app/training /opt/app/bin

FROM ${BASE} AS base
RUN useradd --uid 10001 --no-create-home toy
COPY NOTICE /opt/app/
WORKDIR /opt/app
# HOME: the only place to write, where the root file system is read-only
ENV PATH=/opt/venv/bin:${PATH} \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 50051 8080
ENTRYPOINT ["python", "-m", "inference_server"]
CMD ["--host", "0.0.0.0", "--port", "50051", "--insecure"]

FROM base AS cpu-server
COPY --from=cpu-dependencies /opt/venv /opt/venv
COPY --from=package /opt/app /opt/app

# The large layer. PyPI's torch brings its CUDA libraries along, so the host needs NVIDIA's driver
# and container toolkit and nothing else.
FROM cpu-dependencies AS gpu-dependencies
ARG INDEX=
COPY --from=requirements /gpu.txt ./
RUN /opt/installer/bin/pip --python /opt/venv/bin/python install --no-cache-dir \
        ${INDEX:+--extra-index-url "${INDEX}"} -c constraints.txt -r gpu.txt

FROM base AS server
COPY --from=gpu-dependencies /opt/venv /opt/venv
COPY --from=package /opt/app /opt/app
