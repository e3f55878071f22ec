"""TLS from the gate's handshake to the user's process: every suite, certificates of both kinds, and clients that are no relatives of ours.

tests/handover shows the same in one process and with more cases; here it is the daemon as it runs in production."""

import fcntl
import os
import queue
import random
import re
import ssl
import struct
import subprocess
import termios
import threading
import time

import mbsync
from pipelined import pipelined
from place import HOST, PASSWORD, Fork, free_port, message, run, write
from scenario import LocalMaildir, Scenario, expect, ids

KINDS = {"ECDSA": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "RSA": ("rsa:2048",)}
SUITES_OF_TLS_1_2 = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
SUITES_OF_TLS_1_3 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
WAYS = ("implicit", "starttls")
# Connections whose commands are cut, of each kind of certificate.
CASES = 300


class TwoCertificates(Fork):
    """Production, with a certificate of each kind, a port for STARTTLS too, and passwords that take no time to check."""

    usual = "ECDSA"  # the kind for clients that can do with both

    def prepare(self):
        self.starttls_port = free_port()
        super().prepare()
        write(self.path("users"), f"{self.user}:{{PLAIN}}{PASSWORD}\n")

    def make_certificate(self):
        for kind, key in KINDS.items():
            run("openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", f"subjectAltName=DNS:localhost,DNS:{kind.lower()}.example.org",
                "-keyout", self.path(f"{kind}.key"), "-out", self.path(f"{kind}.pem"))
        self.cert = self.path(f"{self.usual}.pem")

    def arguments(self):
        files = []
        for kind in sorted(KINDS, key=lambda kind: kind != self.usual):
            files += ["--cert", self.path(f"{kind}.pem"), "--key", self.path(f"{kind}.key")]
        return ["--fork", "-s", "maildir", *files, "--passwd-file", self.path("users"), "--log", "stderr", "-h", HOST,
                "-p", str(self.starttls_port), "--tls-port", str(self.port)]

    def by(self, way):
        """The same place, to be reached in this way from here on."""
        if way != self.tls:
            self.tls, self.port, self.starttls_port = way, self.starttls_port, self.port
        return self

    def context(self, suite=None, version=ssl.TLSVersion.TLSv1_3):
        """Trusts the usual certificate alone and speaks this version, and of TLS 1.2 this suite."""
        context = ssl.create_default_context(cafile=self.cert)
        context.check_hostname = False
        context.minimum_version = context.maximum_version = version
        if suite:
            context.set_ciphers(suite)
        return context


class TwoCertificatesRsa(TwoCertificates):
    usual = "RSA"


