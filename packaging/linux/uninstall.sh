#!/bin/sh
# Removes what install.sh put below ~/.local. Your rooms and settings stay.
set -eu
bin=$HOME/.local/bin
share=${XDG_DATA_HOME:-$HOME/.local/share}
rm -f "$bin/tocsin-desktop" "$share/applications/tocsin.desktop" "${XDG_CONFIG_HOME:-$HOME/.config}/autostart/tocsin.desktop"
for size in scalable 16x16 22x22 24x24 32x32 48x48 64x64 128x128 256x256 512x512; do
	rm -f "$share/icons/hicolor/$size/apps/tocsin.png" "$share/icons/hicolor/$size/apps/tocsin.svg"
done
rm -f "$share/tocsin-desktop/uninstall.sh"
rmdir "$share/tocsin-desktop" 2>/dev/null || true
if command -v update-desktop-database >/dev/null; then update-desktop-database -q "$share/applications" 2>/dev/null || true; fi
echo "Tocsin is removed. What it kept is still in ${XDG_CONFIG_HOME:-$HOME/.config}/tocsin; remove that folder too if nobody needs it any more."
