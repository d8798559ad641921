# shellcheck shell=bash
# lib.sh: what dev/dependencies, dev/demo and dev/check have in common.
#
# Sourced, never run.  Owns: choosing a PostgreSQL, the private copy of it, and
# working as an ordinary user.  Must never write to the system's PostgreSQL or
# to the checkout.

# PostgreSQL versions that imp_push supports, newest first.
PG_VERSIONS="18 17 16 15 14"

# PostgreSQL refuses to run as root: then all work is done as this user.
UNPRIVILEGED_USER=nobody

fail()
{
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# Prints the pg_config to build with: $PG_CONFIG if it is set, otherwise that
# of the newest version of which server and headers are there.  Fails if there
# is none.
find_pg_config()
{
	local version candidate

	if [ -n "${PG_CONFIG:-}" ]; then
		command -v "$PG_CONFIG"
		return
	fi
	for version in $PG_VERSIONS; do
		candidate=/usr/lib/postgresql/$version/bin/pg_config
		if complete_postgres "$candidate"; then
			echo "$candidate"
			return
		fi
	done
	candidate=$(command -v pg_config) && complete_postgres "$candidate" &&
		echo "$candidate"
}

# Is there a server, its headers and the build system for extensions?
complete_postgres()
{
	local pg_config=$1

	[ -x "$pg_config" ] &&
		[ -x "$("$pg_config" --bindir)/postgres" ] &&
		[ -f "$("$pg_config" --includedir-server)/postgres.h" ] &&
		[ -f "$("$pg_config" --pgxs)" ]
}

# private_postgres PG_CONFIG PREFIX: makes a copy of a PostgreSQL below PREFIX,
# into which the extension can be installed without touching the original.
# Prints the pg_config of the copy.
#
# PostgreSQL's programs find their libraries and shared files relative to their
# own real path, so the programs have to be real copies; everything that is
# only read may be a symbolic link to the original.
private_postgres()
{
	local pg_config=$1 prefix=$2 bin lib share dir

	bin=$("$pg_config" --bindir)
	lib=$("$pg_config" --pkglibdir)
	share=$("$pg_config" --sharedir)

	mkdir -p "$prefix$bin" "$prefix$lib" "$prefix$share/extension"
	cp -R "$bin/." "$prefix$bin/"
	find "$lib" -mindepth 1 -maxdepth 1 ! -name bitcode \
		-exec ln -s -t "$prefix$lib/" {} +
	find "$share" -mindepth 1 -maxdepth 1 ! -name extension ! -name man \
		-exec ln -s -t "$prefix$share/" {} +
	find "$share/extension" -mindepth 1 -maxdepth 1 ! -name 'imp_push*' \
		-exec ln -s -t "$prefix$share/extension/" {} +
	rm -f "$prefix$lib/imp_push.so"
	dir=$("$pg_config" --includedir)
	mkdir -p "$(dirname "$prefix$dir")"
	ln -s "$dir" "$prefix$dir"

	pg_config=$prefix$bin/pg_config
	[ "$("$pg_config" --sharedir)" = "$prefix$share" ] ||
		fail "the copy of PostgreSQL in $prefix does not work:" \
			"$pg_config answers $("$pg_config" --sharedir 2>&1)"
	echo "$pg_config"
}

# copy_checkout DIR TARGET: the sources alone, without what a build has left.
copy_checkout()
{
	mkdir -p "$2"
	tar -C "$1" -cf - --exclude=./.git --exclude='*.o' --exclude='*.so' \
		--exclude='*.bc' --exclude='./imp_push--*.sql' \
		--exclude=./apnsim/apnsim --exclude=./tmp_check --exclude=./results \
		--exclude=./output_iso --exclude=./log --exclude=./t/fuzz/out \
		--exclude=node_modules --exclude=./bench/bare_loop \
		--exclude=./bench/floor --exclude=./bench/inserter \
		--exclude=./bench/listener . |
		tar -C "$2" -xof -
}

# work_folder NAME: makes a new folder below $TMPDIR or /tmp and prints it.
# Started by root, it belongs to the unprivileged user, who shall work in it.
work_folder()
{
	local folder

	folder=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX")
	# A Unix socket below it must fit into 107 bytes.
	if [ ${#folder} -gt 60 ]; then
		rmdir "$folder"
		fail "TMPDIR is too long for Unix sockets: $TMPDIR"
	fi
	if [ "$(id -u)" -eq 0 ]; then
		chown "$UNPRIVILEGED_USER:" "$folder"
	fi
	echo "$folder"
}

# as_user COMMAND …: runs it as an ordinary user: the caller, or the
# unprivileged user if the caller is root.  In the environment of neither:
# no PG… variable may lead to another server, and no language may change what
# programs print.
#
# (setpriv and not runuser, which would end the command two seconds after
# Ctrl-C, in the middle of its cleaning up.)
as_user()
{
	local clean drop=()

	clean=(env -i PATH="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
		HOME="$WORK" TMPDIR="${TMPDIR:-/tmp}" LC_ALL=C.UTF-8
		TERM="${TERM:-dumb}" WORK="$WORK")
	if [ "$(id -u)" -eq 0 ]; then
		drop=(setpriv --reuid "$UNPRIVILEGED_USER"
			--regid "$(id -g "$UNPRIVILEGED_USER")" --clear-groups --)
	fi
	"${drop[@]}" "${clean[@]}" "$@"
}

# Seconds since $1, a value of $SECONDS.
seconds_since()
{
	echo "$((SECONDS - $1)) s"
}
