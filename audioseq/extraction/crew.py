"""Who does the work: this process, processes of its own, or any executor; and what happens when a worker dies."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from multiprocessing.connection import wait as wait_for
from types import TracebackType
from typing import Any

from audioseq.extraction.settings import ExtractionError
from audioseq.extraction.shards import Job, Tally

__all__ = ["Crew"]

TRIES = 2  # at one file; then it is the file that kills
GUARD = 'A script that starts workers does so under if __name__ == "__main__":'
WINDOW = 64  # jobs that an executor of the user's is given at once

_END = object()


class _Here(Executor):
    """Does each job at once, in this process."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Crew:
    """Runs jobs on `workers` processes of its own (1: in this one), or on `executor`. A context manager."""

    def __init__(self, workers: int, executor: Executor | None) -> None:
        self.workers = workers
        self.given = executor
        self.executor = executor or self._new(workers)
        self.window = WINDOW if executor is not None else 1 if workers == 1 else 2 * workers

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.given is None:
            self._end()

    def in_order(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """What a function gives for each argument, in their order, a few ahead of those that were taken."""
        ahead: deque[tuple[Future[Any], Any]] = deque()
        for argument in itertools.chain(arguments, [_END] * self.window):
            if argument is not _END:
                ahead.append((self._submit(function, argument), argument))
            if ahead and (argument is _END or len(ahead) >= self.window):
                yield self._again(function, *ahead.popleft())

    def _again(self, function: Callable[[Any], Any], future: Future[Any], argument: Any) -> Any:
        """The result of a job that kills nobody: once more, if a worker died in its time."""
        try:
            return self._result(future)
        except _DeathError:
            try:
                return self._result(self._submit(function, argument))
            except _DeathError as error:
                raise ExtractionError("workers", f"die, whatever they do. {GUARD}") from error

    def run(self, function: Callable[[Job], Tally], jobs: Iterable[Job]) -> Iterator[Tally]:
        """Do jobs, in any order. Those in whose time a worker died are done again at the end, one by one.

        Raises:
            ExtractionError: of a job, or where workers die whatever they read.
        """
        waiting, suspects = iter(jobs), []
        flying: dict[Future[Tally], Job] = {}
        while True:
            while len(flying) < self.window and (job := next(waiting, None)) is not None:
                flying[self._submit(function, job)] = job
            if not flying:
                break
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                job = flying.pop(future)
                try:
                    yield self._result(future)
                except _DeathError:
                    suspects.append(job)
        for job in suspects:
            yield self._alone(function, job)

    def _alone(self, function: Callable[[Job], Tally], job: Job) -> Tally:
        """Do a job with nothing beside it, noting each file, so that one whose readers die is found and left out."""
        deaths: Counter[str | None] = Counter()
        while True:
            job.watch.unlink(missing_ok=True)
            job = job.again()  # another value each time: Dask keeps what became of one
            try:
                return self._result(self._submit(function, job))
            except _DeathError as error:
                path = job.last_read()
                deaths[path] += 1
                if deaths[path] < TRIES:
                    continue
                if path is None or deaths.total() > 100:
                    raise ExtractionError(
                        job.target,
                        f"workers die before they read a file. {GUARD}" if path is None else "workers die at any file",
                    ) from error
                job = job.without(path)

    def _submit(self, function: Callable[..., Any], argument: Any) -> Future[Any]:
        try:
            return self.executor.submit(function, argument)
        except BrokenExecutor as error:
            if self.given is not None:
                raise ExtractionError(type(self.given).__name__, f"is broken: {error}") from error
            self._end()
            self.executor = self._new(self.workers)
            return self.executor.submit(function, argument)

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except CancelledError as error:
            raise ExtractionError(
                type(self.executor).__name__, "was lost before the work was done; the same command goes on from there"
            ) from error
        except Exception as error:
            if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker":  # the latter is Dask's
                raise _DeathError from error
            raise

    def _new(self, workers: int) -> Executor:
        if workers == 1:
            return _Here()
        self._before = set(multiprocessing.active_children())
        return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin)

    def _end(self) -> None:
        """End our own processes at once: what they have not finished is made anew in any case."""
        if isinstance(self.executor, ProcessPoolExecutor):
            self.executor.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - self._before:
                child.terminate()
                child.join()


class _DeathError(Exception):
    """A worker died."""


def _begin() -> None:
    """In a worker: end with the process that started it, whatever ends that; an interrupt is for that one to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            wait_for([parent.sentinel])
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
