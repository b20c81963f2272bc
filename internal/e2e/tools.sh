#!/usr/bin/env bash
# Installs what the browser and node tests need and is quick when all is there:
# Chromium (Debian's package), and below .cache: Alertmanager, btcd, anvil, etcd, versitygw (S3).
# With names as arguments it installs only those.
# Every version is pinned; another one is installed by changing it here.
set -euo pipefail
cd "$(dirname "$0")"
cache=$PWD/.cache
bin=$cache/bin
alertmanager=v0.31.1 # later ones embed a web interface that only their release build makes
btcd=v0.26.2
anvil=1.7.1
etcd=v3.7.3 # as in etcd/go.mod
versitygw=v1.8.0

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

chromium() {
	local c
	for c in chromium chromium-browser google-chrome google-chrome-stable; do
		command -v "$c" >/dev/null && return
	done
	[[ $(uname -s) == Linux ]] && command -v apt-get >/dev/null ||
		fail "there is no Chromium in the PATH; install chromium or Google Chrome and run this again"
	[[ $(id -u) == 0 ]] ||
		fail "there is no Chromium in the PATH; run: sudo apt-get install -y --no-install-recommends chromium chromium-sandbox"
	echo "tools: installing chromium"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y -qq --no-install-recommends chromium chromium-sandbox >/dev/null 2>&1 ||
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-sandbox >/dev/null; } ||
		fail "apt-get could not install chromium; check the network and the package sources, then run this again"
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

wanted() { [[ ${#only[@]} == 0 || " ${only[*]} " == *" $1 "* ]]; }

only=("$@")
command -v go >/dev/null || fail "there is no go in the PATH; install Go 1.26 or later (https://go.dev/dl)"
mkdir -p "$bin"
if wanted anvil; then
	command -v npm >/dev/null || fail "there is no npm in the PATH; install Node.js 20 or later (Debian: apt-get install nodejs npm)"
fi
if wanted chromium; then chromium; fi
if wanted alertmanager; then once alertmanager $alertmanager gobin github.com/prometheus/alertmanager/cmd/alertmanager@$alertmanager; fi
if wanted btcd; then once btcd $btcd gobin github.com/btcsuite/btcd@$btcd; fi
if wanted anvil; then once anvil $anvil npmbin anvil @foundry-rs/anvil $anvil; fi
if wanted etcd; then once etcd $etcd etcdbin; fi
if wanted versitygw; then once versitygw $versitygw gobin github.com/versity/versitygw/cmd/versitygw@$versitygw; fi
