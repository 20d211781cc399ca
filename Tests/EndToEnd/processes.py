"""Runs a function in forked processes and collects what they return, within a time limit."""

import json
import os
import select
import signal
import time
import traceback


class Processes:
    """`count` children that each run function(number) and return something JSON can hold."""

    def __init__(self, function, count):
        self._pipes = {}
        self._output = {}
        self.pids = []
        for number in range(count):
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    signal.alarm(0)
                    os.close(reading)
                    result = json.dumps({"result": function(number)})
                    code = 0
                except BaseException:
                    result = json.dumps({"error": traceback.format_exc()})
                finally:
                    with os.fdopen(writing, "w") as pipe:
                        pipe.write(result)
                    os._exit(code)
            os.close(writing)
            self._pipes[reading] = number
            self._output[number] = b""
            self.pids.append(pid)

    def results(self, seconds):
        """The results by number. A child that raised, died or took too long is an AssertionError; none is left behind."""
        deadline = time.monotonic() + seconds
        try:
            while self._pipes:
                left = deadline - time.monotonic()
                assert left > 0, f"{len(self._pipes)} processes took longer than {seconds} s"
                for pipe in select.select(list(self._pipes), [], [], left)[0]:
                    chunk = os.read(pipe, 1 << 20)
                    if chunk:
                        self._output[self._pipes[pipe]] += chunk
                    else:
                        del self._pipes[pipe]
                        os.close(pipe)
        finally:
            self.end()
        answers = []
        for number, output in self._output.items():
            assert output, f"process {number} died without a word"
            answer = json.loads(output)
            assert "error" not in answer, f"process {number}:\n{answer['error']}"
            answers.append(answer["result"])
        return answers

    def end(self):
        for pipe in self._pipes:
            os.close(pipe)
        if self._pipes:
            for pid in self.pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self._pipes = {}
        for pid in self.pids:
            os.waitpid(pid, 0)
        self.pids = []


def run(function, count, seconds):
    return Processes(function, count).results(seconds)
