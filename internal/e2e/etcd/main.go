// Command etcd is etcd itself: its own module cannot be installed by version,
// because it replaces parts of itself, so this one builds it.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
