"""Runs the real clients: `run.py BINARY [NAME...]`. A scenario that cannot run here is skipped and says why; in CI it fails.

A NAME chooses the scenarios whose full name has it in it: `run.py target/release/imapd Mbsync_Fork`.
"""

import glob
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is not there: build it first")
    os.environ["IMAPD_BINARY"] = binary
    work = os.path.join(os.path.dirname(os.path.dirname(binary)), "clients")
    os.makedirs(work, exist_ok=True)
    os.environ["IMAPD_UNPACKED"] = unpacked_daemons(os.path.join(work, "daemons"))
    sys.path[:0] = [HERE, *python_packages(os.path.join(work, "python"))]

    from place import Account

    if os.geteuid() == 0:
        Account.remove_leftovers()
    suite = unittest.defaultTestLoader.discover(HERE, "test_*.py")
    if len(sys.argv) > 2:
        suite = unittest.TestSuite(test for test in flat(suite) if any(name in test.id() for name in sys.argv[2:]))
    result = unittest.TextTestRunner(resultclass=OneLineEach, verbosity=0).run(suite)
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped", flush=True)
    sys.exit(0 if failed == 0 and passed > 0 else 1)


class OneLineEach(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def say(self, word, test, reason=""):
        self.stream.writeln(f"{word:4} {test.id()} ({time.monotonic() - self.started:.1f} s) {reason}".rstrip())
        self.stream.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("FAIL", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("FAIL", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("skip", test, reason)


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def unpacked_daemons(directory):
    """Debian's inetd and xinetd exclude each other, and both start when installed: so neither is, both are unpacked here."""
    packages = {"openbsd-inetd": "inetd", "xinetd": "xinetd"}
    sbin = os.path.join(directory, "usr/sbin")
    for package, program in packages.items():
        if os.path.exists(os.path.join(sbin, program)):
            continue
        os.makedirs(directory, exist_ok=True)
        try:
            quietly("apt-get", "download", package, cwd=directory)
            for file in glob.glob(os.path.join(directory, f"{package}_*.deb")):
                quietly("dpkg", "-x", file, directory)
        except (OSError, subprocess.SubprocessError):
            print(f"{package} could not be had")
    return sbin


def python_packages(directory):
    """A virtual environment with what requirements.txt asks for; its package directories."""
    wanted = os.path.join(HERE, "requirements.txt")
    done = os.path.join(directory, "installed.txt")
    with open(wanted, encoding="utf-8") as file:
        text = file.read()
    try:
        with open(done, encoding="utf-8") as file:
            fresh = file.read() == text
    except OSError:
        fresh = False
    if not fresh:
        try:
            quietly(sys.executable, "-m", "venv", "--clear", directory)
            quietly(os.path.join(directory, "bin/python"), "-m", "pip", "install", "--quiet", "-r", wanted)
            with open(done, "w", encoding="utf-8") as file:
                file.write(text)
        except (OSError, subprocess.SubprocessError):
            print("the Python packages of tests/clients/requirements.txt could not be had")
    return glob.glob(os.path.join(directory, "lib/python*/site-packages"))


def quietly(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print(done.stdout.decode("utf-8", "replace"))
        raise subprocess.CalledProcessError(done.returncode, command)


if __name__ == "__main__":
    main()
