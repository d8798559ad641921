# shellcheck shell=bash
# sanitizers.sh: the steps of dev/check that watch the memory: fuzz, ubsan and
# valgrind.
#
# Sourced by steps/check, whose functions and variables they use.  Servers are
# judged by what the watcher has written as well as by the tests, for a process
# that is ended by force has the postmaster restart all the others, and tests
# may well pass after that.

# shellcheck disable=SC2153
fuzz()
{
	single "fuzz, 5 s a target" env PG_CONFIG="$PG_CONFIG" \
		dev/fuzz --jobs "$JOBS" || :
}

# UndefinedBehaviorSanitizer on the extension.  (Its runtime comes in with the
# library, too late to be told of a file of its own: it writes to the server's
# log.)  The simulator of these tests has both sanitizers.

# The longest first, so that none runs alone in the end.
UBSAN_TESTS=(t/420_connection.pl t/450_soak.pl t/421_answers.pl t/440_database.pl
	t/411_careful.pl t/100_single.pl t/130_certificates.pl t/300_keys.pl
	t/330_injection.pl)

build_ubsan()
{
	UBSAN_PG_CONFIG=$(private_postgres "$SYSTEM_PG_CONFIG" \
		"$WORK/instrumented/postgres")
	copy_checkout . "$WORK/instrumented/src"
	make -s -C "$WORK/instrumented/src" -j"$JOBS" PG_CONFIG="$UBSAN_PG_CONFIG" \
		with_llvm=no COPT=-fsanitize=undefined install &&
		nm -D "$WORK/instrumented/src/imp_push.so" | grep -c __ubsan_handle &&
		make -s -C "$WORK/instrumented/src/apnsim" -j"$JOBS" \
			SANITIZE=address,undefined
}

regress_ubsan()
{
	local status=0

	BIN=$("$UBSAN_PG_CONFIG" --bindir) start_server ubsan yes
	make -C "$WORK/instrumented/src" PG_CONFIG="$UBSAN_PG_CONFIG" installcheck \
		ISOLATION= || status=1
	stop_servers
	unset PGHOST PGPORT PGUSER
	return $status
}

tap_ubsan()
{
	(cd "$WORK/instrumented/src" &&
		PG_CONFIG=$UBSAN_PG_CONFIG \
			prove -j"$JOBS" --timer -It/lib "${UBSAN_TESTS[@]}")
}

# Fails, and shows it, if a sanitizer had anything to say.
nothing_undefined()
{
	local said

	ls -d "$LOG/server-ubsan.log" "$WORK"/instrumented/src/tmp_check/log/*.log &&
		said='runtime error:|ERROR: (Address|Leak)Sanitizer' &&
		! grep -rE "$said" "$LOG/server-ubsan.log" "$WORK/instrumented/src/tmp_check"
}

ubsan()
{
	single "build, UBSan" build_ubsan || return 0
	single "pg_regress, UBSan" regress_ubsan || :
	single "TAP, UBSan" tap_ubsan || :
	single "nothing undefined in the logs" nothing_undefined || :
}

# valgrind on the whole postmaster.  Debian's PostgreSQL knows nothing of
# valgrind, which therefore sees its memory contexts as the blocks of malloc
# that they are made of; what it says counts if the stack has a frame of ours.

VALGRIND_TESTS=(t/110_group.pl)

# watch_postgres BIN: has servers run in valgrind, and initdb's helpers not.
watch_postgres()
{
	mkdir -p "$LOG/valgrind"
	mv "$1/postgres" "$1/postgres.real"
	cat > "$1/postgres" <<-EOF_WRAPPER
		#!/bin/bash
		if [ "\$1" != -D ]; then
			exec -a "\$0" "\$0.real" "\$@"
		fi
		exec valgrind --quiet --error-limit=no --num-callers=40 \
			--leak-check=full --show-leak-kinds=definite \
			--suppressions=$PWD/dev/valgrind.suppressions \
			--xml=yes --xml-file=$LOG/valgrind/%p.xml "\$0.real" "\$@"
	EOF_WRAPPER
	chmod +x "$1/postgres"
}

tap_valgrind()
{
	local pg_config status=0

	pg_config=$(private_postgres "$SYSTEM_PG_CONFIG" "$WORK/valgrind")
	make -s PG_CONFIG="$pg_config" install
	watch_postgres "$("$pg_config" --bindir)"
	PG_CONFIG=$pg_config prove --timer -It/lib "${VALGRIND_TESTS[@]}" ||
		status=1
	mv tmp_check "$LOG/valgrind/"
	return $status
}

valgrind()
{
	single "TAP, valgrind" tap_valgrind || :
	single "no errors of ours in the logs" \
		perl dev/steps/valgrind-errors.pl "$LOG"/valgrind/*.xml || :
}
