"""Sessions whose commands are all sent before any answer is read, in TLS records and in packets that end anywhere."""

import random
import re
import socket
import ssl
import time

from place import HOST, PASSWORD


def pipelined(case, port, context, starttls, user):
    """One session, whose case decides all that is random."""
    chance = random.Random(case)
    said, message_octets = script(case, chance, user)
    records = chance.choice([said, [b"".join(said)], cut(b"".join(said), chance, 20)])
    with socket.create_connection((HOST, port), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if starttls:
            lines = sock.makefile("rb")
            lines.readline()
            sock.sendall(b"s STARTTLS\r\n")
            if not lines.readline().startswith(b"s OK "):
                raise AssertionError("no STARTTLS")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

        def patiently(call, *arguments):
            while True:
                try:
                    return call(*arguments)
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        sock.sendall(outgoing.read())
                    octets = sock.recv(65536)
                    if octets:
                        incoming.write(octets)
                    else:
                        incoming.write_eof()  # an error unless there was close_notify

        patiently(tls.do_handshake)
        for record in records:
            while record:
                record = record[tls.write(record):]
        # In TLS 1.3 with the end of the handshake before it.
        for piece in cut(outgoing.read(), chance, 8):
            sock.sendall(piece)
            if chance.random() < 0.7:
                time.sleep(chance.random() ** 3 * 0.005)
        answers = b"".join(iter(lambda: patiently(tls.read, 65536), b""))
    check(answers, message_octets)


def cut(octets, chance, most):
    """Octets cut at random places, now into few pieces and now into many."""
    places = sorted([0, len(octets), *(chance.randint(0, len(octets)) for _ in range(chance.randint(0, most)))])
    return [octets[start:end] for start, end in zip(places, places[1:]) if start < end]


def script(case, chance, user):
    """What a client says at once, command by command, and the message in it."""
    length = chance.choice([1, 2, 3, 100, 1000, 5000, 16_384, 20_000, 60_000]) + chance.randrange(3)
    octets = bytes(chance.choices(range(33, 127), k=length))
    login = chance.choice([f'a LOGIN {user} "{PASSWORD}"', f"a LOGIN {user} {{{len(PASSWORD)}+}}\r\n{PASSWORD}",
                           f"a LOGIN {{{len(user)}+}}\r\n{user} {{{len(PASSWORD)}+}}\r\n{PASSWORD}"])
    folder = f"cut{case}"
    said = [login, f"b CREATE {folder}", f"c SELECT {{{len(folder)}+}}\r\n{folder}",
            f"d APPEND {folder} {{{length}+}}\r\n{octets.decode()}", "e FETCH 1 BODY.PEEK[]", "f NOOP", "g LOGOUT"]
    return [f"{command}\r\n".encode() for command in said], octets


def check(answers, octets):
    """Every answer, in order, and nothing else."""
    before, body, after = answers.partition(b"BODY[] {%d}\r\n%s" % (len(octets), octets))
    line, untagged = rb"[^\r\n]*\r\n", rb"(?:\* [^\r\n]*\r\n)*"
    answered = [b"".join(untagged + tag + b" OK " + line for tag in tags) for tags in ((b"a", b"b", b"c", b"d"), (b"e", b"f"))]
    complete = (body and re.fullmatch(answered[0] + untagged + rb"\* 1 FETCH \([^\r\n]*", before)
                and re.fullmatch(rb"[^\r\n]*\)\r\n" + answered[1] + rb"\* BYE " + line + b"g OK " + line, after))
    if not complete:
        raise AssertionError(f"{len(answers)} octets, {before[-2000:]!r} ... {after[-1000:]!r}")
