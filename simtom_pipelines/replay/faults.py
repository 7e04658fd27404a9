"""Which delivery faults to inject: rates, seed and reach. A fault is a function of (seed, table, day, row, turn)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simtom_pipelines.replay.errors import ReplayError

KINDS = ("late", "duplicate", "out-of-order", "corrupt")
DELAY_SECONDS = 600.0
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Faults:
    """Shares of the records that are delivered wrongly; a record suffers one fault at most.

    Attributes:
        late: Held back by up to `delay`, so that others overtake it.
        duplicate: Delivered in its place, and once more within `delay`.
        out_of_order: Delivered up to `places` records later.
        corrupt: Cut off, or with a byte that is no text; still one line.
        seed: Equal seeds give equal faults, whatever the chunking and however often the replay is resumed.
        delay: Longest delay in seconds of event time.
        places: Most places that an out-of-order record moves.
    """

    late: float = 0.0
    duplicate: float = 0.0
    out_of_order: float = 0.0
    corrupt: float = 0.0
    seed: int = 0
    delay: float = DELAY_SECONDS
    places: int = 8

    def __post_init__(self) -> None:
        for kind, rate in zip(KINDS, self.rates, strict=True):
            if not 0.0 <= rate <= 1.0:
                raise ReplayError(f"fault {kind}={rate!r}: a rate is a number from 0 to 1")
        if sum(self.rates) > 1.0 + 1e-9:
            raise ReplayError(
                f"the fault rates add up to {sum(self.rates):g}; a record suffers one fault at most, so to 1"
            )
        if isinstance(self.seed, bool) or not 0 <= self.seed <= LARGEST_SEED:
            raise ReplayError(f"fault seed is {self.seed!r}; allowed: 0 to {LARGEST_SEED}")
        if not 0.0 < self.delay < float("inf"):
            raise ReplayError(f"fault delay is {self.delay!r}; it must be a positive number of seconds")
        if isinstance(self.places, bool) or not 1 <= self.places <= 1_000:
            raise ReplayError(f"fault places is {self.places!r}; allowed: 1 to 1000")

    @property
    def rates(self) -> tuple[float, float, float, float]:
        """The rates in the order of `KINDS`."""
        return self.late, self.duplicate, self.out_of_order, self.corrupt

    def __str__(self) -> str:
        named = [f"{kind}:{rate:g}" for kind, rate in zip(KINDS, self.rates, strict=True) if rate]
        return ",".join([*named, f"seed:{self.seed}", f"delay:{self.delay:g}s", f"places:{self.places}"])


def parse_faults(texts: Sequence[str], seed: int = 0, delay: float = DELAY_SECONDS) -> Faults | None:
    """Return the faults of texts such as ``late=0.01`` or ``late=1%``; None where there are none.

    Raises:
        ReplayError: A text is not a known kind with a rate.
    """
    rates: dict[str, float] = {}
    for text in texts:
        kind, _, value = text.partition("=")
        kind = kind.strip().replace("_", "-")
        if kind not in KINDS:
            raise ReplayError(f"fault {text!r}: known are {', '.join(KINDS)}, each with a rate, as in late=0.01")
        try:
            rate = float(value.strip().removesuffix("%")) / (100.0 if value.strip().endswith("%") else 1.0)
        except ValueError:
            raise ReplayError(f"fault {text!r}: expected a rate from 0 to 1, as in {kind}=0.01") from None
        if kind in rates:
            raise ReplayError(f"fault {kind} is given twice; give one rate")
        rates[kind] = rate
    if not rates:
        return None
    return Faults(**{kind.replace("-", "_"): rate for kind, rate in rates.items()}, seed=seed, delay=delay)  # type: ignore[arg-type]
