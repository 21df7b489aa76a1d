#!/usr/bin/env bash
# Proves that Dockerfile, docker-compose.yml and .env.example work, against a simulated Toggl: builds,
# starts, syncs, scales, restarts, watches, and takes everything down again. Needs a Docker engine,
# root, cargo and pip, but no image registry: base images that are not here are made of packages
# (stand-ins.sh). Of Grafana that proves only that it would find its files.
#
#   tests/compose/prove.sh          leaves nothing behind but downloads below target/compose
#   tests/compose/prove.sh --keep   also leaves the images, so that the next run need not build
#   tests/compose/prove.sh --programs target/debug
#                                   the stack around programs that are built already: quick, and no
#                                   proof of the build
set -Eeuo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$repository/target/compose
project=$work/project
name=toggl-track-proof
# The simulator's, see tests/src/toggl/account.rs.
token=5imulat0r0000000000000000000000t
keep=false
programs=
while (($# > 0)); do
    case $1 in
        --keep) keep=true ;;
        --programs)
            programs=$(realpath "$2")
            project=$work/quick
            name=toggl-track-quick
            shift
            ;;
        *)
            echo "usage: tests/compose/prove.sh [--keep] [--programs FOLDER]" >&2
            exit 2
            ;;
    esac
    shift
done

say() { printf '%s\n' "$*"; }
fail() {
    printf 'FAIL  %s\n' "$*" >&2
    exit 1
}
step() { printf '\n== %s\n' "$*"; }
ok() { printf 'ok    %s\n' "$*"; }
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# shellcheck source=stand-ins.sh
source "$repository/tests/compose/stand-ins.sh"

compose() {
    docker compose --project-directory "$project" --project-name "$name" \
        --file "$project/docker-compose.yml" --file "$repository/tests/compose/override.yml" "$@"
}

