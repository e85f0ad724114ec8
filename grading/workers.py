"""Worker processes for a whole class: one job each at a time, restarted when they die.

A worker is a plain `python -m grading.workers`. It reads jobs from its standard input and writes answers to
its standard output, length-prefixed JSON both ways. It leaves Ctrl-C to its parent and ends when its parent
ends, and with it ends the sandbox it has running.
"""

import contextlib
import ctypes
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

LENGTH = struct.Struct(">Q")
ATTEMPTS = 2  # a failure of ours is tried once more, then handed over for review
PR_SET_PDEATHSIG = 1

Job = dict[str, Any]
Answer = dict[str, Any]


class Pool:
    """Some workers, started when there is work.

    Args:
        n: how many; at least one is started when there is a job.
        patience_s: a worker that has not answered by then is ended; its own limits are well below.
        keep: (key, answer) called in a thread of the pool as soon as there is an answer, whatever the one who
            asked for it is doing. What it raises is raised by `run`.
    """

    def __init__(self, n: int, patience_s: float, keep: Callable[[str, Answer], None] | None = None) -> None:
        self.n = max(1, n)
        self.patience_s = patience_s
        self._keep = keep
        self._jobs: queue.SimpleQueue[tuple[str, Job]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._over = threading.Event()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for worker in self._workers:
            worker.stop(busy=True)

    def run(self, jobs: Mapping[str, Job]) -> Iterator[tuple[str, Answer]]:
        """(key, answer) of each job, as they are ready: with "verdict", or with "problem" if ours failed."""
        for key, job in jobs.items():
            self._jobs.put((key, job))
        for _ in range(min(self.n, len(jobs))):
            worker = _Worker()
            self._workers.append(worker)
            threading.Thread(target=self._feed, args=(worker,), daemon=True).start()
        for _ in range(len(jobs)):
            while True:
                with contextlib.suppress(queue.Empty):
                    key, answer = self._answers.get(timeout=0.2)  # short, so that Ctrl-C is noticed
                    break
            if "raised" in answer:
                raise answer["raised"]
            yield key, answer

    def _feed(self, worker: "_Worker") -> None:
        while not self._over.is_set():
            try:
                key, job = self._jobs.get_nowait()
            except queue.Empty:
                return worker.stop(busy=False)
            answer: Answer = {}
            for _ in range(ATTEMPTS):
                started = time.monotonic()
                try:
                    answer = worker.ask(job, self.patience_s)
                except Exception as problem:
                    # Whatever it is: for a feeder that ends in silence, somebody would wait for ever.
                    answer = {"problem": f"the grader's worker could not be asked: {problem!r}"}
                answer["seconds"] = round(time.monotonic() - started, 3)
                if "verdict" in answer or self._over.is_set():
                    break
            if self._keep is not None:
                try:
                    self._keep(key, answer)
                except Exception as problem:
                    answer = {"raised": problem}
            self._answers.put((key, answer))


class _Worker:
    """One worker process, started on the first job and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def ask(self, job: Job, patience_s: float) -> Answer:
        process = self._started()
        if process is None:
            return {"problem": "grading was stopped"}
        overdue = threading.Timer(patience_s, process.kill)
        overdue.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            _write(process.stdin, job)
            answer = _read(process.stdout)
        except (OSError, EOFError, ValueError):
            answer = None
        finally:
            late = not overdue.is_alive()
            overdue.cancel()
        if answer is None:
            process.kill()
            code = process.wait()
            why = f"did not answer within {patience_s:g} seconds" if late else f"ended with status {code}"
            return {"problem": f"the grader's worker {why}"}
        return answer

    def stop(self, busy: bool) -> None:
        """End it. A busy one is told to stop at once, and what it has running in a sandbox ends with it."""
        with self._lock:
            self._stopped = True
            process, self._process = self._process, None
            if process is None:
                return
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()  # an idle one sees the end of its work, and leaves
            if busy:
                process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
            _clear_away(process)

    def _started(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if self._stopped:
                return None
            if self._process is not None and self._process.poll() is not None:
                _clear_away(self._process)
                self._process = None
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "grading.workers"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _python_path()},
                    start_new_session=True,  # Ctrl-C in the terminal reaches the parent only
                )
            return self._process


def _clear_away(process: "subprocess.Popen[bytes]") -> None:
    process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()


def _python_path() -> str:
    """So that a worker finds this very package, wherever it was started from."""
    here = str(Path(__file__).parent.parent)
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])


def _write(stream: IO[bytes], message: Mapping[str, Any]) -> None:
    content = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def _read(stream: IO[bytes]) -> dict[str, Any]:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    message: dict[str, Any] = json.loads(content)
    return message


def _leave(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what ends with it may take a moment
    sys.exit(0)


def main() -> None:
    """A worker's whole life."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, _leave)
    # Answers keep a channel of their own: whatever else prints goes to standard error.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import torch

    from grading.evaluation import evaluate_job

    torch.set_num_threads(1)
    while True:
        try:
            job = _read(sys.stdin.buffer)
        except EOFError:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return
        try:
            answer: Answer = {"verdict": evaluate_job(job)}
        except Exception as problem:
            answer = {"problem": f"{type(problem).__name__}: {problem}"}
        _write(answers, answer)


if __name__ == "__main__":
    main()
