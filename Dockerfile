# haproxy-mcp as an image: Node, the bundle, and nothing else. `npm run image` builds it with what the machine has.
#
#   docker build --tag haproxy-mcp .
#
# deploy/image/acme.Dockerfile adds acme.sh, for a control plane that issues certificates.
#
# The base images are arguments, for mirrors and for machines without a registry. BUILD_IMAGE needs Node 24.18 or later
# as /usr/local/bin/node, npm and a shell; RUNTIME_IMAGE needs glibc and libstdc++ as new as those of BUILD_IMAGE.
ARG BUILD_IMAGE=docker.io/library/node:24-trixie-slim
ARG RUNTIME_IMAGE=docker.io/library/debian:trixie-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json scripts/image/packages.ts ./
# What the bundle needs, without install scripts: nothing that npm brings runs here. A registry of your own comes as a
# secret, which no layer keeps: --secret id=npmrc,src=$HOME/.npmrc
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc \
    --mount=type=secret,id=npm-ca,target=/run/secrets/npm-ca.pem \
    node packages.ts && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
COPY scripts/build.ts scripts/
COPY src src
COPY deploy/image/healthcheck.js LICENSE /image/usr/lib/haproxy-mcp/
# 99 is also HAProxy's user in its own image, so that both may use one socket and one folder of maps.
RUN node scripts/build.ts /image/usr/lib/haproxy-mcp \
 && mkdir -p /image/usr/local/bin /image/etc /image/var/lib \
 && ln -s ../../lib/haproxy-mcp/haproxy-mcp.js /image/usr/local/bin/haproxy-mcp \
 && cp /usr/local/bin/node /image/usr/local/bin/node \
 && printf '%s\n' root:x:0:0:root:/root:/bin/sh haproxy-mcp:x:99:99::/var/lib/haproxy-mcp:/bin/false \
      nobody:x:65534:65534:nobody:/nonexistent:/bin/false > /image/etc/passwd \
 && printf '%s\n' root:x:0: haproxy-mcp:x:99: nogroup:x:65534: > /image/etc/group \
 && install -d -m 700 -o 99 -g 99 /image/var/lib/haproxy-mcp

FROM ${RUNTIME_IMAGE}
COPY --from=build /image/ /
ENV HAPROXY_DB_FILE=/var/lib/haproxy-mcp/haproxy_mcp.db \
    ACME_HOME=/var/lib/haproxy-mcp/acme.sh \
    HOME=/var/lib/haproxy-mcp
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="haproxy-mcp" \
      org.opencontainers.image.description="A control plane for HAProxy: domains and servers change while traffic flows" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 99:99
WORKDIR /var/lib/haproxy-mcp
VOLUME /var/lib/haproxy-mcp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["/usr/local/bin/node", "/usr/lib/haproxy-mcp/healthcheck.js"]
ENTRYPOINT ["/usr/local/bin/node", "/usr/lib/haproxy-mcp/haproxy-mcp.js"]
CMD ["serve"]
