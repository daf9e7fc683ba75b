# Asks the server of docs/Programs.md. Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: ask.py SERVER MODEL.lathe

Starts it on a free port with 2 workers, sends lines over 8 connections, and prints the answers of the
first; fails where another one got others."""
import socket
import subprocess
import sys

LINES = ["0.5 -1 0.25 2 0 1.5 4 2", "-0.5 1 0.75 -2 0.1 0 0 1", "0.5 -1 0.25 2 0 1.5 1000 2", "1 2"]


def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("".join(line + "\n" for line in LINES).encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile() as answers:
            return answers.read()


server = subprocess.Popen([sys.argv[1], sys.argv[2], "0", "2"], stdout=subprocess.PIPE, text=True)
try:
    where = int(server.stdout.readline().split()[-1])
    answers = [ask(where) for _ in range(8)]
    assert len(set(answers)) == 1, answers
    print(answers[0], end="")
finally:
    server.kill()
    server.wait()
