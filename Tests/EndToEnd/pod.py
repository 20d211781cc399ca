"""One pod's end as a kubelet goes about it: real processes, signals, hook commands; only the images are missing.

What is replayed, as observed on a real kubelet (1.34, 1.36) and as `killContainer` has it: all containers begin to end together, each
on its own. First its preStop hook, at most for the grace period; then, a native sidecar waits for its turn, which is when the app has
exited or the grace period is used up; then SIGTERM; then SIGKILL, when what is left of the grace period is over, but 2 s after
SIGTERM at the earliest. A hook that fails is over. A container that has exited meanwhile is left alone."""

import os
import signal
import subprocess
import threading
import time

HOOK_DELAY_SECONDS = 0.1
RESTART_DELAY_SECONDS = 0.3
# What a container gets after its SIGTERM whatever the grace period has left.
MINIMUM_SECONDS = 2.0
# Real processes always end in some way; a test that waits longer than this has found that one does not.
NEVER_SECONDS = 60.0


class Hook:
    """A preStop command. `seconds`: instead of a command of ours, one of the app's that takes so long; `fails`: with exit code 1."""

    def __init__(self, *command, environment=None, seconds=None, fails=False):
        self.command, self.environment = list(command), environment
        if not command:
            # Not a shell's sleep: what is tested is the kubelet's side of it.
            self.command = ["/bin/false"] if fails else ["/bin/sleep", str(seconds)]
        self.exit_code = None
        self.output = ""

    def run(self, seconds_max):
        """Its exit code; None: it was still running when its time was over, and was killed."""
        process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        try:
            self.output, _ = process.communicate(timeout=max(0.0, seconds_max))
        except subprocess.TimeoutExpired:
            process.kill()
            self.output, _ = process.communicate()
            return None
        self.exit_code = process.returncode
        return self.exit_code


class Container:
    """A process that was started already. `wait(seconds)` answers whether it has exited, `send(signal)` signals it."""

    def __init__(self, name, process, hook=None, is_sidecar=False):
        self.name, self.process, self.hook, self.is_sidecar = name, process, hook, is_sidecar
        self.was_killed = False
        self.hook_was_cut = False
        self.exited = threading.Event()


class Kubelet:
    """Ends a pod. `native`: the sidecar is one of `initContainers` with `restartPolicy: Always`."""

    def __init__(self, sidecar, apps, native, grace_seconds):
        self.sidecar, self.apps, self.native, self.grace_seconds = sidecar, apps, native, grace_seconds
        self.began = time.monotonic()
        self.events = []
        self._threads = []

    def say(self, text):
        self.events.append(f"{time.monotonic() - self.began:7.3f} s  {text}")

    def watch(self):
        """Notices the exits of all containers; a sidecar that is being restarted is told by `restarted`."""
        for container in [*self.apps, self.sidecar]:
            self._start(self._watch, container)

    def restarted(self, process):
        self.sidecar.process = process
        self.sidecar.exited = threading.Event()
        self.say("sidecar: started again")
        self._start(self._watch, self.sidecar)

    def crash_sidecar(self, start):
        """SIGKILL from outside, and the restart that follows. `start` answers the new process."""
        self.sidecar.process.send_signal(signal.SIGKILL)
        self.sidecar.exited.wait(NEVER_SECONDS)
        time.sleep(RESTART_DELAY_SECONDS)
        process = start()
        # A runtime's start has returned by the time that a hook or a signal follows; how long the loader takes is not what is tested.
        while process.poll() is None and not _is_started(process.pid):
            time.sleep(0.001)
        self.restarted(process)

    def terminate(self):
        """The pod is deleted. Returns when every container has exited."""
        self.began = time.monotonic()
        deadline = self.began + self.grace_seconds
        for container in [*self.apps, self.sidecar]:
            self._start(self._end, container, deadline)
        self.join()

    def job_is_done(self):
        """A Job's app has ended by itself: what is left is ended, with its hook, as the last of the pod."""
        for app in self.apps:
            app.exited.wait(NEVER_SECONDS)
        if not self.native:
            return self.join()  # The Job itself has told the sidecar; nobody else would.
        self.began = time.monotonic()
        self._end(self.sidecar, self.began + self.grace_seconds)
        self.join()

    def join(self):
        for thread in self._threads:
            thread.join(NEVER_SECONDS)
            assert not thread.is_alive(), "a container does not end:\n" + "\n".join(self.events)

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch(self, container):
        exited = container.exited
        code = container.process.wait()
        self.say(f"{container.name}: exit {code}")
        exited.set()

    def _end(self, container, deadline):
        if container.hook and not container.exited.is_set():
            time.sleep(HOOK_DELAY_SECONDS)
            self.say(f"{container.name}: preStop")
            code = container.hook.run(deadline - time.monotonic())
            container.hook_was_cut = code is None
            self.say(f"{container.name}: preStop {'cut' if code is None else f'exit {code}'}")
        if self.native and container.is_sidecar:
            for app in self.apps:
                app.exited.wait(max(0.0, deadline - time.monotonic()))
        if container.exited.is_set():
            return
        left = max(MINIMUM_SECONDS, deadline - time.monotonic())
        self.say(f"{container.name}: SIGTERM, SIGKILL in {left:.3f} s")
        _signal(container, signal.SIGTERM)
        if not container.exited.wait(left):
            self.say(f"{container.name}: SIGKILL")
            container.was_killed = True
            _signal(container, signal.SIGKILL)
            container.exited.wait(NEVER_SECONDS)


def _is_started(pid):
    """Whether it has come so far as to hold SIGTERM back."""
    with open(f"/proc/{pid}/status") as file:
        blocked = next(line for line in file if line.startswith("SigBlk:"))
    return bool(int(blocked.split()[1], 16) & 1 << signal.SIGTERM - 1)


def _signal(container, number):
    try:
        container.process.send_signal(number)
    except ProcessLookupError:
        pass


class Forked:
    """A child of this process as a Container wants it: runs function() and exits with what it answers."""

    def __init__(self, function):
        self.pid = os.fork()
        self.returncode = None
        self._lock = threading.Lock()
        if self.pid == 0:
            code = 70
            try:
                signal.alarm(0)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                code = function()
            finally:
                os._exit(code)

    def wait(self):
        _, status = os.waitpid(self.pid, 0)
        with self._lock:
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number):
        with self._lock:
            if self.returncode is None:
                os.kill(self.pid, number)
