"""Stands in for systemd-socket-activate: `socket_activate.py HOST PORT PROGRAM...` starts it with a listening socket as descriptor 3."""

import os
import socket
import sys

listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
os.dup2(listener.fileno(), 3)
# If it was 3 already, dup2 has left it as it was.
os.set_inheritable(3, True)
os.execve(sys.argv[3], sys.argv[3:], {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
