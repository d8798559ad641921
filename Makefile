# imp_push: builds the extension with PGXS.
#
#   make && make install        build and install into the PostgreSQL of pg_config
#   make installcheck           pg_regress and isolation tests against a running server
#   dev/demo, dev/check         the two commands of the README
#
# WERROR=1 turns every warning into an error, as the checks do.

EXTENSION = imp_push
EXTVERSION = 1.0
MODULE_big = imp_push
PGFILEDESC = "imp_push - offline push for instant messaging"

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))

# One subject a file, in load order: what a file uses stands before it.
SQL_SUBJECTS = \
	settings builtin_text certificate provider_token device_token presence \
	user_profile dnd template message counter queue delivery render ext words \
	plan direct recheck work settle simulate explain people forget_user control status trial metrics housekeeping comments privileges
SQL_FILES = $(SQL_SUBJECTS:%=src/sql/%.sql)

DATA_built = $(EXTENSION)--$(EXTVERSION).sql

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
ISOLATION = $(patsubst specs/%.spec,%,$(sort $(wildcard specs/*.spec)))
REGRESS_OPTS = --encoding=UTF8
ISOLATION_OPTS = --encoding=UTF8

PG_CONFIG ?= pg_config
# PostgreSQL's own headers are not ours to warn about.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server)
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers $(if $(WERROR),-Werror)
SHLIB_LINK = -lcurl -lnghttp2 -lssl -lcrypto

EXTRA_CLEAN = $(DATA_built)

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Not with DOCS, which puts all extensions' files into one folder: two called
# README.md, and no docs/ for its links.
DOCUMENTS = README.md CHANGELOG.md LICENSE apnsim/README.md bench/README.md \
	$(shell find docs -type f)
DOCUMENT_FOLDER = $(DESTDIR)$(docdir)/$(EXTENSION)

install: install-documents
install-documents:
	for file in $(DOCUMENTS); do \
		$(MKDIR_P) "$(DOCUMENT_FOLDER)/$$(dirname $$file)" && \
		$(INSTALL_DATA) $$file "$(DOCUMENT_FOLDER)/$$file" || exit 1; \
	done

uninstall: uninstall-documents
uninstall-documents:
	rm -rf "$(DOCUMENT_FOLDER)"

.PHONY: install-documents uninstall-documents

$(OBJS): $(wildcard src/*.h)

$(DATA_built): $(SQL_FILES) src/sql/prologue.sql
	cat src/sql/prologue.sql $(SQL_FILES) > $@
