# Captioning, in an image of under 500 MB: offline, and not as root.
#
#   docker build --tag capgen .
#   docker run --rm --network none --user "$(id -u):$(id -g)" --volume "$PWD/photos:/photos" capgen caption -r . --sidecar .txt
#
# TensorFlow and Keras, which only training uses, are left out, and Matplotlib, which only --explain does.

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
RUN python -m venv --without-pip /opt/capgen
# What is installed stands in pyproject.toml only; the packages are a layer that a change of the code leaves as it is.
COPY pyproject.toml ./
RUN python -c "import re, tomllib; \
needed = tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']; \
print(*(line for line in needed if not re.match('tensorflow|keras|matplotlib', line)), sep='\n')" > requirements.txt \
  && pip --python /opt/capgen/bin/python install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip --python /opt/capgen/bin/python install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/capgen /opt/capgen
# Whatever user the container runs as (--user) may write to the home folder; the sidecars then belong to that user.
RUN useradd --create-home --uid 1000 capgen && chmod 1777 /home/capgen
ENV HOME=/home/capgen PATH=/opt/capgen/bin:$PATH
USER 1000
WORKDIR /photos
ENTRYPOINT ["capgen"]
