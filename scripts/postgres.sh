# postgres.sh: a private PostgreSQL server for one test run. Sourced, never run.
#
# The server keeps its data in a temporary directory, in memory where there is plenty,
# listens on the loopback interface alone, and asks for a password made for this run.
# Tests kill Scrip, not this server nor the machine, so it does not wait for the disk,
# unless postgres_disk says so: what it acknowledged is there whatever becomes of Scrip.
# It never touches a cluster that the machine already has.
# shellcheck shell=bash

postgres_bin=''
postgres_dir=''
postgres_pid=''
postgres_disk=(-c fsync=off -c full_page_writes=off)

# postgres_exec replaces this shell by a command run as the server's user:
# PostgreSQL refuses to run as root.
postgres_exec() {
	if ((EUID == 0)); then
		exec setpriv --reuid="$postgres_user" --regid="$(id -g "$postgres_user")" --init-groups --reset-env \
			env LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" "$@"
	fi
	exec "$@"
}

# postgres_as runs a command as that user and comes back.
postgres_as() { (postgres_exec "$@"); }

# postgres_find sets postgres_bin to the directory of the newest server.
postgres_find() {
	local dir dirs unpacked=''
	if compgen -G "$packages_root/complete.postgresql*" >/dev/null; then
		unpacked=$packages_root/files
	fi
	mapfile -t dirs < <(printf '%s\n' /usr/lib/postgresql/*/bin "$unpacked"/usr/lib/postgresql/*/bin | sort -rV)
	dirs+=("$(pg_config --bindir 2>/dev/null)" "$(dirname "$(command -v postgres || echo /none/postgres)")")
	for dir in "${dirs[@]}"; do
		if [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pg_isready ]]; then
			postgres_bin=$dir
			return 0
		fi
	done
	return 1
}

# postgres_get installs PostgreSQL where it is missing: 15, the version of
# Debian 12, or what this Debian has instead.
postgres_get() {
	command -v apt-get >/dev/null || return 1
	if packages_can_install; then
		# Debian's package would create and start a cluster: tell it not to.
		packages_install postgresql-common || return
		local conf=/etc/postgresql-common/createcluster.conf
		if [[ -f $conf ]]; then
			packages_privileged sed -i -E 's/^#? *create_main_cluster *=.*/create_main_cluster = false/' $conf || return
		fi
		packages_install postgresql-15 || packages_install postgresql
	else
		packages_unpack postgresql-15 || packages_unpack postgresql
	fi
}

need_postgres() {
	if ! postgres_find; then
		say '    PostgreSQL is not installed: getting it'
		if ! { postgres_get && postgres_find; }; then
			say 'error: no PostgreSQL server, and none could be installed.' >&2
			say 'Install one (Debian: apt-get install postgresql-15), or set SCRIP_TEST_POSTGRES' >&2
			say 'to the URL of a server for tests, or run "make test-quick" for SQLite alone.' >&2
			return 1
		fi
	fi
	if [[ $postgres_bin == "$packages_root"/* ]]; then
		packages_use
	fi
}

# postgres_place makes the data directory, where the server's user can reach it.
postgres_place() {
	local parent
	postgres_user=$(id -un)
	if ((EUID == 0)); then
		postgres_user=postgres
		id postgres >/dev/null 2>&1 || postgres_user=nobody
	fi
	for parent in ${scrip_memory:+/dev/shm} "${TMPDIR:-/tmp}" /tmp /var/tmp; do
		postgres_dir=$(mktemp -d "$parent/scrip-postgres.XXXXXX") || continue
		if ((EUID == 0)); then
			chown "$postgres_user" "$postgres_dir"
		fi
		if postgres_as test -w "$postgres_dir"; then
			return 0
		fi
		rm -rf "$postgres_dir"
	done
	postgres_dir=''
	say "error: no temporary directory that user $postgres_user can write" >&2
	return 1
}

postgres_port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# postgres_try PORT: starts the server and waits until it answers or has ended.
postgres_try() {
	local server=("$postgres_bin/postgres" -D "$postgres_dir/data"
		-c listen_addresses=127.0.0.1 -c port="$1" -c unix_socket_directories=
		"${postgres_disk[@]}" -c synchronous_commit=on
		-c max_connections=200 -c shared_buffers=128MB -c max_wal_size=512MB
		-c logging_collector=off -c log_min_messages=fatal -c lc_messages=C)
	if command -v setpriv >/dev/null; then
		# Should this shell be killed outright, the kernel stops the server.
		server=(setpriv --pdeathsig INT "${server[@]}")
	fi
	(postgres_exec "${server[@]}") >>"$postgres_dir/log" 2>&1 </dev/null &
	postgres_pid=$!
	for _ in {1..600}; do
		kill -0 "$postgres_pid" 2>/dev/null || break
		if postgres_as "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$1"; then
			return 0
		fi
		sleep 0.1
	done
	postgres_kill
	return 1
}

# start_postgres makes a cluster, starts it on a free port below the range that
# outgoing connections use, and exports SCRIP_TEST_POSTGRES.
start_postgres() {
	need_postgres && postgres_place || return
	local password port
	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	printf '%s\n' "$password" >"$postgres_dir/password"
	chmod 600 "$postgres_dir/password"
	if ((EUID == 0)); then
		chown "$postgres_user" "$postgres_dir/password"
	fi
	if ! postgres_as "$postgres_bin/initdb" -D "$postgres_dir/data" -U scrip --encoding=UTF8 --locale=C \
		--auth=scram-sha-256 --pwfile="$postgres_dir/password" --no-sync >"$postgres_dir/log" 2>&1; then
		cat "$postgres_dir/log" >&2
		return 1
	fi
	for _ in {1..20}; do
		port=$((20000 + RANDOM % 12000))
		postgres_port_taken "$port" && continue
		if postgres_try "$port"; then
			export SCRIP_TEST_POSTGRES="postgres://scrip:$password@127.0.0.1:$port/postgres?sslmode=disable"
			say "    $("$postgres_bin/postgres" --version) on 127.0.0.1:$port"
			return 0
		fi
	done
	say 'error: PostgreSQL does not start:' >&2
	tail -n 20 "$postgres_dir/log" >&2
	return 1
}

# postgres_kill ends the server: fast, then at once, then for good.
postgres_kill() {
	local signal
	[[ -n $postgres_pid ]] || return 0
	for signal in INT QUIT KILL; do
		kill -s "$signal" "$postgres_pid" 2>/dev/null || break
		for _ in {1..100}; do
			kill -0 "$postgres_pid" 2>/dev/null || break 2
			sleep 0.1
		done
	done
	wait "$postgres_pid" 2>/dev/null || true
	postgres_pid=''
}

# stop_postgres ends the server and removes everything it wrote.
stop_postgres() {
	postgres_kill
	if [[ -n $postgres_dir ]]; then
		rm -rf "$postgres_dir"
		postgres_dir=''
	fi
}
