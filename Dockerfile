# The whole way in one container: docker build -t crnn-book . && docker run --rm -v "$PWD/_build:/book/_build" crnn-book
FROM python:3.13-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /book
COPY . .
RUN make env
CMD ["bash", "-c", "make test && make book"]
