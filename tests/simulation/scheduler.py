"""One thread, one simulated clock: tasks give way to each other only where the engine waits, in an order by seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

from greenlet import getcurrent, greenlet

FOREVER = float("inf")


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may catch it."""


class Stuck(AssertionError):
    """Every task waits for another one."""


@dataclass(eq=False)
class Task:
    """Something under way, and what it waits for."""

    body: greenlet
    wakes_at: float = 0.0
    ready: Callable[[], bool] | None = None


class SimulatedFuture(Future):
    """The outcome of a task; whoever asks for it before it is there gives way."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.is_over = False  # as `done()`, without a lock

    def result(self, timeout=None):
        self.scheduler.wait_for(self.done)
        return super().result(timeout)


class Scheduler:
    """Runs tasks until the first of them is done; `kill_at` is the wait at which the process is killed."""

    def __init__(self, chance: random.Random, now: float, kill_at: int | None = None) -> None:
        self.chance = chance
        self.now = now
        self.kill_at = kill_at
        self.waits = 0
        self.is_dead = False
        self._tasks: list[Task] = []
        self._hub = getcurrent()

    def run(self, main: Callable[[], Any]) -> Any:
        """Return what `main` returns, run as the first task.

        Raises:
            Killed: the process was killed meanwhile.
            Stuck: nobody can go on.
        """
        first = self.submit(main)
        while not first.is_over and not self.is_dead:
            task = self._next()
            task.body.switch()
        for task in list(self._tasks):
            if not task.body.dead:
                task.body.throw(Killed)
        if self.is_dead:
            raise Killed
        return first.result()

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> SimulatedFuture:
        """Let a task do this."""
        future = SimulatedFuture(self)

        def carry_out() -> None:
            try:
                if future.set_running_or_notify_cancel():
                    future.set_result(work(*arguments))
            except BaseException as error:  # noqa: BLE001 - whoever asks for the outcome gets it
                future.set_exception(error)
            finally:
                future.is_over = True
                self._tasks.remove(task)

        task = Task(greenlet(carry_out, self._hub))
        self._tasks.append(task)
        return future

    def sleep(self, seconds: float) -> None:
        """Let so much simulated time pass."""
        self._give_way(self.now + seconds, None)

    def wait_for(self, ready: Callable[[], bool], seconds: float = FOREVER) -> bool:
        """Wait until something is so, or the time has passed; return whether it is so."""
        if not ready():
            self._give_way(self.now + seconds, ready)
        return ready()

    def _give_way(self, wakes_at: float, ready: Callable[[], bool] | None) -> None:
        self.waits += 1
        if self.waits == self.kill_at:
            self.is_dead = True
        body = getcurrent()
        for task in self._tasks:
            if task.body is body:
                task.wakes_at, task.ready = wakes_at, ready
        if not self.is_dead:
            self._hub.switch()
        if self.is_dead:
            raise Killed

    def _next(self) -> Task:
        able = [task for task in self._tasks if task.wakes_at <= self.now or (task.ready is not None and task.ready())]
        if not able:
            self.now = min((task.wakes_at for task in self._tasks), default=FOREVER)
            if self.now == FOREVER:
                raise Stuck("every task waits for another one")
            able = [task for task in self._tasks if task.wakes_at <= self.now]
        return able[0] if len(able) == 1 else able[self.chance.randrange(len(able))]


class SimulatedWorkers:
    """Workers of the engine that are tasks of a scheduler, however many at once."""

    def __init__(self, scheduler: Scheduler, most: int, name: str) -> None:
        self.scheduler = scheduler
        self.futures: list[SimulatedFuture] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:
        if cancel_futures:
            for future in self.futures:
                future.cancel()
        if wait and not self.scheduler.is_dead:
            self.scheduler.wait_for(lambda: all(future.is_over or future.cancelled() for future in self.futures))

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> SimulatedFuture:
        future = self.scheduler.submit(work, *arguments)
        self.futures.append(future)
        return future

    def first_done(self, futures: Collection[SimulatedFuture]) -> list[SimulatedFuture]:
        self.scheduler.wait_for(lambda: any(future.is_over for future in futures))
        return [future for future in futures if future.is_over]


class SimulatedCondition:
    """What tasks wait at for their turn; nobody else runs meanwhile, so there is nothing to lock."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait_for(self, ready: Callable[[], bool]) -> bool:
        return self.scheduler.wait_for(ready)

    def notify_all(self) -> None:
        """Who waits looks by itself."""


def sleep_unless_stopped(scheduler: Scheduler) -> Callable[[threading.Event, float], object]:
    """Return how a worker pauses on the scheduler's clock."""
    return lambda stopped, seconds: scheduler.wait_for(stopped.is_set, seconds)
