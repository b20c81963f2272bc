package etcdtest

import "syscall"

// dieWithParent ends etcd with a test that was killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
