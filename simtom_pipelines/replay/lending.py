"""Generators on loan: few are kept, however many streams there are.

A generator holds tables of its seed (entity weights, merchants, vocabularies): megabytes that a stream needs for a few
milliseconds a day. A stream borrows one, draws what it needs for a while, and gives it back; the ones used last are
kept, the others are made anew when they are wanted again, which changes nothing: a day is a pure function of
(config, day).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from generators import BaseGenerator, GeneratorConfig, get_generator

KEPT_GENERATORS = 8


class Lending:
    """Lends generators by name and config; one is never lent twice at the same time, so it needs no lock.

    Args:
        kept: Generators that are kept while nobody uses them.
    """

    def __init__(self, kept: int = KEPT_GENERATORS) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._idle: OrderedDict[tuple[str, str], list[BaseGenerator[Any]]] = OrderedDict()

    @contextmanager
    def lend(self, name: str, config: GeneratorConfig) -> Iterator[BaseGenerator[Any]]:
        """Give a generator for the duration of the block; one that raised is not used again.

        Raises:
            UnknownNameError: No such generator.
        """
        key = (name, config.canonical())
        with self._lock:
            idle = self._idle.get(key)
            generator = idle.pop() if idle else None
            if idle is not None and not idle:
                del self._idle[key]
        if generator is None:
            generator = get_generator(name, config)
        try:
            yield generator
        except GeneratorExit:
            self._give_back(key, generator)
            raise
        self._give_back(key, generator)

    def _give_back(self, key: tuple[str, str], generator: BaseGenerator[Any]) -> None:
        dropped: list[BaseGenerator[Any]] = []
        with self._lock:
            self._idle.setdefault(key, []).append(generator)
            self._idle.move_to_end(key)
            while sum(map(len, self._idle.values())) > self._kept:
                oldest, generators = next(iter(self._idle.items()))
                dropped.append(generators.pop(0))
                if not generators:
                    del self._idle[oldest]
        for each in dropped:
            each.cleanup()
