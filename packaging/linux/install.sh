#!/bin/sh
# Installs Tocsin for you alone, below ~/.local: the program, its entry in the
# menu, its icons, and the handler of tocsin:// links. uninstall.sh removes them.
set -eu
here=$(dirname "$(readlink -f "$0")")
bin=$HOME/.local/bin
share=${XDG_DATA_HOME:-$HOME/.local/share}
mkdir -p "$bin" "$share/applications" "$share/icons" "$share/tocsin-desktop"

# Under another name first: a Tocsin that runs now is not disturbed.
cp "$here/usr/bin/tocsin-desktop" "$bin/.tocsin-desktop.new"
chmod 755 "$bin/.tocsin-desktop.new"
mv -f "$bin/.tocsin-desktop.new" "$bin/tocsin-desktop"

# With the whole path: ~/.local/bin is not in everybody's PATH. Quoted as the format wants it.
quoted=$(printf '%s' "$bin/tocsin-desktop" | sed 's/[\\"`$]/\\\\&/g; s/%/%%/g; s/.*/"&"/' | sed 's/[&|\\]/\\&/g')
sed "s|^Exec=tocsin-desktop|Exec=$quoted|; /^TryExec=/d" "$here/usr/share/applications/tocsin.desktop" >"$share/applications/tocsin.desktop"
cp -R "$here/usr/share/icons/." "$share/icons/"
cp "$here/uninstall.sh" "$share/tocsin-desktop/uninstall.sh"

if command -v update-desktop-database >/dev/null; then update-desktop-database -q "$share/applications" || true; fi
if command -v gtk-update-icon-cache >/dev/null; then gtk-update-icon-cache -q -t -f "$share/icons/hicolor" 2>/dev/null || true; fi
if command -v xdg-mime >/dev/null; then xdg-mime default tocsin.desktop x-scheme-handler/tocsin || true; fi
echo "Tocsin is installed: $bin/tocsin-desktop. To remove it: $share/tocsin-desktop/uninstall.sh"
