#!/bin/sh
# Opens exported files in other programs (tests/interop) and prints a table; see docs/formats.md.
# Needs node >= 20 and Chromium ($CHROMIUM, default /usr/bin/chromium). Arguments go to interop.py.
set -eu
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python3; fi)}"
installed=tests/interop/node_modules/.package-lock.json
if [ ! -f "$installed" ] || [ tests/interop/package-lock.json -nt "$installed" ]; then
  (cd tests/interop && npm ci --no-audit --no-fund --ignore-scripts --silent)
fi
exec "$PYTHON" scripts/interop.py "$@"
