# The site with its data inside: signals.db is built here and never written again, so a new version is a new image.
# `make image-steps` runs the steps of this very file in a clean folder and serves what they leave, without a network.

# Bookworm, because its SQLite (3.40) is the one the published file is built with: same data, same bytes.
FROM python:3.11.14-slim-bookworm

WORKDIR /app

# Before the code, so that a change of code or data does not install everything again. Every file is checked against
# its hash. The build back end is in the list too, hence --no-build-isolation below.
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

# .dockerignore keeps out what must not be in an image: the private store, the repository's history, local builds.
COPY . .

# A fault in data/ stops the image here, with a line for each fault. What `datasette inspect` writes spares the server
# from counting every table when it starts.
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
 && flywheel build \
 && datasette inspect signals.db --inspect-file inspected.json

# Nothing is written when it runs: no bytecode, no temporary file. So `--read-only` works.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

# All files belong to root and the server does not: it can read them and change none. A number, because orchestrators
# that refuse root can only check a number.
USER 65534:65534

EXPOSE 8001

# Asks the database, not only the server. The slim image has no curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", \
  "import urllib.request as r; r.urlopen('http://127.0.0.1:8001/signals/build_info/content_hash.json', timeout=4)"]

# `flywheel serve` is replaced by the server (exec), so the signal reaches the server itself and open answers are
# finished. What it is served with (row, time and memory limits, cache) stands with its reasons in
# build/flywheel/serve.py.
STOPSIGNAL SIGTERM
CMD ["flywheel", "serve", "--host", "0.0.0.0", "--port", "8001", "--inspected", "inspected.json"]
