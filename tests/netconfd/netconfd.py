#!/usr/bin/env python3
"""A real NETCONF server on loopback for tests: Debian's netconfd behind a private OpenSSH server.

    netconfd.py start DIR [PORT]    start in the background; prints one line "ready 127.0.0.1:PORT user=… key=…"
    netconfd.py run DIR [PORT]      the same, then stay until standard input ends or a signal comes; stops by itself
    netconfd.py restart DIR         end netconfd alone and start it again: every session drops, what was committed stays
    netconfd.py stop DIR            stop both daemons of DIR
    netconfd.py login               print "user:password" of the login user alone (root only)
    netconfd.py free-port           print a port on loopback that nobody listens on

PORT 0 (the default) takes a free one. Options, to be given before the command's arguments:

    --base10            announce base:1.0 alone (end-of-message framing)
    --banner            the SSH server sends a banner before the login
    --startup           with a startup datastore
    --writable-running  running instead of candidate is what edits go to
    --max-sessions N    netconfd takes N - 1 sessions; the one too many gets end of file instead of a hello
    --empty             start with an empty configuration instead of initial.xml
    --sshd LINE         one more line for sshd_config, may be repeated

DIR gets the client's keys, known_hosts and the logs. Everything that the daemons share lies in a directory of its own
under /tmp, which other users may enter: a socket's path is short by need, and the login user is not the caller.

The login user is `ncgate-test`, made on first use when root runs this; its password is random and kept in
/run/ncgate-test.password, readable by root alone. Any other caller can start the server too, but only that user can log
in, and only with a key: the line then has no `password=`.

Exit status: 0; 1 for a failure; 3 when the packages (netconfd, openssh-server, openssh-client) are missing.
"""

import argparse
import fcntl
import json
import os
import pwd
import random
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NETCONFD = "/usr/sbin/netconfd"
SUBSYSTEM = "/usr/sbin/netconf-subsystem"
SSHD = "/usr/sbin/sshd"
MODULES = "/usr/share/yuma/modules"
TEST_USER = "ncgate-test"
PASSWORD_FILE = "/run/ncgate-test.password"
PASSPHRASE = "tomato-and-basil"
START_SECONDS = 10.0

HELLO = (
    '<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>'
    "<capability>urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>]]>]]>"
)


class Failure(Exception):
    """What the caller is told; the program then ends with status 1."""


def wait_for(what, condition, seconds=START_SECONDS):
    """Ask `condition` until it holds; a Failure names `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds:.0f} s")
        select.select([], [], [], 0.03)


def free_port():
    """A port that nobody listens on, below those that outgoing connections get: it is still free when it is used."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None


def key_pair(path, *arguments):
    if not os.path.exists(path):
        subprocess.run(["ssh-keygen", "-q", "-C", "ncgate-test", "-f", path, *arguments], check=True)


