"""A GNU Octave or MATLAB process that answers numbered requests, one line each way.

A request is a statement that calls ``octave/hdrbench_hdrvdp.m``, written to the standard input; its reply is the one line
that begins with ``HDRBENCH``. What the official code prints besides is kept for error messages only. The driver keeps to
the syntax that both languages share, but only Octave has run it: the MATLAB path is untested, and MATLAB reads
statements from its standard input on Linux and macOS only.
"""

import contextlib
import os
import queue
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hdrbench.errors import HdrbenchError

DRIVER = Path(__file__).parent / "octave"
MARKER = "HDRBENCH"
# A 12-megapixel pair takes about two minutes on one core; starting MATLAB takes up to one.
TIMEOUT_S = 1200.0
LAST_LINES = 8

Argument = str | float | Sequence[int] | Sequence[str]


@dataclass(frozen=True)
class Interpreter:
    """What runs the official code.

    Attributes
    ----------
    name
        ``"GNU Octave"`` or ``"MATLAB"``.
    command
        The program and the arguments with which it reads statements from its standard input.
    """

    name: str
    command: tuple[str, ...]


def find_interpreter() -> Interpreter:
    """Return ``$HDRBENCH_OCTAVE``, else ``$HDRBENCH_MATLAB``, else ``octave-cli``, ``octave`` or ``matlab`` on the PATH.

    The variables hold a command, which may have arguments. One that is set is never passed over for another program.

    Raises
    ------
    HdrbenchError
        If there is none, or the one a variable names cannot be run.
    """
    flags = {
        "GNU Octave": ("--norc", "--no-gui", "--no-window-system", "--no-history", "--quiet"),
        "MATLAB": ("-nodisplay", "-nodesktop", "-nosplash"),
    }
    for variable, name in (("HDRBENCH_OCTAVE", "GNU Octave"), ("HDRBENCH_MATLAB", "MATLAB")):
        if given := os.environ.get(variable, "").strip():
            command = [given] if shutil.which(given) else shlex.split(given)  # a path may hold spaces
            if shutil.which(command[0]) is None:
                raise HdrbenchError(f"{variable} names '{command[0]}', which is not a program that can be run here")
            return Interpreter(name, (*command, *flags[name]))
    for program, name in (("octave-cli", "GNU Octave"), ("octave", "GNU Octave"), ("matlab", "MATLAB")):
        if path := shutil.which(program):
            return Interpreter(name, (path, *flags[name]))
    raise HdrbenchError(
        "neither octave-cli, octave nor matlab is on the PATH; install GNU Octave, or set HDRBENCH_OCTAVE or "
        "HDRBENCH_MATLAB to the command that starts it"
    )


def _literal(value: Argument) -> str:
    """Write an argument as both languages read it."""
    if isinstance(value, str):
        if not value.isprintable():
            raise HdrbenchError(f"{value!r} cannot be handed to Octave or MATLAB: it holds control characters")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float):
        return repr(float(value))
    if all(isinstance(item, str) for item in value):
        return "{" + ", ".join(_literal(str(item)) for item in value) + "}"
    return "[" + " ".join(str(item) for item in value) + "]"


class InterpreterProcess:
    """Starts the interpreter on the first request, keeps it for the next ones, and ends it after any failure.

    Parameters
    ----------
    interpreter
        What to start.
    first
        Arguments of the driver's ``start`` request, made anew after each start.
    timeout_s
        Seconds that one request may take.

    Attributes
    ----------
    starts
        How often the interpreter has been started.
    """

    def __init__(self, interpreter: Interpreter, first: Sequence[Argument], *, timeout_s: float = TIMEOUT_S):
        self.interpreter = interpreter
        self.first = tuple(first)
        self.timeout_s = timeout_s
        self.starts = 0
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._number = 0

    def start(self) -> Path:
        """Start the interpreter unless it runs, and return the temporary folder it works in.

        Raises
        ------
        HdrbenchError
            If it cannot be started, or its ``start`` request fails.
        """
        if self._process is None or self._process.poll() is not None:
            self.close()
            try:
                self._launch()
                self._ask(f"addpath({_literal(str(DRIVER))});", "start", self.first)
            except BaseException:
                self.close(wait_s=0)
                raise
        assert self._folder is not None
        return Path(self._folder.name)

    def request(self, action: str, *arguments: Argument) -> list[float]:
        """Have the driver do one thing, and return the numbers it replies.

        Raises
        ------
        HdrbenchError
            If the interpreter cannot be started, reports an error, ends, or does not reply in time. The next request
            then starts a new one.
        """
        self.start()
        try:
            return self._ask("", action, arguments)
        except BaseException:  # an interrupted request too: its late reply must not meet the next one
            self.close(wait_s=0)
            raise

    def close(self, *, wait_s: float = 5.0) -> None:
        """End the interpreter, at once unless it obeys within `wait_s` seconds, and remove its folder."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):  # what it did not read is of no interest any more
                process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
            if process.poll() is None:
                _kill(process)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _launch(self) -> None:
        # Octave and MATLAB look for functions in the working folder first, so it must be an empty one.
        self._folder = tempfile.TemporaryDirectory(prefix="hdrbench-hdrvdp-")
        try:
            self._process = subprocess.Popen(
                self.interpreter.command,
                cwd=self._folder.name,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise HdrbenchError(f"cannot start {self.interpreter.name} as '{self._command}': {error}") from error
        self.starts += 1
        self._last.clear()
        self._lines = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(self._process, self._lines), daemon=True).start()

    def _ask(self, before: str, action: str, arguments: Sequence[Argument]) -> list[float]:
        self._number += 1
        written = ", ".join(_literal(argument) for argument in (action, *arguments))
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which the missing reply will tell better
            self._process.stdin.write(f"{before} hdrbench_hdrvdp({self._number}, {written});\n")
            self._process.stdin.flush()
        outcome, text = self._reply()
        if outcome == "ok":
            try:
                return [float(word) for word in text.split()]
            except ValueError:
                raise HdrbenchError(f"{self.interpreter.name} replied {text!r} where numbers were expected") from None
        raise HdrbenchError(f"{self.interpreter.name} reports: {text}")

    def _reply(self) -> tuple[str, str]:
        deadline = time.monotonic() + self.timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                raise HdrbenchError(f"{self.interpreter.name} ('{self._command}') {self._end()}; {self._said()}")
            words = line.split(maxsplit=3)
            if words[:2] == [MARKER, str(self._number)] and len(words) > 2:
                return words[2], words[3].strip() if len(words) > 3 else ""
            if line.strip():
                self._last.append(line.strip())
        raise HdrbenchError(
            f"{self.interpreter.name} ('{self._command}') gave no reply within {self.timeout_s:g} s and was stopped; "
            f"{self._said()}"
        )

    @property
    def _command(self) -> str:
        return shlex.join(self.interpreter.command)

    def _end(self) -> str:
        assert self._process is not None
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "closed its output"
        return f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"

    def _said(self) -> str:
        return f"the last it printed: {' | '.join(self._last)}" if self._last else "it printed nothing"


def _kill(process: "subprocess.Popen[str]") -> None:
    """End a process and those it started, as a command may be a wrapper script; Windows ends the first alone."""
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _pump(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str | None]") -> None:
    """Pass the output on line by line, then None: reading from a pipe has no time limit, a queue has."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)
