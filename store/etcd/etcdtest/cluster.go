//go:build unix

package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Cluster is a cluster whose members are processes of this one. All methods may
// be called by any goroutine; a member is named by its index.
type Cluster struct {
	binary, dir string
	flags       []string
	members     []*process

	mu             sync.Mutex
	user, password string // for all that this package asks itself
}

type process struct {
	client, peer string // host:port
	mu           sync.Mutex
	cmd          *exec.Cmd
	exited       chan struct{}
}

// New starts n members that are stopped, with their data, when the test ends.
// flags are added to those of every member.
func New(t testing.TB, n int, flags ...string) *Cluster {
	t.Helper()
	c, err := Start(t.TempDir(), n, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// Start starts n members in dir and returns when each answers from a quorum. It
// does not sync files to disk. The caller calls Stop.
func Start(dir string, n int, flags ...string) (*Cluster, error) {
	binary, err := etcd()
	if err != nil {
		return nil, err
	}
	c := &Cluster{binary: binary, dir: dir, flags: flags}
	free, err := ports(2 * n)
	if err != nil {
		return nil, err
	}
	for i := range n {
		c.members = append(c.members, &process{client: free[2*i], peer: free[2*i+1]})
	}
	for i := range n {
		if err := c.start(i); err != nil {
			c.Stop()
			return nil, err
		}
	}
	for i := range n {
		if err := c.Await(i); err != nil {
			c.Stop()
			return nil, err
		}
	}
	return c, nil
}

// etcd returns the binary, and has it installed when it is missing.
func etcd() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	e2e := filepath.Join(filepath.Dir(file), "..", "..", "..", "internal", "e2e")
	binary := filepath.Join(e2e, ".cache", "bin", "etcd")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	out, err := exec.Command("bash", filepath.Join(e2e, "tools.sh"), "etcd").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("install etcd: %w\n%s", err, out)
	}
	return binary, nil
}

// ports returns n addresses on loopback that are free now and that nobody gets by chance, also while a member is dead: their ports are none of those that
// the system gives to connections and to who asks for any.
func ports(n int) (free []string, err error) {
	lowest := 32768
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &lowest)
	}
	const first = 10000
	if lowest < first+1000 {
		return nil, fmt.Errorf("find ports: the system gives them out from %d on, which leaves too few; see net.ipv4.ip_local_port_range", lowest)
	}
	for range 1000 {
		if len(free) == n {
			return free, nil
		}
		addr := fmt.Sprint("127.0.0.1:", first+rand.IntN(lowest-first))
		if _, twice := given.LoadOrStore(addr, true); twice {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		free = append(free, addr)
	}
	return nil, fmt.Errorf("find ports: only %d of %d are free", len(free), n)
}

var given sync.Map // addresses that a cluster of this process has

func (c *Cluster) start(i int) error {
	m := c.members[i]
	var all []string
	for j, o := range c.members {
		all = append(all, fmt.Sprintf("m%d=http://%s", j, o.peer))
	}
	log, err := os.OpenFile(filepath.Join(c.dir, fmt.Sprintf("m%d.log", i)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.binary, append([]string{
		"--name", fmt.Sprintf("m%d", i), "--data-dir", filepath.Join(c.dir, fmt.Sprintf("m%d", i)),
		"--listen-client-urls", "http://" + m.client, "--advertise-client-urls", "http://" + m.client,
		"--listen-peer-urls", "http://" + m.peer, "--initial-advertise-peer-urls", "http://" + m.peer,
		"--initial-cluster", strings.Join(all, ","), "--initial-cluster-token", c.dir,
		"--unsafe-no-fsync", "--log-level", "error",
	}, c.flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start etcd %d: %w", i, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cmd, m.exited = cmd, exited
	return nil
}

// Endpoints are the members' addresses for clients, host:port.
func (c *Cluster) Endpoints() (all []string) {
	for _, m := range c.members {
		all = append(all, m.client)
	}
	return all
}

func (c *Cluster) signal(i int, s syscall.Signal) <-chan struct{} {
	m := c.members[i]
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil {
		return nil
	}
	_ = m.cmd.Process.Signal(s)
	return m.exited
}

// Kill kills a member as a power cut would, and waits until it is gone.
func (c *Cluster) Kill(i int) {
	if gone := c.signal(i, syscall.SIGKILL); gone != nil {
		<-gone
	}
}

// As names the user whom this package and its clients act as from now on.
func (c *Cluster) As(user, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user, c.password = user, password
}

// Pause freezes a member: its connections stay open, nothing answers.
func (c *Cluster) Pause(i int) {
	client, err := c.Client(i)
	c.signal(i, syscall.SIGSTOP)
	if err != nil { // it has no quorum to let us in
		time.Sleep(100 * time.Millisecond)
		return
	}
	defer client.Close()
	for err == nil { // the signal takes effect a little later
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err = client.Get(ctx, "frozen", clientv3.WithSerializable())
		cancel()
	}
}

// Resume lets a frozen member go on.
func (c *Cluster) Resume(i int) { c.signal(i, syscall.SIGCONT) }

// Restart starts a killed member again on its data; Await waits for it.
func (c *Cluster) Restart(i int) error { return c.start(i) }

// Stop kills every member that still runs.
func (c *Cluster) Stop() {
	for i := range c.members {
		c.Kill(i)
	}
}

// Client returns a client of one member (of all when i is -1), which the caller
// closes.
func (c *Cluster) Client(i int) (*clientv3.Client, error) {
	endpoints := c.Endpoints()
	if i >= 0 {
		endpoints = endpoints[i : i+1]
	}
	c.mu.Lock()
	user, password := c.user, c.password
	c.mu.Unlock()
	return clientv3.New(clientv3.Config{
		Username: user, Password: password, DialTimeout: 10 * time.Second,
		Endpoints: endpoints, Logger: zap.NewNop(), DialOptions: []grpc.DialOption{grpc.WithIdleTimeout(0)},
	})
}

// Await returns when the member answers from a quorum, for at most a minute.
func (c *Cluster) Await(i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := c.Client(i)
	for err != nil && ctx.Err() == nil { // it lets nobody in yet
		client, err = c.Client(i)
	}
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		try, done := context.WithTimeout(ctx, 2*time.Second)
		_, err := client.Get(try, "ready", clientv3.WithKeysOnly())
		done()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			log, _ := os.ReadFile(filepath.Join(c.dir, fmt.Sprintf("m%d.log", i)))
			return fmt.Errorf("etcd %d does not answer: %w\n%s", i, err, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Leader returns the index of the leader that most of the members agree on.
func (c *Cluster) Leader() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		votes, self := map[uint64]int{}, map[uint64]int{}
		for i := range c.members {
			client, err := c.Client(i)
			if err != nil {
				continue
			}
			try, done := context.WithTimeout(ctx, 2*time.Second)
			s, err := client.Status(try, c.members[i].client)
			done()
			client.Close()
			if err == nil {
				votes[s.Leader]++
				self[s.Header.MemberId] = i
			}
		}
		for id, n := range votes {
			if i, known := self[id]; known && 2*n > len(c.members) {
				return i, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return 0, errors.New("the members agree on no leader")
}
