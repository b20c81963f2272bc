//go:build !desktop

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "This program was built without its window. Build it with: make desktop")
	os.Exit(1)
}
