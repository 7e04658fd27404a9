"""What every command shares: exit codes, one line for every refusal, and progress on a terminal only."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import typer

from simtom_pipelines.interrupts import Patient

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130


def say(text: str) -> None:
    """Print a line on stderr, which may be gone."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def close_stdout() -> None:
    """Keep the interpreter from complaining at its end about a reader that went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def run(app: typer.Typer) -> NoReturn:
    """Run an app and end the process: every refusal is one line on stderr and an exit code of its own."""
    try:
        # Outside standalone mode, click returns the code of an Exit and of Ctrl-C instead of leaving with it.
        code = app(standalone_mode=False, prog_name="simtom") or 0
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:
        code = _refused(error)
    if code == INTERRUPTED:
        say("simtom: interrupted")
    if code in (FAILED, INTERRUPTED):
        leave(code)
    sys.exit(code)


def leave(code: int) -> NoReturn:
    """End the process at once, without taking the interpreter down step by step.

    A query of polars that has failed or was stopped may have threads that still look for Python; finding it half gone
    they abort the process, and the exit code with it. Whatever had to be closed is closed by now.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)


def _refused(error: Exception) -> int:
    """Tell what was refused and return the exit code; what nobody foresaw is raised again."""
    if isinstance(error, _usage_error()):
        _show_usage(error)
        return WRONG_USAGE
    if isinstance(error, BrokenPipeError):
        close_stdout()
        return FAILED
    if isinstance(error, OSError):  # a full disk behind a redirection, a folder that may not be read
        close_stdout()
        say(f"simtom: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return FAILED
    from generators.errors import SimtomError  # loaded only where something went wrong

    if not isinstance(error, SimtomError):
        raise error
    say(f"simtom: {' '.join(str(error).split())}")
    return FAILED


def _show_usage(error: Any) -> None:
    """Tell what was wrong with the arguments in one line; without any arguments, show the help."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "simtom"
    text = " ".join(str(error.format_message()).replace("Value error, ", "").split())
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show(file=sys.stderr)
        return
    say(f"{command}: {text.rstrip('.')}; see {command} -h")


def _usage_error() -> type[Exception]:
    """Return the class of wrong arguments, from click or from typer's own copy of it."""
    return next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block as a KeyboardInterrupt, whatever the libraries do; enter it once they are imported.

    polars puts a handler of its own in front of Python's: while a query runs in any thread, Ctrl-C is a matter of that
    query alone, and one that streams a file to disk ends when the file does.
    """
    before = signal.signal(signal.SIGINT, Patient(signal.default_int_handler))
    try:
        yield
        _deliver_lost()
    finally:
        signal.signal(signal.SIGINT, before)


def _deliver_lost() -> None:
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, Patient):
        handler.deliver_lost()


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield what is to be called after each step: a progress bar on a terminal, silence in a pipe."""
    if not sys.stderr.isatty():
        yield _deliver_lost
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("days"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)

        def advance() -> None:
            _deliver_lost()
            progress.advance(task)

        yield advance


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 day``, ``3,653 days``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
