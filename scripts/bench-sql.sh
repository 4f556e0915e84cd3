#!/usr/bin/env bash
# bench-sql.sh: what a ledger costs, and what it gives. Measures, in turns on one
# PostgreSQL that waits for its disk, transfers as a program does them that writes its SQL
# itself (pgbench: one transaction of six statements, prepared), and redemptions of
# gift cards by scrip bench, which are such transfers with a key, limits, a history, an
# event and a hash chain, asked for over HTTP. This is what "make bench-sql" runs.
#
#	CALLERS   at once (64)
#	ROUNDS    of each (3)
#	SECONDS_A_ROUND   (5)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source scripts/packages.sh
source scripts/postgres.sh

callers=${CALLERS:-64} rounds=${ROUNDS:-3} length=${SECONDS_A_ROUND:-5}

finish() {
	trap '' HUP INT TERM
	stop_child
	stop_postgres
	remove_scratch
}

# make_accounts fills the tables of the transfers in SQL.
make_accounts() {
	postgres_as "$postgres_bin/psql" -q -v ON_ERROR_STOP=1 "$1" <<'SQL'
CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE transfers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payer int NOT NULL, payee int NOT NULL, amount bigint NOT NULL, made_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int NOT NULL, amount bigint NOT NULL, made_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON entries (account, id);
INSERT INTO accounts SELECT n, 1000000000000 FROM generate_series(1, 1000) n;
VACUUM ANALYZE;
SQL
}

# transfer PAYER PAYEE prints pgbench's script of one transfer. Accounts are locked in
# the order of their numbers, so that no two transfers wait for each other.
transfer() {
	cat <<SQL
\\set payer $1
\\set payee $2
BEGIN;
SELECT id, balance FROM accounts WHERE id IN (:payer, :payee) ORDER BY id FOR UPDATE;
INSERT INTO transfers (payer, payee, amount) VALUES (:payer, :payee, 1);
UPDATE accounts SET balance = balance - 1 WHERE id = :payer;
UPDATE accounts SET balance = balance + 1 WHERE id = :payee;
INSERT INTO entries (account, amount) VALUES (:payer, -1), (:payee, 1);
COMMIT;
SQL
}

# in_sql NAME: one round of transfers, a second.
in_sql() {
	postgres_as "$postgres_bin/pgbench" -n -M prepared -c "$callers" -j 2 -T "$length" -f "$postgres_dir/$1.sql" "$sql_url" 2>&1 |
		awk '/^tps =/ { printf "%.0f\n", $3 }'
}

# by_scrip SCENARIO: one round of redemptions, a second.
by_scrip() {
	"$scrip_scratch/scrip" bench --database "$scrip_url" --data "$scrip_scratch/data" --workers "$callers" --rounds 1 --duration "${length}s" --scenario "$1" |
		awk '/^gatepay redeem/ { print $6 }'
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

compare() {
	local scenario=$1 name=$2
	local sql=() scrip=()
	for ((round = 0; round < rounds; round++)); do
		sql+=("$(in_sql "$name")")
		scrip+=("$(by_scrip "$scenario")")
	done
	printf '%s\n' "${sql[@]}" "${scrip[@]}" | grep -qvE '^[0-9]+$' && die "a round of $name failed: ${sql[*]} and ${scrip[*]}"
	local s r
	s=$(printf '%s\n' "${sql[@]}" | median) r=$(printf '%s\n' "${scrip[@]}" | median)
	printf '%-28s %10s %10s %8s\n' "$name" "$s" "$r" "$(awk "BEGIN { printf \"%.2f\", $r / $s }")"
}

prepare_go
scratch
trap finish EXIT
own_group
postgres_disk=(-c fsync=on -c full_page_writes=on)
start_postgres || die 'no PostgreSQL to measure on'
if [[ $(stat -f -c %T "$postgres_dir") == tmpfs ]]; then
	say '    the databases are in memory, and not on a disk: set TMPDIR to a directory that is on one'
fi
go build -o "$scrip_scratch/scrip" ./cmd/scrip
base=${SCRIP_TEST_POSTGRES%/postgres\?*}
for name in sql scrip; do
	postgres_as "$postgres_bin/psql" -q "$SCRIP_TEST_POSTGRES" -c "CREATE DATABASE bench_$name"
done
sql_url="$base/bench_sql?sslmode=disable" scrip_url="$base/bench_scrip?sslmode=disable"
make_accounts "$sql_url"
transfer 1 2 >"$postgres_dir/hot.sql"
transfer 'random(1, 500)' 'random(501, 1000)' >"$postgres_dir/spread.sql"
chmod a+r "$postgres_dir"/*.sql
say "a second, with $callers callers, the middle one of $rounds rounds"
printf '%-28s %10s %10s %8s\n' '' 'SQL' 'Scrip' 'ratio'
compare redeem-hot hot
compare redeem-spread spread
