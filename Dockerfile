# pierre-dbd in a container: docs/containers.md.
#
#   docker build -t pierre-dbd .

FROM debian:12-slim AS build
WORKDIR /src
COPY scripts/setup scripts/setup
RUN scripts/setup build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN meson setup /build --prefix=/usr --buildtype=release -Dtests=disabled -Dbench=false \
		-Dexporter=disabled \
	&& ninja -C /build \
	&& DESTDIR=/image meson install -C /build --no-rebuild --tags runtime --strip

FROM debian:12-slim
RUN apt-get update \
	&& apt-get install -y --no-install-recommends \
		libcrypt1 libedit2 libjansson4 libpq5 libsodium23 libsqlite3-0 libssl3 libuv1 \
	&& rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 pierre-dbd \
	&& useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/pierre-dbd \
		--shell /usr/sbin/nologin pierre-dbd \
	&& install -d -o 10001 -g 10001 -m 0700 /var/lib/pierre-dbd \
	&& install -d -o 10001 -g 10001 -m 0750 /run/pierre-dbd
COPY --from=build /image/ /

# Without DATABASE_URL the database is data/pierre.db in the working directory. Clients in other
# containers join the group 10001, to which the socket belongs.
ENV ENCRYPTION_KEY_FILE=/run/secrets/encryption_key \
	PIERRE_DBD_SOCKET=/run/pierre-dbd/pierre-dbd.sock \
	PIERRE_DBD_SOCKET_MODE=0660
USER 10001:10001
WORKDIR /var/lib/pierre-dbd
VOLUME ["/var/lib/pierre-dbd", "/run/pierre-dbd"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["pierre-dbctl", "ready"]
ENTRYPOINT ["pierre-dbd"]