def login_user():
    """Name and password (None without root) of who logs in."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name, None
    with open("/run/ncgate-test.lock", "w") as lock:  # several servers may be started at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            pwd.getpwnam(TEST_USER)
        except KeyError:
            # /bin/sh, because sshd starts the subsystem through the login shell.
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
                            "--shell", "/bin/sh", TEST_USER], check=True)
        if os.path.exists(PASSWORD_FILE):
            with open(PASSWORD_FILE) as f:
                return TEST_USER, f.read().strip()
        password = secrets.token_urlsafe(18)
        subprocess.run(["chpasswd"], input=f"{TEST_USER}:{password}\n", text=True, check=True)
        with os.fdopen(os.open(PASSWORD_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            f.write(password)
        return TEST_USER, password


class Server:
    """One netconfd with its sshd; `state` is what DIR/state.json remembers between commands."""

    def __init__(self, directory):
        self.dir = os.path.abspath(directory)
        if " " in self.dir:
            raise Failure("the directory's path must not contain a blank")
        os.makedirs(self.dir, exist_ok=True)
        self.file = os.path.join(self.dir, "state.json")
        try:
            with open(self.file) as f:
                self.state = json.load(f)
        except (OSError, ValueError):
            self.state = {}

    def save(self):
        with os.fdopen(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            json.dump(self.state, f, indent=1)

    def shared(self, name):
        return os.path.join(self.state["shared"], name)

    def own(self, name):
        return os.path.join(self.dir, name)

    # --- processes -------------------------------------------------------------------------------------------------

    def alive(self, name):
        """Whether the remembered process lives; its command line must name our directory, as ids are used again."""
        pid = self.state.get(name)
        line = command_line(pid) if pid else None
        return bool(line) and self.state["shared"] in line

    def end(self, name, seconds):
        """TERM, then KILL after `seconds`; the children of an sshd (one per connection) are ended with it."""
        pid = self.state.pop(name, None)
        line = command_line(pid) if pid else None
        if not line or self.state["shared"] not in line:
            return
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
        for victim in [pid, *(map(int, children) if name == "sshd" else [])]:
            try:
                os.kill(victim, signal.SIGTERM)
            except ProcessLookupError:
                pass
        try:
            wait_for("end", lambda: not command_line(pid), seconds)
        except Failure:
            os.kill(pid, signal.SIGKILL)

    def spawn(self, name, command, **environment):
        with open(self.own(f"{name}.out"), "ab") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.state["shared"],
                env={**os.environ, **environment}, start_new_session=True)
        self.state[name] = process.pid
        self.save()
        return process

    # --- set-up ----------------------------------------------------------------------------------------------------

    def set_up(self, port, options):
        self.state = {"shared": tempfile.mkdtemp(prefix="ncgate-nc-", dir="/tmp"), "port": port, "options": vars(options)}
        os.chmod(self.state["shared"], 0o755)
        self.state["user"], self.state["password"] = login_user()
        self.save()
        key_pair(self.shared("host_ed25519"), "-t", "ed25519", "-N", "")
        key_pair(self.shared("host_rsa"), "-t", "rsa", "-b", "2048", "-N", "")
        key_pair(self.own("client_key"), "-t", "ed25519", "-N", "")
        key_pair(self.own("client_key_rsa"), "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "")
        key_pair(self.own("client_key_encrypted"), "-t", "ed25519", "-N", PASSPHRASE)
        with open(self.shared("authorized_keys"), "w") as out:
            for key in ("client_key", "client_key_rsa", "client_key_encrypted"):
                with open(self.own(key + ".pub")) as f:
                    out.write(f.read())
        os.chmod(self.shared("authorized_keys"), 0o644)
        with open(self.own("known_hosts"), "w") as out:
            for key in ("host_ed25519", "host_rsa"):
                with open(self.shared(key + ".pub")) as f:
                    out.write(f"[127.0.0.1]:{port} {' '.join(f.read().split()[:2])}\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # sshd refuses to start as root without it

        # Committed configuration goes to YUMA_HOME/data, and so does the copy that a confirmed commit falls back to:
        # two servers that shared one home would overwrite each other's.
        os.makedirs(self.shared("yuma/data"))
        if not options.empty:
            shutil.copy(os.path.join(HERE, "initial.xml"), self.shared("yuma/data/startup-cfg.xml"))
        shutil.copy(os.path.join(HERE, "ncgate-lab.yang"), self.shared("ncgate-lab.yang"))
        self.sshd_config(port, options)

    def sshd_config(self, port, options):
        lines = [
            f"Port {port}", "ListenAddress 127.0.0.1", "PidFile none", "UseDNS no", "UsePAM no", "StrictModes no",
            f"HostKey {self.shared('host_ed25519')}", f"HostKey {self.shared('host_rsa')}",
            f"AuthorizedKeysFile {self.shared('authorized_keys')}",
            "PasswordAuthentication yes", "PubkeyAuthentication yes", "KbdInteractiveAuthentication no",
            "PermitRootLogin no" if os.geteuid() == 0 else f"AllowUsers {self.state['user']}",
            "PrintMotd no", "MaxStartups 200:30:400", "MaxSessions 64", "LogLevel VERBOSE",
            f'Subsystem netconf "{SUBSYSTEM} --ncxserver-sockname={port}@{self.shared("ncx.sock")}"',
        ]
        if options.banner:
            with open(self.shared("banner"), "w") as f:
                f.write("Authorised use only <and no xml> & so on\n")
            lines.append(f"Banner {self.shared('banner')}")
        with open(self.shared("sshd_config"), "w") as f:
            f.write("\n".join(lines + options.sshd) + "\n")

    # --- the two daemons -------------------------------------------------------------------------------------------

    def start_netconfd(self, fresh):
        options, sock = self.state["options"], self.shared("ncx.sock")
        if os.path.exists(sock):
            os.unlink(sock)
        # Modules by file, not by name: by name netconfd also loads a module's shared object, and the packaged one of
        # ietf-interfaces aborts the server when its helper script is not installed.
        modules = [self.shared("ncgate-lab.yang"), f"{MODULES}/ietf/iana-if-type@2014-05-08.yang",
                   f"{MODULES}/ietf/ietf-interfaces@2014-05-08.yang"]
        command = [NETCONFD, *(f"--module={m}" for m in modules), f"--ncxserver-sockname={sock}",
                   f"--port={self.state['port']}", "--access-control=off", "--log-level=info",
                   f"--log={self.own('netconfd.log')}"]
        if fresh and options["empty"]:
            command.append("--no-startup")
        if options["base10"]:
            command.append("--protocols=netconf1.0")
        if options["startup"]:
            command.append("--with-startup=true")
        if options["writable_running"]:
            command.append("--target=running")
        if options["max_sessions"]:
            command.append(f"--max-sessions={options['max_sessions']}")
        process = self.spawn("netconfd", command, YUMA_HOME=self.shared("yuma"))

        def listening():
            if process.poll() is not None:
                raise Failure(f"netconfd ended with status {process.returncode}: see {self.own('netconfd.log')}")
            return os.path.exists(sock)
        wait_for("netconfd opens its socket", listening)

    def start_sshd(self):
        process = self.spawn("sshd", [SSHD, "-D", "-f", self.shared("sshd_config"), "-E", self.own("sshd.log")])

        def listening():
            if process.poll() is not None:
                raise Failure(f"sshd ended with status {process.returncode}: see {self.own('sshd.log')}")
            try:
                socket.create_connection(("127.0.0.1", self.state["port"]), 1).close()
                return True
            except OSError:
                return False
        wait_for("sshd listens", listening)

    def says_hello(self):
        """Whether a NETCONF session opens. Standard input stays open meanwhile: the subsystem ends with it."""
        ssh = subprocess.Popen(
            ["ssh", "-q", "-F", "none", "-p", str(self.state["port"]), "-i", self.own("client_key"),
             "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
             "-o", f"UserKnownHostsFile={self.own('known_hosts')}", "-s", f"{self.state['user']}@127.0.0.1", "netconf"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        seen, end = b"", time.monotonic() + 5
        try:
            ssh.stdin.write(HELLO.encode())
            while b"]]>]]>" not in seen and time.monotonic() < end:
                if not select.select([ssh.stdout], [], [], 0.2)[0]:
                    continue
                piece = os.read(ssh.stdout.fileno(), 65536)
                if not piece:
                    return False
                seen += piece
        except BrokenPipeError:
            return False
        finally:
            ssh.kill()
            ssh.wait()
            ssh.stdin.close()
            ssh.stdout.close()
        return b"<session-id>" in seen

    # --- commands --------------------------------------------------------------------------------------------------

    def start(self, port, options):
        if self.state:
            self.stop()
        port = port or free_port()
        try:
            self.set_up(port, options)
            self.start_netconfd(fresh=True)
            self.start_sshd()
            wait_for("a NETCONF hello", self.says_hello)
        except BaseException:
            self.stop()
            raise
        fields = {"user": self.state["user"], "password": self.state["password"], "key": self.own("client_key"),
                  "key_rsa": self.own("client_key_rsa"), "key_encrypted": self.own("client_key_encrypted"),
                  "passphrase": PASSPHRASE, "known_hosts": self.own("known_hosts")}
        pairs = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
        print(f"ready 127.0.0.1:{port} {pairs}", flush=True)

    def restart(self):
        if not self.state:
            raise Failure("nothing was started in this directory")
        self.end("netconfd", 0.3)
        self.start_netconfd(fresh=False)
        print("restarted", flush=True)

    def stop(self):
        if not self.state:
            return
        self.end("sshd", 2.0)
        # netconfd heeds TERM only at its next tick, a second away; it holds nothing that a kill would harm.
        self.end("netconfd", 0.3)
        shutil.rmtree(self.state["shared"], ignore_errors=True)
        self.state = {}
        if os.path.exists(self.file):
            os.unlink(self.file)


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description="a real NETCONF server on loopback, for tests")
    parser.add_argument("--base10", action="store_true")
    parser.add_argument("--banner", action="store_true")
    parser.add_argument("--startup", action="store_true")
    parser.add_argument("--writable-running", action="store_true")
    parser.add_argument("--max-sessions", type=int)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--sshd", action="append", default=[], metavar="LINE")
    parser.add_argument("command", choices=["start", "run", "restart", "stop", "login", "free-port"])
    parser.add_argument("dir", nargs="?")
    parser.add_argument("port", type=int, nargs="?", default=0)
    options = parser.parse_args()
    if options.command == "free-port":
        print(free_port())
        return 0
    if options.command == "login":
        user, password = login_user()
        if password is None:
            print("netconfd.py: only root can make a user that logs in with a password", file=sys.stderr)
            return 1
        print(f"{user}:{password}")
        return 0
    if options.dir is None:
        parser.error("DIR is missing")
    missing = [p for p in (NETCONFD, SUBSYSTEM, SSHD, shutil.which("ssh") or "ssh") if not os.access(p, os.X_OK)]
    if missing:
        print(f"netconfd.py: missing {', '.join(missing)}: apt-get install netconfd openssh-server openssh-client",
              file=sys.stderr)
        return 3
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        server = Server(options.dir)
        if options.command == "stop":
            server.stop()
        elif options.command == "restart":
            server.restart()
        elif options.command == "start":
            server.start(options.port, options)
        else:
            try:
                server.start(options.port, options)
                while os.read(0, 4096):
                    pass
            finally:
                # A restart in between, by another process, changed what has to be ended.
                Server(options.dir).stop()
    except (Failure, OSError, subprocess.CalledProcessError) as error:
        print(f"netconfd.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
