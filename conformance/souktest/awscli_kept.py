# The AWS CLI, started once for many commands. It imports what the program
# imports, and then runs the program itself, unchanged, once for each command
# that it is asked for, each in a fork of this process: with the arguments, the
# environment, the folder and the files of who asks, and untouched by the
# commands before it. Of the program nothing is replaced; it only finds the files
# of its own installation, which don't change while it runs, read already.
#
# python awscli_kept.py PROGRAM, with a listening socket as file 3. It ends with
# its standard input: nobody who is gone leaves it behind.
import gc
import marshal
import os
import runpy
import select
import socket
import sys

PROGRAM = sys.argv[1]
sys.path[0] = os.path.dirname(PROGRAM)
before = dict(os.environ)

import awscli.clidriver
import awscli.handlers  # the program imports them when it has read its plugins

# What importing does to the environment it would do in every command.
imported = {name: value for name, value in os.environ.items() if before.get(name) != value}

# Release 2 brings its botocore along.
loaders = sys.modules.get("awscli.botocore.loaders") or sys.modules["botocore.loaders"]
folders = [
    os.path.join(os.path.dirname(awscli.__file__), "data"),
    loaders.Loader.BUILTIN_DATA_PATH,
]
installed = tuple(os.path.join(f, "") for f in folders)


def remember(name):
    read, answers = getattr(loaders.JSONFileLoader, name), {}

    def remembered(self, path):
        if not path.startswith(installed):
            return read(self, path)
        if path not in answers:
            answers[path] = read(self, path)
        return answers[path]

    setattr(loaders.JSONFileLoader, name, remembered)


remember("exists")
remember("load_file")
own = loaders.Loader(extra_search_paths=folders, include_default_search_paths=False)
services = own.list_available_services("service-2")


def read_folder(folder):
    """Reads the models in a folder of the installation."""
    for place in installed:
        if os.path.isdir(place + folder):
            for file in os.listdir(place + folder):
                name = file.removesuffix(".gz").removesuffix(".json")
                if name != file and not name.startswith("examples"):
                    own.load_data(os.path.join(folder, name))


def read_before(words):
    """Reads what commands of these services will ask for."""
    for name in words:
        if name in services:
            read_folder(os.path.join(name, own.determine_latest_version(name, "service-2")))


def exactly(connection, size):
    got = b""
    while len(got) < size:
        more = connection.recv(size - len(got))
        if not more:
            raise EOFError
        got += more
    return got


def command(arguments, environment, folder, files):
    """Becomes the program; in a fork, and it does not come back."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.environ.update(imported)
    sys.argv = [PROGRAM] + arguments
    runpy.run_path(PROGRAM, run_name="__main__")
    sys.exit(0)


read_folder("")
asking, known = socket.socket(fileno=3), set()
gc.collect()
while 0 not in select.select([0, asking], [], [])[0]:
    connection, _ = asking.accept()
    try:
        size, files, _, _ = socket.recv_fds(connection, 8, 3)
        arguments, environment, folder = marshal.loads(exactly(connection, int.from_bytes(size, "big")))
    except (EOFError, OSError):
        connection.close()  # who asked is gone
        continue
    new = set(arguments) - known
    known |= new
    read_before(new)
    gc.freeze()  # so that forks don't write to what they share
    child = os.fork()
    if child == 0:
        connection.close()
        asking.close()
        command(arguments, environment, folder, files)
    for file in files:
        os.close(file)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    try:
        connection.sendall(bytes([code if code >= 0 else 128 - code]))
    except OSError:
        pass  # who asked is gone
    connection.close()
