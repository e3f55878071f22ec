"""Who else may start imapd: inetd, xinetd, systemd's sockets; and the units that we ship."""

import glob
import os
import re
import shutil
import signal
import sys

from place import BINARY, HOST, TOP, Account, Fork, message, run, wait_for, write
from scenario import Scenario, crlf, expect


class Inetd(Fork):
    """openbsd-inetd starts `imapd --inetd` as root for each connection."""

    program = "inetd"

    def arguments(self):
        return ["--inetd", "-s", "maildir", "--tls", "--cert", self.cert, "--key", self.key]

    def command(self):
        imapd = [os.path.abspath(BINARY), "imapd", *super().command()[1:]]
        path = write(self.path("inetd.conf"), f"{HOST}:{self.port} stream tcp nowait root {' '.join(imapd)}\n")
        return [program(self.program), "-d", "-i", path]


class InetdWithStartTls(Inetd):
    tls = "starttls"

    def arguments(self):
        return ["--inetd", "-s", "maildir", "--cert", self.cert, "--key", self.key]


class Xinetd(Inetd):
    program = "xinetd"

    def command(self):
        imapd = super(Inetd, self).command()[1:]
        path = write(self.path("xinetd.conf"), f"""
defaults
{{
    log_type = FILE {self.path('xinetd.log')}
}}
service imaps-test
{{
    type = UNLISTED
    socket_type = stream
    protocol = tcp
    wait = no
    user = root
    bind = {HOST}
    port = {self.port}
    server = {os.path.abspath(BINARY)}
    server_args = {' '.join(imapd)}
}}
""")
        return [program("xinetd"), "-dontfork", "-f", path, "-pidfile", self.path("xinetd.pid")]


class SocketActivation(Fork):
    """systemd-socket-activate hands over a listening socket (LISTEN_FDS)."""

    def command(self):
        # The address and the port come with the socket.
        imapd = super().command()
        imapd = [os.path.abspath(imapd[0]), *imapd[1:-4]]
        starter = shutil.which("systemd-socket-activate")
        if starter:
            return [starter, "-l", f"{HOST}:{self.port}", *imapd]
        return [sys.executable, os.path.join(os.path.dirname(__file__), "socket_activate.py"), HOST, str(self.port), *imapd]


class AcceptedSocket(SocketActivation):
    """The same with Accept=yes, as imapd@.service is started: the connection is standard input."""

    def command(self):
        imapd = Fork.command(self)
        imapd = [os.path.abspath(imapd[0]), *imapd[1:]]
        return [program("systemd-socket-activate"), "--accept", "--inetd", "-l", f"{HOST}:{self.port}", *imapd]

    def arguments(self):
        return ["-s", "maildir", "--tls", "--cert", self.cert, "--key", self.key]


