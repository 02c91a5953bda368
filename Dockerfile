# Leadpush Relay as an image: production packages and the built program, nothing to build with.
#
#   docker build -t leadpush-relay .
#   docker run -p 2525:2525 -v relay-data:/data leadpush-relay                                  captures mail, sends nothing on
#   docker run ... -v ./relay.yaml:/etc/leadpush-relay/relay.yaml:ro leadpush-relay             your own config
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges ... leadpush-relay   works as it is
#   docker run ... leadpush-relay check                                                         any other command
#   docker exec NAME leadpush-relay tail -f                                                     a command beside the running relay
#
# Debian slim rather than Alpine: the C library is the one that the tests run on; musl differs in just what a mail relay
# leans on, name lookup and memory under threads.

FROM node:24-bookworm-slim AS packages
WORKDIR /relay
COPY package.json package-lock.json .npmrc ./
COPY src/sdk/package.json ./src/sdk/
COPY src/dashboard/package.json ./src/dashboard/
# No package that ships needs an install script: better-sqlite3 brings its binary along.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim AS build
WORKDIR /relay
COPY package.json package-lock.json .npmrc tsconfig.json ./
COPY src/sdk/package.json ./src/sdk/
COPY src/dashboard/package.json ./src/dashboard/
RUN npm ci --ignore-scripts
COPY src ./src
RUN node node_modules/typescript/bin/tsc -p src/tsconfig.build.json \
 && node node_modules/vite/bin/vite.js build src/dashboard --outDir ../../dist/dashboard/dist

FROM node:24-bookworm-slim
WORKDIR /relay
COPY --from=packages /relay/node_modules ./node_modules
COPY --from=build /relay/dist ./dist
COPY package.json LICENSE ./
COPY src/bin.mjs ./src/bin.mjs
COPY config/docker.yaml /etc/leadpush-relay/relay.yaml
RUN mkdir /data && chown 1000:1000 /data && ln -s /relay/src/bin.mjs /usr/local/bin/leadpush-relay

# Everything that is written goes to /data, SQLite's temporary files too: the root file system may be read-only.
ENV NODE_ENV=production \
    LEADPUSH_CONFIG=/etc/leadpush-relay/relay.yaml \
    SQLITE_TMPDIR=/data \
    HEALTH_URL=http://127.0.0.1:8025/healthz
VOLUME /data
EXPOSE 2525 8025
# By number, so that a platform which refuses root can tell.
USER 1000:1000

# HEALTH_URL: for a config with another http.port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL, { signal: AbortSignal.timeout(4000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# Node is process 1 and gets SIGTERM itself. It drains and ends with 0; give it time (docker stop --time 60). It starts no
# processes of its own, so there is nothing for an init to reap.
ENTRYPOINT ["node", "--max-semi-space-size=4", "/relay/src/bin.mjs"]
CMD ["serve"]
