# imapd: build, try, check, install. `make run` and `make check` need nothing before them but make and Rust.

PREFIX     = /usr
SBINDIR    = $(PREFIX)/sbin
MANDIR     = $(PREFIX)/share/man
DOCDIR     = $(PREFIX)/share/doc/imapd
UNITDIR    = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
SYSCONFDIR = /etc
DESTDIR    =

# rustup puts cargo where a shell that was started before it, or root's, does not look.
CARGO      = $(or $(shell command -v cargo),$(wildcard $(HOME)/.cargo/bin/cargo),cargo)
TARGET     = $(or $(CARGO_TARGET_DIR),target)
BINARY     = $(TARGET)/release/imapd
VERSION    = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
PYTHON     = python3
STEP       = sh tests/step

# Many tests wait most of the time: more of them at once than there are processors.
TEST_THREADS = 4

# Where the development server listens.
HOST       = 127.0.0.1
PORT       = 10143
# How long `make fuzz` spends on each target. `make check` spends CHECK_SECONDS.
FUZZ_SECONDS  = 180
CHECK_SECONDS = 4
# How long `make torture` lets many sessions at one mailbox.
TORTURE_SECONDS = 300
FUZZ_TARGETS  = $(basename $(notdir $(wildcard tests/fuzz/targets/*.rs)))

# How many messages `make bench` makes.
N          = 100000

# libFuzzer on stable Rust: what cargo-fuzz would pass, but for the sanitizers, which need nightly.
FUZZ_HOST  = $(shell $(CARGO) -vV 2>/dev/null | sed -n 's/^host: //p')
FUZZ_FLAGS = --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
             -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
             -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
FUZZ_DIR   = $(TARGET)/fuzz/$(FUZZ_HOST)/release

all: build-packages
	$(CARGO) build --release --locked

run: all
	@echo
	@echo "The development server listens on $(HOST) port $(PORT): user test, password test, mail in memory only."
	@echo "From another terminal:  curl -s \"imap://test:test@$(HOST):$(PORT)/INBOX;UID=1\""
	@echo "Control-C ends it."
	@echo
	@exec $(BINARY) --demo -s memory -h $(HOST) -p $(PORT)

build-packages:
	@sh contrib/debian-packages build
	@command -v $(CARGO) >/dev/null || { echo "cargo is not here: install Rust (see rustup.rs, or the packages rustc and cargo)." >&2; exit 1; }

check-packages: build-packages
	@sh contrib/debian-packages check

# All that CI runs, so what passes here passes there.
check: check-packages
	@$(STEP) "format" $(CARGO) fmt --check
	@$(STEP) "format of the fuzz targets" $(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	@$(STEP) "clippy" $(CARGO) clippy --locked --all-targets -- -D warnings
	@$(STEP) "manual" mandoc -Tlint man/*
	@RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(STEP) "documentation" $(CARGO) doc --locked --no-deps --document-private-items
	@RUST_TEST_THREADS=$(TEST_THREADS) $(STEP) "tests" --show '^ +(Running|Doc-tests) |^test result: |^ +[0-9]+ (src/|points: |commands: )' $(CARGO) test --locked
	@$(STEP) "release build" $(CARGO) build --release --locked
	@$(MAKE) --no-print-directory fuzz-each FUZZ_SECONDS=$(CHECK_SECONDS)
	@$(STEP) "install" sh tests/install "$(BINARY)"
	@$(STEP) "real clients" --show '^(ok|skip) |^[0-9]+ passed|^Ran |^OK' $(PYTHON) -B tests/clients/run.py $(BINARY)
	@echo "All is well."

fmt:
	$(CARGO) fmt
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml

lint: build-packages
	$(CARGO) clippy --locked --all-targets -- -D warnings
	mandoc -Tlint man/*

test: build-packages
	$(CARGO) test --locked

clients: check-packages all
	$(PYTHON) -B tests/clients/run.py $(BINARY)

# Every call of every operation, killed and failed in every way; `make check` takes a part of it.
crash: build-packages
	CRASH_THOROUGH=1 $(CARGO) test --locked --test crash -- --skip torture::

torture: build-packages
	TORTURE_SECONDS=$(TORTURE_SECONDS) $(CARGO) test --locked --test crash -- torture::

fuzz: check-packages fuzz-each

fuzz-each:
	@RUSTFLAGS="$(FUZZ_FLAGS)" $(STEP) "fuzz targets build" $(CARGO) build --release --locked \
	    --manifest-path tests/fuzz/Cargo.toml --target-dir $(TARGET)/fuzz --target $(FUZZ_HOST)
	@for target in $(FUZZ_TARGETS); do $(MAKE) --no-print-directory fuzz-one FUZZ=$$target FUZZ_SECONDS=$(FUZZ_SECONDS) || exit 1; done

# What is newly found goes to the first directory; the saved corpus is only read. Inputs that crash land in tests/fuzz/artifacts.
fuzz-one:
	@mkdir -p $(TARGET)/fuzz/corpus/$(FUZZ) tests/fuzz/artifacts tests/fuzz/corpus/$(FUZZ)
	@$(STEP) "fuzz $(FUZZ)" --show '^(Done|stat::number_of_executed_units)' $(FUZZ_DIR)/$(FUZZ) -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 \
	    -print_final_stats=1 $(if $(wildcard tests/fuzz/imap.dict),-dict=tests/fuzz/imap.dict) \
	    -artifact_prefix=tests/fuzz/artifacts/$(FUZZ)- $(TARGET)/fuzz/corpus/$(FUZZ) tests/fuzz/corpus/$(FUZZ)

bench-packages: build-packages
	@sh contrib/debian-packages bench

# N messages beside Dovecot. ROWS names the rows to run, else all; BENCH="--keep", "--quick", "--list" or "--help" says more.
bench: bench-packages
	$(CARGO) bench --locked --bench walltime -- --messages $(N) $(BENCH) $(ROWS)

bench-million: bench-packages
	$(CARGO) bench --locked --bench walltime -- --million $(BENCH) $(ROWS)

# Builds only where nothing is built yet: `make && sudo make install` needs no Rust for root.
install:
	@[ -x $(BINARY) ] || $(MAKE) all
	install -D -m 755 $(BINARY) "$(DESTDIR)$(SBINDIR)/imapd"
	install -D -m 644 man/imapd.8 "$(DESTDIR)$(MANDIR)/man8/imapd.8"
	install -D -m 644 man/imapd-maildir.5 "$(DESTDIR)$(MANDIR)/man5/imapd-maildir.5"
	for unit in imapd.service imapd.socket imapd@.service; do \
	    install -D -m 644 contrib/$$unit "$(DESTDIR)$(UNITDIR)/$$unit" && \
	    sed -i "s|/usr/sbin/imapd|$(SBINDIR)/imapd|" "$(DESTDIR)$(UNITDIR)/$$unit" || exit 1; \
	done
	install -D -m 644 README.md "$(DESTDIR)$(DOCDIR)/README.md"
	install -D -m 644 contrib/inetd.conf "$(DESTDIR)$(DOCDIR)/contrib/inetd.conf"
	install -D -m 644 contrib/xinetd.d/imapd "$(DESTDIR)$(DOCDIR)/contrib/xinetd.d/imapd"
	install -D -m 644 contrib/xinetd.d/imaps "$(DESTDIR)$(DOCDIR)/contrib/xinetd.d/imaps"
	install -D -m 644 contrib/fail2ban/imapd.conf "$(DESTDIR)$(DOCDIR)/contrib/fail2ban/imapd.conf"
	install -D -m 755 contrib/make-test-cert "$(DESTDIR)$(DOCDIR)/contrib/make-test-cert"
	install -D -m 644 contrib/sysusers.d/imapd.conf "$(DESTDIR)$(SYSUSERSDIR)/imapd.conf"
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then sh contrib/make-account; fi
	install -d "$(DESTDIR)$(SYSCONFDIR)/pam.d"
	for file in imapd.conf pam.d/imapd; do \
	    if [ -e "$(DESTDIR)$(SYSCONFDIR)/$$file" ]; then echo "$(SYSCONFDIR)/$$file is kept as it is"; \
	    else install -m 644 contrib/$$file "$(DESTDIR)$(SYSCONFDIR)/$$file" || exit 1; fi; \
	done

# The configuration, the mail and the account stay.
uninstall:
	rm -f "$(DESTDIR)$(SBINDIR)/imapd" "$(DESTDIR)$(MANDIR)/man8/imapd.8" "$(DESTDIR)$(MANDIR)/man5/imapd-maildir.5"
	rm -f "$(DESTDIR)$(UNITDIR)/imapd.service" "$(DESTDIR)$(UNITDIR)/imapd.socket" "$(DESTDIR)$(UNITDIR)/imapd@.service"
	rm -f "$(DESTDIR)$(SYSUSERSDIR)/imapd.conf"
	rm -rf "$(DESTDIR)$(DOCDIR)"
	@echo "$(SYSCONFDIR)/imapd.conf, $(SYSCONFDIR)/pam.d/imapd and the account _imapd are left for you to remove"

dist:
	git archive --prefix=imapd-$(VERSION)/ -o imapd-$(VERSION).tar.gz HEAD

clean:
	$(CARGO) clean
	rm -rf tests/fuzz/target tests/fuzz/artifacts imapd-*.tar.gz

.PHONY: all run build-packages check-packages bench-packages check fmt lint test clients crash torture fuzz fuzz-each fuzz-one bench bench-million install uninstall dist clean