class Ecdsa(Scenario):
    place_type = TwoCertificates
    needs = ("openssl", "curl", "mbsync")

    def suites(self):
        """Version and suite, as OpenSSL calls them, that fit this certificate."""
        kind = self.place.usual
        return ([("TLSv1.2", f"ECDHE-{kind}-{suite}") for suite in SUITES_OF_TLS_1_2]
                + [("TLSv1.3", suite) for suite in SUITES_OF_TLS_1_3])

    def tearDown(self):
        ordinary = re.compile(r"imapd\[\d+\]: (Login|Logout|No login|listening|there is no account _imapd)\b")
        self.assertEqual([line for line in read(self.place.log).splitlines() if not ordinary.match(line)], [], "the server's log")

    def test_python_gets_back_what_it_stores_under_every_suite(self):
        octets = random_message(random.Random(1), 300_000)
        for way in WAYS:
            place = self.place.by(way)
            contexts = [(suite, place.context(suite, ssl.TLSVersion.TLSv1_2)) for version, suite in self.suites() if version == "TLSv1.2"]
            # It cannot choose one of TLS 1.3: openssl and curl do below.
            for suite, context in [*contexts, (None, place.context())]:
                place.trust = lambda context=context: context
                client = place.login()
                self.assertIn(client.sock.cipher()[0], [suite] if suite else SUITES_OF_TLS_1_3)
                name = f"{way}-{suite}"
                expect(client.create(name))
                expect(client.append(name, None, None, octets))
                expect(client.select(name))
                self.assertEqual(expect(client.fetch("1", "BODY.PEEK[]"))[0][1], octets, name)
                # An end without close_notify is an error then.
                client.sock.suppress_ragged_eofs = False
                client.send(b"z LOGOUT\r\n")
                self.assertRegex(client.file.read(), rb"\A\* BYE [^\r\n]*\r\nz OK [^\r\n]*\r\n\Z")
                client.shutdown()

    def test_what_is_pipelined_behind_login_arrives_wherever_it_is_cut(self):
        cases, done, wrong = queue.SimpleQueue(), [], []
        older = [self.place.context(suite, ssl.TLSVersion.TLSv1_2) for version, suite in self.suites() if version == "TLSv1.2"]
        contexts = [context for suite in older for context in (suite, self.place.context())]
        ways = [(way, self.place.by(way).port, context) for way in WAYS for context in contexts]
        for case in range(CASES):
            cases.put(case)

        def work():
            while not wrong:
                try:
                    case = cases.get_nowait()
                except queue.Empty:
                    return
                way, port, context = ways[case % len(ways)]
                try:
                    pipelined(case, port, context, way == "starttls", self.place.user)
                    done.append(case)
                except Exception as error:  # of a thread: told by the one that waits
                    wrong.append(f"case {case}, {way}, {context.maximum_version.name}: {error!r}")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertFalse(wrong)
        self.assertEqual(len(done), CASES)

    def s_client(self, way, *options):
        """The words to start it with."""
        place = self.place.by(way)
        starttls = ("-starttls", "imap") if way == "starttls" else ()
        return ("openssl", "s_client", "-connect", f"{HOST}:{place.port}", "-CAfile", place.cert, "-verify_return_error", "-crlf",
                *starttls, *options)

    def test_openssl_logs_in_under_every_suite(self):
        for way in WAYS:
            for version, suite in self.suites():
                options = ("-tls1_2", "-cipher", suite) if version == "TLSv1.2" else ("-tls1_3", "-ciphersuites", suite)
                said = f'a login {self.place.user} "{PASSWORD}"\nb select inbox\nc logout\n'
                seen = run(*self.s_client(way, "-ign_eof", *options), input=said.encode(), timeout=30)
                self.assertIn(f"New, TLSv1.{'2' if version == 'TLSv1.2' else '3'}, Cipher is {suite}", seen)
                self.assertRegex(seen, r"(?s)\na OK .*\nb OK .*\n\* BYE .*\nc OK .*\nclosed\n")

    def test_openssl_changes_its_keys_before_and_after_login(self):
        for way in WAYS:
            for suite in SUITES_OF_TLS_1_3:
                client = Talking(*self.s_client(way, "-tls1_3", "-ciphersuites", suite))
                try:
                    self.change_keys(client, f"keys-{way}-{suite}")
                finally:
                    client.end()

    def change_keys(self, client, folder):
        """`K` changes the keys of both sides, `k` those of the client alone (s_client(1), connected commands)."""
        if self.place.tls == "implicit":
            client.hear(r"\* OK ")
        for number in range(3):
            client.update("K")
            client.update("k")
            client.say(f"before{number} NOOP")
            client.hear(f"before{number} OK ")
        # Right behind LOGIN: the request comes before, while or after the connection crosses.
        client.say(f'login LOGIN {self.place.user} "{PASSWORD}"')
        client.update("K")
        client.hear("login OK ")
        client.update("k")
        client.say(f"create CREATE {folder}")
        client.hear("create OK ")
        lines = ["Subject: lines", "", *(f"line {number} {'x' * number}" for number in range(200))]
        client.say(f"append APPEND {folder} {{{sum(len(line) + 2 for line in lines)}}}")
        client.hear(r"\+ ")
        for number, line in enumerate(lines):
            if number % 50 == 20:
                client.update("K")
            client.say(line)
        client.say("")
        client.hear("append OK ")
        client.say(f"select SELECT {folder}")
        client.hear("select OK ")
        for number in range(3):
            client.update("K")
            client.update("k")
            client.say(f"fetch{number} FETCH 1 BODY.PEEK[]")
            client.hear(r"\* 1 FETCH ")
            self.assertEqual([client.line() for _ in lines], lines)
            client.hear(f"fetch{number} OK ")
        client.update("K")
        client.say("logout LOGOUT")
        client.hear(r"\* BYE ")
        client.hear("logout OK ")

    def test_openssl_changes_its_keys_while_the_connection_crosses(self):
        for way in WAYS:
            for number in range(12):
                client = Talking(*self.s_client(way, "-tls1_3", "-ciphersuites", SUITES_OF_TLS_1_3[number % 3]))
                try:
                    # The gate does not answer this request, as it has nothing to say until it is gone,
                    client.update("K")
                    client.say(f"a LOGIN {self.place.user} {{{len(PASSWORD)}+}}")
                    if number % 2:
                        client.update("K")
                    client.say(PASSWORD)
                    # and this one it may not see.
                    time.sleep(0.0005 * number)
                    client.update("K")
                    client.update("k")
                    client.say("b NOOP")
                    client.hear("a OK ")
                    client.hear("b OK ")
                    client.say("c LOGOUT")
                    client.hear("c OK ")
                finally:
                    client.end()

    def test_curl_moves_great_messages_under_every_suite(self):
        place = self.place
        octets, up, down = random_message(random.Random(2), 5_000_000), place.path("up"), place.path("down")
        with open(up, "wb") as file:
            file.write(octets)
        client = place.by("implicit").login()
        folders = {"TLSv1.2": "curl2", "TLSv1.3": "curl3"}
        for folder in folders.values():
            expect(client.create(folder))
        client.logout()
        for number, (version, suite) in enumerate(self.suites()):
            options = (["--tlsv1.2", "--tls-max", "1.2", "--ciphers", suite] if version == "TLSv1.2"
                       else ["--tlsv1.3", "--tls13-ciphers", suite])
            for way in WAYS if number % 2 else reversed(WAYS):
                address = f"{'imaps' if way == 'implicit' else 'imap'}://localhost:{place.by(way).port}/{folders[version]}"

                def curl(path, *arguments, options=options, address=address):
                    seen = run("curl", "-sSv", "--max-time", "30", "--ssl-reqd", "--cacert", place.cert, *options, *arguments,
                               "--user", f"{place.user}:{PASSWORD}", f"{address}{path}")
                    self.assertIn(f"SSL connection using {version} / {suite}", seen)

                if not os.path.exists(down):
                    curl("", "-T", up)
                curl(f";UID={number % 3 + 1}", "-o", down)
                with open(down, "rb") as file:
                    self.assertTrue(file.read() == octets, f"{way} {version} {suite}")
            os.unlink(down)

    def test_mbsync_takes_all_and_then_has_nothing_to_do(self):
        place = self.place
        near = LocalMaildir(place.path("local/INBOX"))
        near.make()
        os.mkdir(place.path("mbsync-state"))
        for way, here, there in (("implicit", range(20), range(20, 200)), ("starttls", range(200, 220), range(220, 400))):
            near.put(here)
            for number in there:
                place.deliver(message(number), f"1700000000.M{number}P1.mx")
            configuration = mbsync.configuration(place.by(way), "Patterns INBOX\nCreate Both")
            self.assertEqual(mbsync.sync(place, configuration), [20, 0, 0, 180, 0, 0])
            self.assertEqual(mbsync.sync(place, configuration), [0, 0, 0, 0, 0, 0], "the second run has nothing to do")
        self.assertEqual(set(self.contents()), ids(range(400)))
        self.assertEqual(set(near.files()), ids(range(400)))

    def test_openssl_gets_the_certificate_of_the_name(self):
        other = next(kind for kind in KINDS if kind != self.place.usual)
        write(self.place.path("both.pem"), "".join(read(self.place.path(f"{kind}.pem")) for kind in KINDS))
        for way in WAYS:
            for version in ("-tls1_2", "-tls1_3"):
                for kind in KINDS:
                    self.assertEqual(self.certificate(way, version, "-servername", f"{kind.lower()}.example.org"), kind)
                for name in (("-noservername",), ("-servername", "localhost"), ("-servername", "elsewhere.example.org")):
                    self.assertEqual(self.certificate(way, version, *name), self.place.usual)
            # One that cannot do with the usual kind.
            self.assertEqual(self.certificate(way, "-tls1_2", "-cipher", f"ECDHE-{other}-AES128-GCM-SHA256"), other)

    def certificate(self, way, *options):
        """The kind of the one that is presented to a client who then logs in."""
        said = f'a login {self.place.user} "{PASSWORD}"\nb logout\n'
        trust = ("-CAfile", self.place.path("both.pem"))
        seen = run(*self.s_client(way, "-ign_eof", *trust, *options), input=said.encode(), timeout=30)
        self.assertIn("\nb OK ", seen)
        return next((kind for kind in KINDS if read(self.place.path(f"{kind}.pem")).strip() in seen), None)


