# Fermata as an image: one program without libraries, and nothing else.
#
#   docker build -t fermata .
#   docker run -p 8080:8080 -v ./service.yml:/etc/fermata/service.yml:ro fermata
#
# It runs as nobody in particular and starts no program but itself: services are elsewhere (`address:`). packaging/compose.yaml
# shows it before an application.

FROM rust:1.91-bookworm AS build
WORKDIR /src
COPY . .
# The C library is part of the program. glibc's own resolver needs no other file for /etc/hosts and DNS since 2.34.
# Without the line tables of backtraces it is a quarter as large.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
 && RUSTFLAGS="-C target-feature=+crt-static -C strip=debuginfo" cargo build --release --locked --package fermata --target "$target" \
 && install -D "target/$target/release/fermata" /image/usr/bin/fermata \
 && install -d /image/etc/fermata \
 && install -d -o 65532 -g 65532 /image/var/lib/fermata

FROM scratch
# Whom the probe and a certificate authority's client trust.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image/usr /usr
COPY --from=build /image/etc /etc
COPY --from=build --chown=65532:65532 /image/var/lib/fermata /var/lib/fermata
USER 65532:65532
# Where every command looks for the state folder, also one of docker exec.
ENV XDG_STATE_HOME=/var/lib
VOLUME /var/lib/fermata
EXPOSE 8080 8443
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["/usr/bin/fermata", "status"]
ENTRYPOINT ["/usr/bin/fermata"]
CMD ["up", "/etc/fermata/service.yml"]
