# The inference server with its weights; no compiler, no pygame. `docker compose up` builds it.
#
#   BASE    any Debian-like image with Python 3.11 or later and its venv module
#   INDEX   an extra package index, for instance the one with torch's CPU builds (a far smaller image)

ARG BASE=python:3.12-slim-bookworm

# What the server needs, as a list that stays the same when the rest of pyproject.toml changes.
FROM ${BASE} AS requirements
COPY pyproject.toml ./
RUN python3 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['server'], sep='\n')" > /requirements.txt

# The large layer. PyPI's torch brings its CUDA libraries along, so the host needs NVIDIA's driver
# and container toolkit and nothing else.
FROM ${BASE} AS dependencies
ARG INDEX=
WORKDIR /build
COPY --from=requirements /requirements.txt ./
COPY constraints.txt ./
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir ${INDEX:+--extra-index-url "${INDEX}"} \
        -c constraints.txt -r requirements.txt

FROM dependencies AS package
COPY . .
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --target /opt/app .

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home toy
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /opt/app /opt/app
COPY NOTICE /opt/app/
WORKDIR /opt/app
# HOME: the only place to write, where the root file system is read-only
ENV PATH=/opt/venv/bin:${PATH} \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 50051
ENTRYPOINT ["python", "-m", "inference_server"]
CMD ["--host", "0.0.0.0", "--port", "50051", "--insecure"]
