#!/usr/bin/env bash
# Packs bin/tocsin-desktop and bin/tocsin, which make release has just built, into dist/:
#   tocsin_VERSION_ARCH.deb                      the program with the window
#   tocsin-server_VERSION_ARCH.deb               the server and its tools, without GTK
#   tocsin-desktop-VERSION-linux-ARCH.tar.gz     the window for any Linux, with AppRun and install.sh
#   tocsin-VERSION-linux-ARCH.tar.gz             the server for any Linux
#   SHA256SUMS
# The same commit gives the same bytes: every time in the packages is SOURCE_DATE_EPOCH (the
# commit's unless given), every list is sorted. DIST, BIN, VERSION and LEVEL (0-9, of compression) may be given.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 022
export LC_ALL=C TZ=UTC

fail() { echo "pack: $1" >&2; exit 1; }

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
dist=${DIST:-dist}
bin=${BIN:-bin}
level=${LEVEL:-6}
here=packaging/linux
case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) fail "there are no packages for the processor $(uname -m) yet; see case \$(uname -m) in $here/pack.sh" ;;
esac
# As Debian orders versions: a release candidate before its release, what came after a tag after it, and no tag at all before everything.
if [[ $version =~ ^v?[0-9]+\.[0-9] ]]; then
	debian=$(sed -E 's/^v//; s/-(alpha|beta|rc)/~\1/; s/-/+/; s/-/./g' <<<"$version")
else
	debian="0~git$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d).${version//-/.}"
fi
for b in tocsin tocsin-desktop; do
	[[ -x $bin/$b ]] || fail "there is no $bin/$b; run: make release"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dist"
made=()

put() { install -D -m "$1" "$2" "$3"; } # MODE FROM TO

# changelog PACKAGE: CHANGELOG.md in Debian's form.
changelog() {
	printf '%s (%s) unstable; urgency=medium\n\n' "$1" "$debian"
	sed -n 's/^- //p' CHANGELOG.md | while IFS= read -r line; do fold -s -w 74 <<<"$line" | sed 's/ *$//; 1s/^/  * /; 2,$s/^/    /'; done
	printf '\n -- The Tocsin authors <tocsin@invalid>  %s\n' "$(date -R -d "@$SOURCE_DATE_EPOCH")"
}

# paper PACKAGE ROOT: what Debian wants beside a program.
paper() {
	put 644 $here/copyright "$2/usr/share/doc/$1/copyright"
	changelog "$1" | gzip -9n >"$2/usr/share/doc/$1/changelog.gz"
}

# glibc BINARY: the C library that it needs at least.
glibc() { objdump -T "$1" 2>/dev/null | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1 | sed 's/GLIBC_//'; }

# still ROOT: every time in it is the same.
still() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

# deb PACKAGE ROOT: the fields that differ come on standard input.
deb() {
	local name=$1 root=$2 file=$dist/$1_${debian}_$arch.deb
	command -v dpkg-deb >/dev/null || { echo "pack: there is no dpkg-deb here, so $name is not packed for Debian" >&2; return; }
	mkdir -p "$root/DEBIAN"
	(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | sort | xargs md5sum >DEBIAN/md5sums)
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: The Tocsin authors <tocsin@invalid>\n' "$name" "$debian" "$arch"
		printf 'Installed-Size: %s\nSection: admin\nPriority: optional\n' "$(find "$root" -path "$root/DEBIAN" -prune -o -printf '%y %s\n' | awk '$1 == "f" { k += int(($2 + 1023) / 1024) } $1 != "f" { k++ } END { print k }')"
		cat
	} >"$root/DEBIAN/control"
	still "$root"
	dpkg-deb --root-owner-group -Zxz -z"$level" --threads-max=1 --build "$root" "$file" >/dev/null || fail "dpkg-deb could not make $file"
	rm -rf "$root/DEBIAN"
	made+=("$(basename "$file")")
}

# tarball ROOT: packs the folder under its own name.
tarball() {
	local name
	name=$(basename "$1")
	still "$1"
	tar -C "$(dirname "$1")" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -n -"$((level == 0 ? 1 : level))" >"$dist/$name.tar.gz"
	made+=("$name.tar.gz")
}

# The window.
root=$work/window
put 755 "$bin/tocsin-desktop" "$root/usr/bin/tocsin-desktop"
put 644 $here/tocsin.desktop "$root/usr/share/applications/tocsin.desktop"
(cd packaging/icons && GOFLAGS= go run . -theme "$root/usr/share/icons/hicolor") || fail "the icons could not be made; the reason is above"
mkdir -p "$root/usr/share/man/man1"
gzip -9n <$here/tocsin-desktop.1 >"$root/usr/share/man/man1/tocsin-desktop.1.gz"
paper tocsin "$root"
deb tocsin "$root" <<END
Depends: libc6 (>= $(glibc "$bin/tocsin-desktop")), libatk1.0-0, libgdk-pixbuf-2.0-0, libglib2.0-0, libgtk-3-0, libjavascriptcoregtk-4.1-0, libsoup-3.0-0, libwebkit2gtk-4.1-0
Recommends: ca-certificates, default-dbus-session-bus | dbus-session-bus, notification-daemon, pipewire-bin | pulseaudio-utils | alsa-utils, x11-xserver-utils, xdg-utils
Suggests: tocsin-server
Description: live room for incidents, in a window
 Tocsin keeps the record of an incident while people work on it: what
 was seen, what was decided and by whom, in one log that can be checked.
 .
 This package is the program with a window. It holds a room of its own
 on this computer, or joins rooms on servers and keeps their last known
 state readable while the network is away.
END
app=$work/tocsin-desktop-$version-linux-$arch
mv "$root" "$app"
for f in AppRun install.sh uninstall.sh; do put 755 $here/$f "$app/$f"; done
put 644 $here/tocsin.desktop "$app/tocsin.desktop"
put 644 web/assets/src/favicon.svg "$app/tocsin.svg"
put 644 $here/README.tarball "$app/README"
put 644 LICENSE "$app/LICENSE"
ln -s tocsin.svg "$app/.DirIcon"
tarball "$app"

# The server.
root=$work/server
put 755 "$bin/tocsin" "$root/usr/bin/tocsin"
put 644 $here/tocsin.service "$root/lib/systemd/system/tocsin.service"
paper tocsin-server "$root"
deb tocsin-server "$root" <<END
Depends: libc6 (>= $(glibc "$bin/tocsin"))
Recommends: ca-certificates
Description: live room for incidents, the server
 Tocsin keeps the record of an incident while people work on it: what
 was seen, what was decided and by whom, in one log that can be checked.
 .
 This package is the server and its tools: tocsin serve, demo, verify,
 backup, restore and others. After the installation nothing is started:
 systemctl enable --now tocsin does.
END
app=$work/tocsin-$version-linux-$arch
put 755 "$bin/tocsin" "$app/tocsin"
put 644 $here/tocsin.service "$app/tocsin.service"
put 644 LICENSE "$app/LICENSE"
put 644 CHANGELOG.md "$app/CHANGELOG.md"
tarball "$app"

mapfile -t made < <(printf '%s\n' "${made[@]}" | sort)
(cd "$dist" && sha256sum "${made[@]}" >SHA256SUMS && for f in "${made[@]}"; do printf '%10s  %s\n' "$(stat -c %s "$f")" "$f"; done)
