"""Servers for the clients to talk to: the real binary in each mode, with an account and a certificate of its own."""

import imaplib
import os
import pty
import pwd
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

BINARY = os.environ.get("IMAPD_BINARY", "target/release/imapd")
HOST = "127.0.0.1"
PASSWORD = "correct horse"
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Throw-away accounts begin with this; what an interrupted run has left is removed by the next.
ACCOUNT_PREFIX = "imapdclient"


def free_port():
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


def run(*command, **options):
    """Runs a command to its end; what it printed comes with the error when it fails."""
    wanted = options.pop("status", 0)
    options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
    if options["stdin"] is None:
        del options["stdin"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=options.pop("timeout", 120), **options
    )
    output = done.stdout.decode("utf-8", "replace")
    if wanted is not None and done.returncode != wanted:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}, wanted {wanted}\n{output[-4000:]}")
    return output


def run_on_terminal(*command, env, seconds=60):
    """Runs a command on a terminal of its own; what it drew there."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.execvpe(command[0], command, env)
        finally:
            os._exit(127)
    drawn = b""
    end = time.monotonic() + seconds
    try:
        while True:
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                raise AssertionError(f"{command[0]} did not end in {seconds} s; it drew:\n{drawn[-3000:].decode('utf-8', 'replace')}")
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # the other side is closed: it has ended
                break
            if not chunk:
                break
            drawn += chunk
    finally:
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = drawn.decode("utf-8", "replace")
    if status != 0:
        raise AssertionError(f"{' '.join(command)}: exit {status}\n{text[-4000:]}")
    return text


def wait_for(what, condition, seconds=15):
    """Asks until the condition holds; what it gave then."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


class Account:
    """A Unix user for as long as the test lasts."""

    def __init__(self, directory, letter="a"):
        self.name = f"{ACCOUNT_PREFIX}{os.getpid()}{letter}"
        self.home = os.path.join(directory, self.name)
        run("useradd", "--create-home", "--home-dir", self.home, "--shell", "/bin/sh", self.name)
        run("chpasswd", input=f"{self.name}:{PASSWORD}\n".encode())
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        os.chmod(self.home, 0o700)

    def remove(self):
        subprocess.run(["userdel", "--force", "--remove", self.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def remove_leftovers():
        for entry in pwd.getpwall():
            if not entry.pw_name.startswith(ACCOUNT_PREFIX):
                continue
            owner = entry.pw_name[len(ACCOUNT_PREFIX):].rstrip("abc")
            if not os.path.exists(f"/proc/{owner}"):
                subprocess.run(["userdel", "--force", entry.pw_name], stderr=subprocess.DEVNULL)


class Place:
    """A running server and one account on it."""

    tls = None  # "implicit", "starttls" or None: how the account is to be reached
    user = "test"
    password = PASSWORD
    maildir = None  # where its mail lies, where that is a directory
    uid = gid = None
    last_log = ""  # what the server had logged when it was stopped

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="imapd-clients.")
        os.chmod(self.directory, 0o755)  # the throw-away user's home is in it
        self.port = free_port()
        self.process = None
        self.log = os.path.join(self.directory, "log")
        self.cert = os.path.join(self.directory, "cert.pem")
        self.key = os.path.join(self.directory, "key.pem")
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.stop()
            raise

    def prepare(self):
        pass

    def arguments(self):
        raise NotImplementedError

    def make_certificate(self):
        run("sh", os.path.join(TOP, "contrib/make-test-cert"), self.cert, self.key)

    def command(self):
        # No configuration of this machine's: an empty file stands in for /etc/imapd.conf.
        empty = write(os.path.join(self.directory, "imapd.conf"), "", 0o644)
        return [BINARY, "--config", empty, *self.arguments()]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_until_it_listens()

    def wait_until_it_listens(self):
        def listens():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}\n{self.logged()}")
            try:
                socket.create_connection((HOST, self.port), 1).close()
            except OSError:
                return False
            return True

        wait_for(f"a server on port {self.port}", listens)

    def logged(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return log.read()[-6000:]
        except OSError:
            return ""

    def end(self):
        """Ends the server; the place stays."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stop(self):
        self.end()
        self.clean_up()
        self.last_log = self.logged()
        shutil.rmtree(self.directory, ignore_errors=True)

    def clean_up(self):
        pass

    def path(self, name):
        return os.path.join(self.directory, name)

    def trust(self):
        """A TLS context that trusts the server's certificate and nothing else."""
        context = ssl.create_default_context(cafile=self.cert)
        context.check_hostname = False
        return context

    def connect(self):
        if self.tls == "implicit":
            return imaplib.IMAP4_SSL(HOST, self.port, ssl_context=self.trust(), timeout=30)
        client = imaplib.IMAP4(HOST, self.port, timeout=30)
        if self.tls == "starttls":
            client.starttls(self.trust())
        return client

    def login(self):
        client = self.connect()
        # imaplib writes an APPEND's literal and its line end apart, which waits for a delayed ACK each time.
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.login(self.user, self.password)
        return client

    def deliver(self, message, unique):
        """As a mail transfer agent does: into tmp/, then into new/."""
        for name in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(self.maildir, name), exist_ok=True)
        temporary = os.path.join(self.maildir, "tmp", unique)
        with open(temporary, "wb") as file:
            file.write(message.replace(b"\r\n", b"\n"))
        if self.uid is not None:
            for path in (self.maildir, *(os.path.join(self.maildir, n) for n in ("tmp", "new", "cur")), temporary):
                os.chown(path, self.uid, self.gid)
        os.rename(temporary, os.path.join(self.maildir, "new", unique))


