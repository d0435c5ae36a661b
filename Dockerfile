# The gateway as an image: two stages, nothing but the binary in the second, no root.
#
#   docker build -t ncgate .
#   docker run --rm -v ncgate-data:/data ncgate --help
#
# `serve` listens on loopback only while access control has not landed; give the container the host's network
# (--network host) to reach it.

FROM rust:1.94-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --bin ncgate

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data ncgate
COPY --from=build /src/target/dist/ncgate /usr/local/bin/ncgate
USER ncgate
WORKDIR /data
VOLUME /data
ENTRYPOINT ["ncgate"]
CMD ["serve"]
