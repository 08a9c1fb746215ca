# The command aws of a kept AWS CLI: it hands its arguments, its environment, its
# folder and its three files to the program that is kept, and ends as that says.
# _socket and marshal are built in: socket and json would take longer to import
# than all this takes.
import _socket
import marshal
import os
import sys

here = os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0])))
kept = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
kept.connect(os.path.join(here, "socket"))
asked = marshal.dumps((sys.argv[1:], dict(os.environ), os.getcwd()))
files = b"".join(n.to_bytes(4, sys.byteorder) for n in (0, 1, 2))
kept.sendmsg([len(asked).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
kept.sendall(asked)
answer = kept.recv(1)
if not answer:
    sys.exit("aws: the program that is kept has ended")
sys.exit(answer[0])
