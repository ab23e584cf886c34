#!/bin/sh
# Runs the end-to-end tests on PostgreSQL: on the server of docker-compose.postgres.yml when a
# container engine is running, else on a private server from the system's packages, in a temporary
# folder and on a free port.
# usage: scripts/test-postgres.sh [--keep-running] [FILE-PART…]
# BUILD names the build folder (default build-test). The last line is `N passed, N failed`; exit
# code 0 only without failures.
set -eu

cd "$(dirname "$0")/.."
keep=
case ${1:-} in
--keep-running)
	keep=1
	shift
	;;
-*)
	echo "usage: scripts/test-postgres.sh [--keep-running] [FILE-PART...]" >&2
	exit 64
	;;
esac
build=${BUILD:-build-test}
scripts/build "$build"
export PYTHONDONTWRITEBYTECODE=1

engine=
for one in docker podman; do
	if [ -z "$engine" ] && command -v "$one" >/dev/null 2>&1 && "$one" info >/dev/null 2>&1 &&
		"$one" compose version >/dev/null 2>&1; then
		engine=$one
	fi
done

work=$(mktemp -d)
server=

finish() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$keep" ] && [ -n "${url:-}" ]; then
		echo "PostgreSQL is still running: $url"
		if [ -n "$engine" ]; then
			echo "stop it: $engine compose -f docker-compose.postgres.yml down"
		else
			echo "stop it: kill $server"
		fi
	elif [ -n "$engine" ]; then
		"$engine" compose -f docker-compose.postgres.yml down || status=1
	elif [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -n "$engine" ]; then
	"$engine" compose -f docker-compose.postgres.yml up -d --wait
	url=postgresql://pierre:pierre_dev_password@127.0.0.1:5432/pierre_mcp_server
else
	echo "no container engine is running: starting a private PostgreSQL"
	# In a separate session, so that --keep-running survives the terminal.
	setsid python3 -m tests.lib.postgres_server >"$work/url" 2>"$work/log" </dev/null &
	server=$!
	tries=0
	while [ ! -s "$work/url" ]; do
		tries=$((tries + 1))
		if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
			cat "$work/log" >&2
			echo "the private PostgreSQL did not start" >&2
			exit 69
		fi
		sleep 0.1
	done
	url=$(cat "$work/url")
fi
python3 tests/run.py "$build" "$@" --backend postgres --postgres "$url" --no-unit
