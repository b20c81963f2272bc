#!/usr/bin/env bash
# Installs what the browser and node tests need and is quick when all is there:
# Chromium, exim4 and what the desktop program is built and tested with (Debian's packages), and below .cache: Alertmanager, btcd, CometBFT, anvil, etcd, versitygw (S3), Prometheus (Debian's package).
# With names as arguments it installs only those.
# Every version is pinned; another one is installed by changing it here.
set -euo pipefail
cd "$(dirname "$0")"
cache=$PWD/.cache
bin=$cache/bin
alertmanager=v0.31.1 # later ones embed a web interface that only their release build makes
btcd=v0.26.2
cometbft=v1.0.1
anvil=1.7.1
etcd=v3.7.3 # as in etcd/go.mod
versitygw=v1.8.0
prometheus=debian # building it takes minutes, unpacking it a second

fail() { echo "tools: $1" >&2; exit 1; }

# once NAME VERSION COMMAND...: runs the command unless its result of this version is there.
once() {
	local name=$1 version=$2 stamp=$bin/.$1-$2
	shift 2
	[[ -x $bin/$name && -e $stamp ]] && return
	echo "tools: installing $name $version"
	"$@"
	[[ -x $bin/$name ]] || fail "$name was installed but is not in $bin; remove $cache and run this again"
	rm -f "$bin/.$name-"*
	touch "$stamp"
}

# debian MISSING PACKAGE...: installs Debian's packages because of what is missing. No daemon of theirs is started.
debian() {
	local missing=$1
	shift
	[[ $(uname -s) == Linux ]] && command -v apt-get >/dev/null || fail "$missing; on Debian these packages have it: $*"
	[[ $(id -u) == 0 ]] || fail "$missing; run: sudo RUNLEVEL=1 apt-get install -y --no-install-recommends $*"
	echo "tools: installing $*"
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; } ||
		fail "apt-get could not install $*; check the network and the package sources, then run this again"
}

chromium() {
	local c
	for c in chromium chromium-browser google-chrome google-chrome-stable; do
		type -P "$c" >/dev/null && return # a program: this function has the name too
	done
	debian "there is no Chromium in the PATH" chromium chromium-sandbox
}

exim() { # a mail server that is only ever run as a child of the tests
	[[ -x /usr/sbin/exim4 ]] || debian "there is no exim4" exim4-daemon-light
}

webkit() { # what the desktop program is built with; other systems bring their own webview
	[[ $(uname -s) == Linux ]] || return 0
	command -v gcc >/dev/null && command -v pkg-config >/dev/null && pkg-config --exists gtk+-3.0 webkit2gtk-4.1 && return
	debian "the desktop program needs gcc, pkg-config, GTK 3 and WebKitGTK 4.1" gcc libc6-dev pkg-config libgtk-3-dev libwebkit2gtk-4.1-dev
}

desktop() { # what its tests need: a screen, keys, a session bus, somebody who shows notifications, and ss
	[[ $(uname -s) == Linux ]] || return 0
	local c
	for c in Xvfb xdotool xset dbus-daemon dbus-send dunst desktop-file-validate ss curl; do
		type -P "$c" >/dev/null && continue
		debian "the tests of the desktop program need $c" xvfb xdotool x11-xserver-utils dbus dbus-bin dunst desktop-file-utils iproute2 curl
		return
	done
}

gobin() { # PACKAGE@VERSION
	GOBIN=$bin GOFLAGS= go install "$1" || fail "go could not install $1; check that the Go module proxy is reached (go env GOPROXY)"
}

etcdbin() { # from the module beside this file: etcd's own cannot be installed by version
	(cd etcd && GOFLAGS= go build -o "$bin/etcd" .) || fail "go could not build etcd; check that the Go module proxy is reached (go env GOPROXY)"
}

npmbin() { # NAME PACKAGE VERSION
	npm install --prefix "$cache" --no-save --no-audit --no-fund --loglevel=error "$2@$3" ||
		fail "npm could not install $2@$3; check that the npm registry is reached (npm ping)"
	local found
	found=$(find "$cache/node_modules/${2%/*}" -path "*/$1-*/bin/$1" -type f | head -n 1)
	[[ -n $found ]] || fail "$2@$3 has no binary for this system ($(uname -sm)); put $1 $3 into $bin"
	ln -sf "$found" "$bin/$1"
}

debbin() { # NAME PACKAGE: the binary of Debian's package, without installing anything
	local dir
	dir=$(mktemp -d)
	(cd "$dir" && { apt-get download -qq "$2" || { apt-get update -qq && apt-get download -qq "$2"; }; } && dpkg -x "$2"_*.deb x) >/dev/null 2>&1 ||
		{ rm -rf "$dir"; fail "apt-get could not download $2; put a $1 into $bin and touch $bin/.$1-debian"; }
	install -m 755 "$dir/x/usr/bin/$1" "$bin/$1"
	rm -rf "$dir"
}

wanted() { [[ ${#only[@]} == 0 || " ${only[*]} " == *" $1 "* ]]; }

only=("$@")
command -v go >/dev/null || fail "there is no go in the PATH; install Go 1.26 or later (https://go.dev/dl)"
mkdir -p "$bin"
if wanted anvil; then
	command -v npm >/dev/null || fail "there is no npm in the PATH; install Node.js 20 or later (Debian: apt-get install nodejs npm)"
fi
if wanted chromium; then chromium; fi
if wanted exim4; then exim; fi
if wanted webkit; then webkit; fi
if wanted desktop; then desktop; fi
if wanted alertmanager; then once alertmanager $alertmanager gobin github.com/prometheus/alertmanager/cmd/alertmanager@$alertmanager; fi
if wanted btcd; then once btcd $btcd gobin github.com/btcsuite/btcd@$btcd; fi
if wanted cometbft; then once cometbft $cometbft gobin github.com/cometbft/cometbft/cmd/cometbft@$cometbft; fi
if wanted anvil; then once anvil $anvil npmbin anvil @foundry-rs/anvil $anvil; fi
if wanted etcd; then once etcd $etcd etcdbin; fi
if wanted prometheus; then once prometheus $prometheus debbin prometheus prometheus; fi
if wanted versitygw; then once versitygw $versitygw gobin github.com/versity/versitygw/cmd/versitygw@$versitygw; fi
