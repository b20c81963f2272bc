package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// network is three machines of our own, as network namespaces, with two cables
// each: the front one leads to clients, the back one to the other machines.
// Nothing leaves this computer.
type network struct{ t testing.TB }

const (
	frontBridge = "tcsnf"
	backBridge  = "tcsnb"
)

func (n *network) front(i int) string { return fmt.Sprintf("10.211.77.%d", i+1) }
func (n *network) back(i int) string  { return fmt.Sprintf("10.211.78.%d", i+1) }
func (n *network) space(i int) string { return fmt.Sprintf("tcsn%d", i) }

// within is the command that runs a program on a machine.
func (n *network) within(i int) []string { return []string{"ip", "netns", "exec", n.space(i)} }

// newNetwork builds it; it needs the rights of root.
func newNetwork(t testing.TB) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes network namespaces: run it as root (sudo make test)")
	}
	n := &network{t: t}
	n.remove() // what an interrupted run left behind
	t.Cleanup(n.remove)
	n.ip("link add %s type bridge", frontBridge)
	n.ip("link add %s type bridge", backBridge)
	n.ip("addr add 10.211.77.254/24 dev %s", frontBridge)
	n.ip("link set %s up", frontBridge)
	n.ip("link set %s up", backBridge)
	for i := range 3 {
		n.ip("netns add %s", n.space(i))
		n.ip("-n %s link set lo up", n.space(i))
		for name, cable := range map[string]struct{ bridge, address string }{"f": {frontBridge, n.front(i)}, "b": {backBridge, n.back(i)}} {
			here := n.cable(name, i)
			n.ip("link add %s type veth peer name %s0 netns %s", here, name, n.space(i))
			n.ip("link set %s master %s up", here, cable.bridge)
			n.ip("-n %s addr add %s/24 dev %s0", n.space(i), cable.address, name)
			n.ip("-n %s link set %s0 up", n.space(i), name)
		}
	}
	return n
}

func (n *network) cable(name string, i int) string { return fmt.Sprintf("tcsn%s%d", name, i) }

// cut pulls the cable between a machine and the other machines; clients still
// reach it. What is sent is lost without a word.
func (n *network) cut(i int) { n.t.Helper(); n.ip("link set %s down", n.cable("b", i)) }

// mend puts the cable back.
func (n *network) mend(i int) { n.t.Helper(); n.ip("link set %s up", n.cable("b", i)) }

func (n *network) remove() {
	for i := range 3 {
		_ = exec.Command("ip", "netns", "del", n.space(i)).Run()
		_ = exec.Command("ip", "link", "del", n.cable("f", i)).Run()
		_ = exec.Command("ip", "link", "del", n.cable("b", i)).Run()
	}
	_ = exec.Command("ip", "link", "del", frontBridge).Run()
	_ = exec.Command("ip", "link", "del", backBridge).Run()
}

func (n *network) ip(format string, args ...any) {
	n.t.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s (Debian: apt-get install iproute2)", line, err, out)
	}
}
