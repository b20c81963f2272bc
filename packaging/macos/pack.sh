#!/usr/bin/env bash
# Builds Tocsin.app on a Mac and packs it into dist/ as a zip and a disk image. It needs Go 1.26,
# Node.js 20 and Xcode's command line tools.
#   ARCHS            "arm64 amd64" unless given: both make one universal program
#   SIGN_IDENTITY    such as "Developer ID Application: … (TEAM)"; without it the app is signed ad hoc
#                    and Gatekeeper asks people to confirm its first start
#   NOTARY_PROFILE   name of a profile made with xcrun notarytool store-credentials; needs SIGN_IDENTITY
# This script has not been run yet where it was written: there was no Mac.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 022

fail() { echo "pack: $1" >&2; exit 1; }

[[ $(uname -s) == Darwin ]] || fail "an app for macOS can only be built on a Mac: its window is Apple's WebKit"
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
numbers=$(grep -oE '^v?[0-9]+\.[0-9]+\.[0-9]+' <<<"$version" | tr -d v || true)
archs=${ARCHS:-arm64 amd64}
dist=${DIST:-dist}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dist"

make web/assets/dist/app.js
built=()
for arch in $archs; do
	GOARCH=$arch CGO_ENABLED=1 MACOSX_DEPLOYMENT_TARGET=11.0 CGO_CFLAGS=-mmacosx-version-min=11.0 \
		CGO_LDFLAGS="-framework UniformTypeIdentifiers -mmacosx-version-min=11.0" \
		go build -tags desktop,production -trimpath -ldflags "-s -w -X main.version=$version" -o "$work/tocsin-desktop-$arch" ./desktop
	built+=("$work/tocsin-desktop-$arch")
done

app=$work/Tocsin.app
mkdir -p "$app/Contents/MacOS" "$app/Contents/Resources"
lipo -create -output "$app/Contents/MacOS/tocsin-desktop" "${built[@]}"
(cd packaging/icons && GOFLAGS= go run . -icns "$app/Contents/Resources/tocsin.icns")
cp LICENSE "$app/Contents/Resources/LICENSE"
sed "s/@VERSION@/$version/g; s/@NUMBERS@/${numbers:-0.0.0}/g" packaging/macos/Info.plist >"$app/Contents/Info.plist"
plutil -lint "$app/Contents/Info.plist" >/dev/null || fail "Info.plist is not well formed"

if [[ -n ${SIGN_IDENTITY:-} ]]; then
	codesign --force --options runtime --timestamp --sign "$SIGN_IDENTITY" "$app"
else
	echo "pack: SIGN_IDENTITY is not set: signed ad hoc, people will be asked at the first start" >&2
	codesign --force --sign - "$app"
fi
codesign --verify --strict "$app"

name=Tocsin-$version-macos
zip() { ditto -c -k --keepParent "$app" "$1"; }
if [[ -n ${NOTARY_PROFILE:-} ]]; then
	[[ -n ${SIGN_IDENTITY:-} ]] || fail "Apple notarizes only what is signed: set SIGN_IDENTITY too"
	zip "$work/notarize.zip"
	xcrun notarytool submit "$work/notarize.zip" --keychain-profile "$NOTARY_PROFILE" --wait
	xcrun stapler staple "$app"
fi
zip "$dist/$name.zip"
mkdir "$work/image"
cp -R "$app" "$work/image/"
ln -s /Applications "$work/image/Applications"
hdiutil create -quiet -ov -fs HFS+ -volname Tocsin -srcfolder "$work/image" -format UDZO "$dist/$name.dmg"
[[ -z ${SIGN_IDENTITY:-} ]] || codesign --force --timestamp --sign "$SIGN_IDENTITY" "$dist/$name.dmg"
(cd "$dist" && shasum -a 256 "$name.zip" "$name.dmg" >SHA256SUMS-macos)
ls -l "$dist/$name.zip" "$dist/$name.dmg"