def program(name):
    """The program, from the system or from where tests/clients/run.py has unpacked it."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin:" + os.environ.get("IMAPD_UNPACKED", ""))
    if not found:
        raise FileNotFoundError(name)
    return found


class UnderInetd(Scenario):
    place_type = Inetd

    def setUp(self):
        name = {Xinetd: "xinetd", AcceptedSocket: "systemd-socket-activate"}.get(self.place_type, "inetd")
        if self.place_type is not SocketActivation:
            try:
                program(name)
            except FileNotFoundError:
                self.cannot(f"{name} is not installed")
        super().setUp()

    def test_serves_the_users_own_maildir_as_the_user(self):
        place = self.place
        place.deliver(message(1), "1700000001.M1.mta")
        client = place.login()
        expect(client.select())
        sessions = self.sessions()
        self.assertEqual(len(sessions), 1, f"processes of {place.user}: {sessions}")
        status = sessions[0]
        self.assertEqual(re.search(r"^Uid:\s+(.*)$", status, re.M)[1].split(), [str(place.uid)] * 4)
        self.assertEqual(re.search(r"^Gid:\s+(.*)$", status, re.M)[1].split(), [str(place.gid)] * 4)
        self.assertEqual(re.search(r"^Groups:[ \t]*(.*?)\s*$", status, re.M)[1].split(), [str(place.gid)])
        for kind in ("Inh", "Prm", "Eff", "Amb"):
            self.assertEqual(int(re.search(rf"^Cap{kind}:\s+(.*)$", status, re.M)[1], 16), 0, kind)
        octets = expect(client.fetch("1", "(BODY.PEEK[])"))[0][1]
        self.assertEqual(octets, crlf(message(1)))
        expect(client.append("INBOX", None, None, message(2)))
        owner = {os.stat(path).st_uid for path in glob.glob(f"{place.maildir}/*/*")}
        self.assertEqual(owner, {place.uid})
        self.assertEqual(client.logout()[0], "BYE")
        wait_for("the session's end", lambda: not self.sessions())

    def test_serves_many_at_once(self):
        clients = [self.place.login() for _ in range(20)]
        for number, client in enumerate(clients):
            expect(client.append("INBOX", None, None, message(number)))
        for client in clients:
            self.assertEqual(int(expect(client.select())[0]), 20)
            client.logout()

    def sessions(self):
        found = []
        for path in glob.glob("/proc/[0-9]*/status"):
            try:
                with open(path, encoding="utf-8") as file:
                    status = file.read()
            except OSError:
                continue
            ended = re.search(r"^State:\s+Z", status, re.M)
            if not ended and re.search(rf"^Uid:\s+{self.place.uid}\b", status, re.M):
                found.append(status)
        return found


class UnderInetdWithStartTls(UnderInetd):
    place_type = InetdWithStartTls


class UnderXinetd(UnderInetd):
    place_type = Xinetd


class UnderSocketActivation(UnderInetd):
    place_type = SocketActivation


class UnderAcceptedSocket(UnderInetd):
    place_type = AcceptedSocket


class Production(UnderInetd):
    """No starter but itself: `imapd --fork`."""

    place_type = Fork

    def setUp(self):
        Scenario.setUp(self)

    def test_cannot_open_another_users_mail(self):
        other = Account(self.place.directory, "b")
        self.addCleanup(other.remove)
        client = self.place.login()
        for name in (f"../{other.name}/Maildir", f"~{other.name}", f"/{other.home}/Maildir", f"#user/{other.name}"):
            self.assertNotEqual(client.select(f'"{name}"')[0], "OK")
        client.logout()

    def test_an_idle_session_uses_little_memory(self):
        client = self.place.login()
        expect(client.select())
        client.send(b"i IDLE\r\n")
        client.readline()
        pid = re.search(r"^Pid:\s+(\d+)$", self.sessions()[0], re.M)[1]
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
            private = int(re.search(r"^Private_Dirty:\s+(\d+) kB", file.read(), re.M)[1])
        sys.stderr.write(f"Private_Dirty of an idle session over TLS: {private} KiB\n")
        self.assertLess(private, 3 * 1024)

    def test_ends_its_sessions_at_the_second_sigterm(self):
        client = self.place.login()
        self.place.process.send_signal(signal.SIGTERM)

        def refuses():
            try:
                self.place.connect().shutdown()
            except OSError:
                return True
            return False

        wait_for("no more connections", refuses)
        expect(client.noop())
        self.place.process.send_signal(signal.SIGTERM)
        self.place.process.wait(10)
        with self.assertRaises(Exception):
            for _ in range(10):
                expect(client.noop())


class Units(Scenario):
    """What systemd thinks of the units that we ship."""

    needs = ("systemd-analyze",)

    def test_are_valid(self):
        directory = os.path.join(os.path.dirname(os.path.abspath(BINARY)), "units")
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        self.addCleanup(shutil.rmtree, directory)
        for name in ("imapd.service", "imapd.socket", "imapd@.service"):
            with open(os.path.join(TOP, "contrib", name), encoding="utf-8") as unit:
                text = unit.read().replace("/usr/sbin/imapd", os.path.abspath(BINARY))
            write(os.path.join(directory, name), text, 0o644)
        for name in ("imapd.service", "imapd.socket", "imapd@.service"):
            seen = run("systemd-analyze", "verify", "--man=no", os.path.join(directory, name), status=None)
            ours = [line for line in seen.splitlines() if "imapd" in line]
            self.assertEqual(ours, [], seen)
