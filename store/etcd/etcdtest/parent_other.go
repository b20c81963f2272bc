//go:build unix && !linux

package etcdtest

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
