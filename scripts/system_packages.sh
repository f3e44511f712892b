#!/usr/bin/env bash
# Libraries that the wheels of bpy and OpenCV load, and Chromium for the viewer's tests.
# Installs them on Debian when root; otherwise names them in one line.
set -euo pipefail

packages=(libx11-6 libxrender1 libxxf86vm1 libxfixes3 libxi6 libxkbcommon0 libgl1 libegl1
    libsm6 libice6 libglib2.0-0 libgomp1 chromium)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "Install with your package manager, if missing: ${missing[*]}" >&2
elif [ "$(id -u)" -eq 0 ]; then
    echo "Installing system packages: ${missing[*]}" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
else
    echo "Run once as root: apt-get install --no-install-recommends ${missing[*]}" >&2
fi