class Demo(Place):
    """What `make run` starts: one process, mail in memory."""

    password = "test"

    def arguments(self):
        return ["--demo", "-s", "memory", "-h", HOST, "-p", str(self.port)]


class PasswordFile(Place):
    """One process, Maildir, a user who is in no /etc/passwd, STARTTLS."""

    tls = "starttls"

    def prepare(self):
        self.make_certificate()
        base = self.path("mail")
        os.mkdir(base)
        self.maildir = os.path.join(base, self.user)
        write(self.path("users"), f"{self.user}:{{PLAIN}}{PASSWORD}\n")

    def arguments(self):
        return ["-s", "maildir", "--maildir-path", self.path("mail"), "--passwd-file", self.path("users"),
                "--cert", self.cert, "--key", self.key, "-h", HOST, "-p", str(self.port)]


class Fork(Place):
    """Production: a process per connection, PAM, the user's own Maildir, implicit TLS."""

    tls = "implicit"
    account = None

    def prepare(self):
        self.make_certificate()
        self.account = Account(self.directory)
        self.user, self.uid, self.gid = self.account.name, self.account.uid, self.account.gid
        self.maildir = os.path.join(self.account.home, "Maildir")

    def arguments(self):
        return ["--fork", "-s", "maildir", "--tls", "--cert", self.cert, "--key", self.key, "-h", HOST,
                "-p", str(self.port)]

    def clean_up(self):
        if self.account:
            self.account.remove()


ALL = (Demo, PasswordFile, Fork)


def message(number, kind=None, padding=0):
    """A message of one of some kinds: plain, 8-bit, MIME, without a final line end, with a long line."""
    head = (
        f"From: Sender {number} <sender{number}@example.org>\r\nTo: test@example.org\r\n"
        f"Date: Mon, 02 Mar 2026 10:{number // 60 % 60:02}:{number % 60:02} +0100\r\n"
        f"Message-ID: <m{number}@example.org>\r\n"
    )
    kind = number % 5 if kind is None else kind
    if kind == 0:
        text = f"{head}Subject: plain {number}\r\n\r\nHello number {number}.\r\n"
    elif kind == 1:
        text = (f"{head}Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_{number}?=\r\nMIME-Version: 1.0\r\n"
                f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                f"Schöne Grüße, Nummer {number}.\r\n")
    elif kind == 2:
        text = (f"{head}Subject: parts {number}\r\nMIME-Version: 1.0\r\n"
                f"Content-Type: multipart/mixed; boundary=\"b{number}\"\r\n\r\npreamble\r\n--b{number}\r\n"
                f"Content-Type: text/plain\r\n\r\npart one\r\n--b{number}\r\nContent-Type: application/octet-stream\r\n"
                f"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=x{number}.bin\r\n\r\n"
                f"AAECAwQFBgc=\r\n--b{number}--\r\n")
    elif kind == 3:
        text = f"{head}Subject: no final line end {number}\r\n\r\nThe end"
    else:
        text = f"{head}Subject: long line {number}\r\n\r\n{'x' * 3000}\r\n.\r\n..\r\nFrom here\r\n"
    if padding:
        text += ("y" * 76 + "\r\n") * (padding // 78)
    return text.encode()