# Only what is ours: the project's containers, volumes and images, and images made of a stand-in.
clean_up() {
    local status=$? images
    trap - ERR EXIT
    set +e
    if [[ $status != 0 && -e $project/.env ]]; then
        compose ps --all >&2
        compose logs --tail 20 >&2
    fi
    [[ -e $project/.env ]] && compose --profile '*' down --volumes --remove-orphans --timeout 20 >/dev/null 2>&1
    if ! $keep; then
        docker image rm --force "$name"-{fetcher,loader,scheduler,credentials,setup} >/dev/null 2>&1
        docker image prune --force --filter "label=$STAND_IN" >/dev/null 2>&1
        mapfile -t images < <(docker image ls --filter "label=$STAND_IN" --format '{{.Repository}}:{{.Tag}}')
        ((${#images[@]} == 0)) || docker image rm "${images[@]}" >/dev/null
    fi
    rm -rf "$project"
    exit "$status"
}

### The machine

docker info >/dev/null 2>&1 || fail "no Docker engine answers: nothing can be proved here"
[[ $(id -u) == 0 ]] || fail "run it as root: debootstrap makes the base images"
mkdir -p "$work"
trap clean_up EXIT
# What this shell has set would win over the .env of the proof.
while read -r variable; do
    unset "$variable"
done < <(sed --quiet --regexp-extended 's/^#?([A-Z][A-Z_]*)=.*/\1/p' "$repository/.env.example")

enough_compose() {
    local version
    version=$(docker compose version --short 2>/dev/null) || return 1
    [[ $(printf '%s\n' 2.24.0 "${version#v}" | sort --version-sort | head -n 1) == 2.24.0 ]]
}

step "Base images"
if ! enough_compose; then
    export DOCKER_CONFIG=$work/docker
    enough_compose || debian_compose
    enough_compose || fail "no Docker Compose 2.24 or newer"
fi
# Without the BuildKit client the engine's own builder does.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
[[ -n $programs ]] || rust_image
postgres_image
nats_image
prometheus_image
grafana_image
ok "$(docker compose version), engine $(docker version --format '{{.Server.Version}}')"

# The files as git would take them, so that a .env of the user's is neither read nor changed.
rm -rf "$project"
mkdir -p "$project"
git -C "$repository" ls-files --cached --others --exclude-standard -z |
    (cd "$repository" && tar --create --null --ignore-failed-read --files-from=- 2>/dev/null) |
    tar --extract --directory="$project"

# The Dockerfile from its second half on, around programs of this machine and the files they need.
around_programs() {
    local files
    files=$(ldd "$programs"/{fetcher,loader} | grep --only-matching '/[^ :]*\.so[^ ]*' | sort --unique)
    mkdir -p "$project/runtime" "$project/programs"
    # shellcheck disable=SC2086
    cp --parents --dereference /etc/ssl/certs/ca-certificates.crt $files "$project/runtime"
    install --strip "$programs"/{fetcher,loader} "$project/programs"
    sed --in-place --quiet --expression 's,COPY --from=build /runtime/,COPY runtime/,' \
        --expression 's,COPY --from=build /src/target/release/,COPY programs/,' \
        --expression '/^FROM scratch/,$p' "$project/Dockerfile"
    rm "$project/.dockerignore"
}
[[ -z $programs ]] || around_programs

# The simulated Toggl, built as the tests build it.
(cd "$repository" && nice cargo build --quiet --locked --workspace --bins)
SIMULATOR=$(cd "$repository" && realpath "${CARGO_TARGET_DIR:-target}")/debug/simulator
# Any image with a C library will do to run it.
SIMULATOR_IMAGE=$(pinned docker-compose.yml postgres)
export SIMULATOR SIMULATOR_IMAGE
ok "simulated Toggl"

### Settings

step "Settings"
refusal=$(compose config 2>&1 >/dev/null) && fail "Compose accepts an empty .env"
[[ $refusal == *"_PASSWORD is missing a value: set it in .env"* ]] || fail "unclear refusal: $refusal"
cp "$project/.env.example" "$project/.env"
refusal=$(compose config 2>&1 >/dev/null) && fail "Compose accepts .env.example without passwords"
[[ $refusal == *"is missing a value: set it in .env"* ]] || fail "unclear refusal: $refusal"
ok "without passwords Compose says: ${refusal##*: required }"

# Passwords that are hard to carry; ports that are free on any machine.
set_in_env() {
    grep --quiet --extended-regexp "^#?$1=" "$project/.env" || fail ".env.example does not name $1"
    sed --in-place --regexp-extended "/^#?$1=/d" "$project/.env"
    printf '%s\n' "$1=$2" >>"$project/.env"
}
set_in_env POSTGRES_PASSWORD "'p@ss:w/rd #1 \$HOME %41\"?'"
set_in_env POSTGRES_LOADER_PASSWORD "'it\\'s a:b/c @d #2'"
set_in_env POSTGRES_FETCHER_PASSWORD "'100%-\$HOME'"
set_in_env POSTGRES_GRAFANA_PASSWORD "'g\"r@f #3'"
set_in_env NATS_ADMIN_PASSWORD 12345
set_in_env NATS_FETCHER_PASSWORD "'p@ss w:rd'"
set_in_env NATS_LOADER_PASSWORD "'1e5'"
set_in_env POSTGRES_PORT 0
set_in_env NATS_PORT 0
set_in_env LOADER_PORTS 0
set_in_env PROMETHEUS_PORT 0
set_in_env GRAFANA_PORT 0
set_in_env TOGGL_REQUESTS_PER_SECOND 50
set_in_env TOGGL_BURST 50
compose --profile '*' config --quiet
ok "cp .env.example .env, and seven passwords"

### Images

step "Images"
# One after the other: side by side, a builder without BuildKit would compile everything for each.
compose --parallel 1 --profile fetch --profile schedule build >"$work/build.log" 2>&1 ||
    fail "the build failed: $(tail -n 20 "$work/build.log")"
for service in fetcher loader; do
    image=$name-$service
    inspect() { docker image inspect --format "$1" "$image"; }
    [[ $(inspect '{{.Config.User}}') == 65532:65532 ]] || fail "$image does not say its user"
    [[ $(inspect '{{.Config.StopSignal}}') == SIGTERM ]] || fail "$image does not say SIGTERM"
    [[ $(inspect '{{index .Config.Labels "org.opencontainers.image.title"}}') == "toggl-track-$service" ]] ||
        fail "$image has no title"
    docker run --rm "$image" --version >/dev/null
    docker run --rm --entrypoint /bin/sh "$image" -c : >/dev/null 2>&1 && fail "$image has a shell"
    docker history --no-trunc "$image" | grep --quiet -e 'p@ss' -e "$token" && fail "$image holds a secret"
    ok "$image, $(($(inspect '{{.Size}}') / 1000 / 1000)) MB"
done
### Helpers of what follows

sql() {
    # shellcheck disable=SC2016
    compose exec -T postgres sh -c 'exec psql -XAtq -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "$1"' sql "$1" </dev/null
}
monitor() { compose exec -T nats wget -q -O - "http://127.0.0.1:8222/$1" </dev/null; }
resident_up() {
    local service
    compose up --detach --wait "$@" >"$work/up.log" 2>&1 || fail "up failed: $(tail -n 20 "$work/up.log")"
    for service in nats postgres loader; do
        [[ $(compose ps --format '{{.Health}}' "$service" | sort --unique) == healthy ]] || fail "$service is not healthy"
    done
}
# Without the volumes that nobody has named; those that have a name stay.
down() {
    compose --profile '*' rm --stop --force --volumes >/dev/null 2>&1
    compose --profile '*' down >/dev/null 2>&1
}
run() {
    local url
    url=$(run_toggl)
    compose --profile fetch run --rm --no-TTY --env TOGGL_URL="$url" --env TOGGL_ALLOW_HTTP=true "$@"
}
# Its address is another at each start.
run_toggl() {
    compose --profile fetch up --detach toggl </dev/null >/dev/null 2>&1
    eventually toggl_url
}
# What README.md and docs/ tell to do with the stack: all but what this script has done in its own way.
documented_commands() {
    awk '/^```sh/ { on = 1; next } /^```/ { on = 0 } on' "$project/README.md" "$project"/docs/*.md |
        sed --regexp-extended 's/ +# .*//' | grep '^docker compose' | grep --invert-match ' build'
}
toggl_url() { compose logs --no-log-prefix toggl </dev/null | grep --only-matching 'http://[0-9.:]*/' | tail -n 1; }
eventually() {
    for _ in $(seq 120); do
        "$@" 2>/dev/null && return
        sleep 0.5
    done
    fail "not within a minute: $*"
}
loaded() { [[ $(sql "select count(*) from raw.toggl_track__loads") == "$(stored)" ]]; }
stored() {
    monitor 'jsz?streams=true' | python3 -c 'import json, sys
streams = json.load(sys.stdin)["account_details"][0]["stream_detail"]
print(next(s["state"]["messages"] for s in streams if s["name"] == "TOGGL_TRACK_RAW"))'
}
# A sync, and every row that it says it read is in Postgres.
sync_and_compare() {
    local counts table count rows
    run fetcher --days 7 --wait >"$work/fetcher.out" 2>"$work/fetcher.err" || fail "fetcher: exit $?, $(cat "$work/fetcher.err")"
    grep --quiet '^\[OK\] Toggl Track sync completed' "$work/fetcher.out" || fail "$(cat "$work/fetcher.out")"
    grep -i 'time zone' "$work/fetcher.err" && fail "the image does not know time zones"
    counts=$(sed --quiet 's/^  Masters: {\(.*\)}/\1/p' "$work/fetcher.out" | tr -d '"' | tr ',' '\n')
    counts+=$'\n'$(sed --quiet 's/^  Time entries: /time_entries:/p' "$work/fetcher.out")
    while IFS=: read -r table count; do
        rows=$(sql "select count(*) from raw.toggl_track__$table where deleted_at is null")
        [[ $rows == "$count" ]] || fail "$table: $count read, $rows in Postgres"
    done <<<"$counts"
    ok "synced: ${counts//$'\n'/ }"
}
all_rows() {
    sql "select md5(string_agg(t::text, '|' order by source_id)) from raw.toggl_track__time_entries t" &&
        sql "select count(*) from raw.toggl_track__loads"
}
# As the role by which Grafana reads.
as_grafana() {
    compose exec -T --env PGPASSWORD='g"r@f #3' postgres \
        psql -XAtq -v ON_ERROR_STOP=1 -h 127.0.0.1 -U toggl_track_grafana -d toggl_track -c "$1" </dev/null
}
# What monitoring/ wants of three loaders and the listener.
watches() {
    python3 "$repository/tests/compose/watches.py" "$project/monitoring" \
        "http://$(compose port prometheus 9090)" 4
}
health() { curl --silent --show-error --fail-with-body "http://$(compose port grafana 3000)/api/health"; }
key_sum() { compose exec -T postgres sha256sum /var/lib/postgresql/vault/root.key; }

### The stack

step "Start"
resident_up
ok "NATS, Postgres and the loader are healthy, by \`docker compose up --detach --wait\`"
[[ $(compose port nats 4222) == 127.0.0.1:* && $(compose port postgres 5432) == 127.0.0.1:* ]] ||
    fail "a port is open to the network"
[[ $(docker inspect --format '{{range $port, $to := .NetworkSettings.Ports}}{{if $to}}{{$port}} {{end}}{{end}}' \
    "$(compose ps --quiet nats)") == "4222/tcp " ]] || fail "NATS publishes more than its client port"
ok "published on 127.0.0.1 only: NATS $(compose port nats 4222), Postgres $(compose port postgres 5432)"
monitor varz | grep --quiet '"sync_always": true' || fail "JetStream does not sync always"
monitor varz | grep --quiet '"max_storage": 8' || fail "max_file_store is not set"
ok "JetStream syncs every write, keeps at most $(monitor varz | sed --quiet 's/.*"max_storage": \([0-9]*\).*/\1/p' | head -n 1) bytes"
eventually eval 'compose logs setup | grep --quiet "The vault is ready"'
[[ $(compose exec -T postgres stat --format '%a %U' /var/lib/postgresql/vault/root.key) == "600 postgres" ]] ||
    fail "the root key is open to others"
[[ $(compose exec -T postgres stat --format %s /var/lib/postgresql/vault/root.key) == 64 ]] || fail "not a root key"
key=$(key_sum)
ok "the vault is ready, its root key is 0600 of postgres"
[[ $(docker inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}' "$(compose ps --quiet loader)") == "true [ALL]" ]] ||
    fail "the loader may write or has capabilities"
[[ $(docker top "$(compose ps --quiet loader)" -o pid,uid | awk 'END { print $2 }') == 65532 ]] || fail "the loader is not 65532"
docker inspect --format '{{json .Config.Env}}' "$(compose ps --quiet loader)" | grep --quiet -e 'TOGGL_API_TOKEN=[^"]' -e 'ADMIN_PASSWORD=[^"]' &&
    fail "the loader has the Toggl token, or an administrator's password"
status=0
run --env TOGGL_API_TOKEN="$token" --env NATS_PASSWORD=wrong fetcher 2>"$work/fetcher.err" >/dev/null || status=$?
[[ $status == 5 && $(<"$work/fetcher.err") == *"refuses the log-in"* ]] || fail "a wrong NATS password: exit $status"
ok "the loader is without root and token; a wrong NATS password is refused"

step "Sync"
status=0
run fetcher 2>"$work/fetcher.err" >/dev/null || status=$?
[[ $status == 3 ]] || fail "without credentials: exit $status, $(cat "$work/fetcher.err")"
set_in_env TOGGL_API_TOKEN "$token"
sync_and_compare
set_in_env TOGGL_API_TOKEN ""
printf '%s\n' "$token" | run credentials set
run fetcher credentials show
sync_and_compare
ok "token from .env, then from the vault"

step "Three loaders"
resident_up --scale loader=3
[[ $(compose ps --quiet loader | wc -l) == 3 ]] || fail "not three loaders"
sync_and_compare
resident_up --scale loader=1

step "Restarts"
for service in loader postgres nats; do
    compose restart "$service" >/dev/null 2>&1
    resident_up
    sync_and_compare
    ok "after a restart of $service"
done
loader=$(compose ps --quiet loader)
SECONDS=0
compose stop loader >/dev/null 2>&1
[[ $(docker inspect --format '{{.State.ExitCode}}' "$loader") == 0 ]] || fail "the loader did not end in order"
ok "the loader ends with 0, in $SECONDS s"
compose kill nats >/dev/null 2>&1
resident_up
sync_and_compare
ok "after a kill of NATS"

step "Down and up"
before=$(all_rows)
messages=$(stored)
down
resident_up
[[ $(all_rows) == "$before" && $(stored) == "$messages" ]] || fail "rows or messages are lost"
[[ $(key_sum) == "$key" ]] || fail "the root key changed"
sync_and_compare
ok "rows, $messages messages, credentials and key are still there"

step "By the clock"
set_in_env TOGGL_URL "$(run_toggl)"
set_in_env TOGGL_ALLOW_HTTP true
set_in_env FETCHER_SCHEDULE "'*/5 * * * * *'"
compose --profile schedule up --detach scheduler >/dev/null 2>&1
ended_well() { [[ $(compose logs scheduler | grep --count 'The run has ended well') -ge 2 ]]; }
eventually ended_well
scheduler=$(compose ps --quiet scheduler)
compose stop scheduler >/dev/null 2>&1
[[ $(docker inspect --format '{{.State.ExitCode}}' "$scheduler") == 0 ]] || fail "the scheduler did not end in order"
eventually loaded
ok "the scheduler synced twice, and ends with 0"
set_in_env FETCHER_SCHEDULE ""
compose --profile schedule up --detach scheduler >/dev/null 2>&1
planned() { compose logs --since 1m scheduler | grep --only-matching 'Plan: .*' | head -n 1 | grep .; }
plan=$(eventually planned)
compose stop scheduler >/dev/null 2>&1
ok "without a setting it makes a plan: ${plan#Plan: }"

step "Webhooks"
set_in_env FETCHER_PUBLIC_URL https://hooks.example.com
compose --profile listen up --detach listener >"$work/up.log" 2>&1 || fail "up failed: $(tail -n 20 "$work/up.log")"
subscribed() { compose logs listener | grep --quiet 'Making the subscription of workspace'; }
eventually subscribed
compose logs listener | grep --quiet 'Listening at http://0.0.0.0:9092/' || fail "the listener listens elsewhere"
ok "the listener has Toggl tell what happens at $(sed --quiet 's/^FETCHER_PUBLIC_URL=//p' "$project/.env")"

step "Monitoring"
compose --profile monitoring up --detach --wait --scale loader=3 >"$work/up.log" 2>&1 ||
    fail "up failed: $(tail -n 20 "$work/up.log")"
[[ $(compose port prometheus 9090) == 127.0.0.1:* && $(compose port grafana 3000) == 127.0.0.1:* ]] ||
    fail "a port is open to the network"
[[ $(docker top "$(compose ps --quiet grafana)" -o pid,uid | awk 'END { print $2 }') == 472 ]] || fail "Grafana is not 472"
sync_and_compare
eventually watches >/dev/null
ok "Prometheus sees $(watches)"
ok "Grafana would find $(health)"
[[ $(as_grafana "select current_setting('jit'), current_setting('default_transaction_read_only')") == 'off|on' ]] ||
    fail "Grafana's role is not set up"
as_grafana "select count(*) > 0 from staging.stg_toggl_track__wide_entries" | grep --quiet '^t$' || fail "Grafana reads nothing"
as_grafana "delete from raw.toggl_track__tags" >/dev/null 2>&1 && fail "Grafana may write"
as_grafana "table raw.toggl_track__dead_letters" >/dev/null 2>&1 && fail "Grafana may read dead letters"
ok "its role reads the views of staging, and writes nothing"
stopped() { docker inspect --format '{{.State.ExitCode}}' "$(compose ps --all --quiet "$1")"; }
compose stop prometheus grafana listener >/dev/null 2>&1
[[ $(stopped prometheus) == 0 && $(stopped grafana) == 0 ]] || fail "the monitoring did not end in order"
[[ $(stopped listener) == 0 ]] || fail "the listener did not end in order"
resident_up --scale loader=1

step "The commands of README.md and docs/"
documented_commands >"$work/commands"
[[ $(wc -l <"$work/commands") -ge 9 ]] || fail "the pages have no Docker commands any more"
set_in_env TOGGL_API_TOKEN "$token"
while read -r command; do
    bash_command=${command/#docker compose/compose}
    bash_command=${bash_command/#compose run/compose run --no-TTY}
    bash_command=${bash_command/#compose exec/compose exec --no-TTY}
    eval "$bash_command" <<<"$token" >"$work/command.log" 2>&1 || fail "$command: $(tail -n 5 "$work/command.log")"
    ok "$command"
done <"$work/commands"
set_in_env TOGGL_API_TOKEN ""
resident_up --scale loader=1

step "Another volume for the key"
down
docker volume rm "${name}_vault" >/dev/null
resident_up
[[ $(key_sum) != "$key" ]] || fail "the same root key"
status=0
run fetcher 2>"$work/fetcher.err" >/dev/null || status=$?
[[ $status == 3 ]] || fail "credentials sealed with a lost key: exit $status"
say "      the fetcher says: $(grep '^error' "$work/fetcher.err" | head -n 1)"
printf '%s\n' "$token" | run credentials set
sync_and_compare
ok "a lost key costs the credentials and nothing else"

step "Proved, but for Grafana itself${programs:+ and the build of the programs}"
