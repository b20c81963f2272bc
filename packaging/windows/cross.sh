#!/usr/bin/env bash
# Builds the zip for Windows on another system (no C compiler is needed) into dist/. What it makes
# is not run by anybody's tests: pack.ps1 on Windows is where signing and the installer belong.
# ARCH (amd64 or arm64), DIST and VERSION may be given.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 022

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
arch=${ARCH:-amd64}
dist=${DIST:-dist}
numbers=$(grep -oE '^v?[0-9]+\.[0-9]+\.[0-9]+' <<<"$version" | tr -d v || true)
name=tocsin-$version-windows-$arch

work=$(mktemp -d)
syso=desktop/icon_windows_$arch.syso
trap 'rm -rf "$work" "$syso"' EXIT
app=$work/$name
mkdir -p "$app" "$dist"
(cd packaging/icons && GOFLAGS= go run . -syso "../../$syso" -arch "$arch" -version "${numbers:-0.0.0}")
export GOOS=windows GOARCH=$arch CGO_ENABLED=0
flags="-s -w -X main.version=$version"
go build -tags desktop,production -trimpath -ldflags "$flags -H windowsgui" -o "$app/tocsin-desktop.exe" ./desktop
go build -trimpath -ldflags "$flags" -o "$app/tocsin.exe" ./cmd/tocsin
unset GOOS GOARCH CGO_ENABLED
cp packaging/windows/install.ps1 packaging/windows/uninstall.ps1 "$app/"
cp packaging/windows/README.txt "$app/README.txt"
cp LICENSE "$app/LICENSE.txt"
go run packaging/windows/zip.go "$dist/$name.zip" "$app" "$epoch"
touch "$dist/SHA256SUMS"
(cd "$dist" && grep -vF "  $name.zip" SHA256SUMS >"$work/sums" || true; cd "$dist" && sha256sum "$name.zip" >>"$work/sums" && sort -k 2 "$work/sums" >SHA256SUMS)
printf '%10s  %s\n' "$(stat -c %s "$dist/$name.zip")" "$name.zip"
