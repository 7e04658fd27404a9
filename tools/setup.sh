#!/usr/bin/env bash
# Create .venv from a lock file: `setup.sh run` or `setup.sh dev`. Done once; an interrupted set-up is done again.
set -euo pipefail
cd "$(dirname "$0")/.."

kind="${1:-run}"
python="${PYTHON:-python3}"
case "$kind" in
    run) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) echo "setup.sh: '$kind' given; allowed: run, dev" >&2; exit 2 ;;
esac

# The stamp names what the environment was made from. A development environment serves for running as well.
digest() { cat "$1" pyproject.toml | cksum | tr ' ' '-'; }
stamp=.venv/.setup-complete
if [ -f "$stamp" ]; then
    if [ "$(cat "$stamp")" = "$kind $PWD $(digest "$lock")" ]; then exit 0; fi
    if [ "$kind" = run ] && [ "$(cat "$stamp")" = "dev $PWD $(digest requirements-dev.lock)" ]; then exit 0; fi
fi

if ! command -v "$python" >/dev/null; then
    echo "simtom-pipelines needs Python 3.11 to 3.13; '$python' was not found. Name one: make demo PYTHON=/path/to/python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'; then
    echo "simtom-pipelines needs Python 3.11 to 3.13; '$python' is $("$python" -V 2>&1). Name another: make demo PYTHON=python3.12" >&2
    exit 1
fi

echo "setting up .venv from $lock (once, a minute or two)" >&2
rm -f "$stamp"
# A moved or half-made environment is made anew; a sound one is only brought up to date.
if ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.prefix != sys.argv[1])' "$PWD/.venv" 2>/dev/null; then
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        echo "python3 -m venv failed; on Debian and Ubuntu install python3-venv" >&2
        exit 1
    fi
fi
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input -qq)

# Every file is checked against its hash; the lock is complete, so nothing is resolved.
# uv, itself from the lock, does it in seconds; where it cannot reach what pip is configured to reach, pip does it.
fast() {
    local pin=.venv/uv.txt
    awk '/^uv==/ { found = 1 } found { print } found && !/\\$/ { exit }' requirements-dev.lock >"$pin"
    "${pip[@]}" install --no-deps --require-hashes -r "$pin" &&
        UV_HTTP_TIMEOUT=60 .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --require-hashes -r "$lock"
}
if ! fast 2>/dev/null; then
    "${pip[@]}" install --no-deps --require-hashes -r "$lock"
fi
"${pip[@]}" install --no-deps --no-build-isolation --no-index --editable .
echo "$kind $PWD $(digest "$lock")" >"$stamp.part"
mv "$stamp.part" "$stamp"
