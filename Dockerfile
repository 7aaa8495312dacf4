# The gateway in an image that holds nothing else: the binary, the C library it links, the public
# certificate authorities and an unprivileged user. No shell, read-only root.
#
#   docker build -t portcullis .
#   docker run --read-only -p 8443:8443 \
#     -v ./portcullis:/etc/portcullis:ro -v portcullis-state:/var/lib/portcullis portcullis
#
# `/etc/portcullis` is what `portcullis init` writes, `plugins` and `policies` included, which are
# watched there; set `state.dir: /var/lib/portcullis` and listen on 0.0.0.0.

ARG BUILDER=rust:1.95-bookworm
FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
ENV CARGO_TARGET_DIR=/target
RUN cargo xtask build --release
RUN set -eu; \
    mkdir -p /rootfs/etc/portcullis /rootfs/etc/ssl/certs /rootfs/var/lib/portcullis; \
    cp /target/release/portcullis /rootfs/portcullis; \
    ldd /rootfs/portcullis | grep -o '/[^ ]*' | while read -r library; do \
        mkdir -p "/rootfs$(dirname "$library")"; cp -L "$library" "/rootfs$library"; \
    done; \
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then \
        cp -L /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/; \
    fi; \
    echo 'portcullis:x:65532:65532::/var/lib/portcullis:/sbin/nologin' > /rootfs/etc/passwd; \
    echo 'hosts: files dns' > /rootfs/etc/nsswitch.conf; \
    chown -R 65532:65532 /rootfs/var/lib/portcullis

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
ENV PORTCULLIS_CONFIG=/etc/portcullis/portcullis.yaml
# Not the plugin directory: an anonymous volume there would hide the one mounted with its parent.
VOLUME /var/lib/portcullis
EXPOSE 8443 8444
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/portcullis", "health"]
ENTRYPOINT ["/portcullis"]
CMD ["serve"]
