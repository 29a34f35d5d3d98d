# The image with acme.sh, for a control plane that issues certificates: `npm run image -- --acme`, or by hand
#   docker build --tag haproxy-mcp:acme --build-arg IMAGE=haproxy-mcp - < deploy/image/acme.Dockerfile
# Certificates are issued where the control plane runs, so only its image needs this, never HAProxy's; with
# ACME_WHERE=remote no image does, but HAProxy's host. ACME_HOME (accounts, DNS hooks) lies in the volume; keep it.
ARG IMAGE=localhost/haproxy-mcp:latest
FROM ${IMAGE}
USER 0:0
RUN apt-get update \
 && apt-get install --yes --no-install-recommends acme.sh ca-certificates curl openssl \
 && rm -rf /var/lib/apt/lists/*
USER 99:99