class Rsa(Ecdsa):
    place_type = TwoCertificatesRsa


class Talking:
    """A program to talk with by lines."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.heard, self.told = queue.Queue(), queue.Queue()
        for stream, lines in ((self.process.stdout, self.heard), (self.process.stderr, self.told)):
            threading.Thread(target=self.read, args=(stream, lines), daemon=True).start()

    @staticmethod
    def read(stream, lines):
        with stream:
            for line in iter(stream.readline, b""):
                lines.put(line.decode("utf-8", "replace").rstrip("\r\n"))
        lines.put(None)

    def line(self, lines=None):
        try:
            line = (lines or self.heard).get(timeout=30)
        except queue.Empty:
            raise AssertionError("it says nothing") from None
        if line is None:
            raise AssertionError("it has ended")
        return line

    def hear(self, pattern, lines=None):
        """The lines before one that begins in this way."""
        before = []
        try:
            while not re.match(pattern, line := self.line(lines)):
                before.append(line)
        except AssertionError as error:
            raise AssertionError(f"no {pattern}, {error}: {before[-20:]}") from None
        return before

    def say(self, line):
        self.process.stdin.write(f"{line}\n".encode())

    def update(self, letter):
        # s_client looks for a command at the beginning of what it reads.
        while struct.unpack("i", fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4)))[0] > 0:
            time.sleep(0.0005)
        self.say(letter)
        self.hear("KEYUPDATE", self.told)

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def random_message(chance, length):
    """A message with a body of lines of any octets but NUL and those of line ends, as long as SMTP allows."""
    any_octet = bytes(set(range(256)) - {0, 10, 13})
    body = chance.choices(any_octet, k=length)
    for end in range(998, length, 1000):
        body[end:end + 2] = b"\r\n"
    return b"Subject: any octets\r\n\r\n" + bytes(body)
