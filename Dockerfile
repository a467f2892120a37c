# The worker, the web and starter.py in one image, with what pyproject.toml names as dependencies and nothing of the tests.
# Python 3.11 is what the tests run on.

FROM python:3.11-slim AS environment
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /build
COPY pyproject.toml requirements.lock ./
# The lock constrains: its versions and hashes hold, and of its packages only those that the project runs with come.
RUN uv venv --quiet --no-python-downloads /opt/openorders \
 && uv pip install --no-cache --compile-bytecode --python /opt/openorders/bin/python \
      --require-hashes -r pyproject.toml -c requirements.lock

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 openorders
COPY --from=environment /opt/openorders /opt/openorders
WORKDIR /openorders
COPY LICENSE pyproject.toml worker.py starter.py ./
COPY domain ./domain
COPY store ./store
COPY adapters ./adapters
COPY activities ./activities
COPY workflows ./workflows
COPY usecases ./usecases
COPY commands ./commands
COPY web ./web
COPY schemas ./schemas
ENV PATH=/opt/openorders/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER openorders
CMD ["python", "worker.py"]
