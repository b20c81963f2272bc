package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cluster is three machines, each with one etcd and one replica of the product.
type cluster struct {
	t        testing.TB
	net      *network // nil = all on the loopback
	etcd     [3]*etcd
	replicas [3]*tocsin
}

// etcd is one member of a real etcd.
type etcd struct {
	t      testing.TB
	name   string
	args   []string
	within []string
	client string // http://host:port for the test
	run    *child
}

func (e *etcd) up() {
	e.t.Helper()
	args := append(append([]string{}, e.within...), e.args...)
	e.run = spawn(e.t, e.name, args[0], nil, args[1:]...)
}

// status is what a member says of itself; an error when it does not answer.
func (e *etcd) status() (leader bool, err error) {
	client := http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	r, err := client.Post(e.client+"/v3/maintenance/status", "application/json", strings.NewReader("{}"))
	if err != nil {
		return false, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return false, err
	}
	var out struct {
		Header struct {
			Member string `json:"member_id"`
		}
		Leader string
	}
	if err := json.Unmarshal(b, &out); err != nil || r.StatusCode != 200 {
		return false, fmt.Errorf("%d %s %w", r.StatusCode, b, err)
	}
	if out.Leader == "" || out.Leader == "0" {
		return false, fmt.Errorf("there is no leader")
	}
	return out.Leader == out.Header.Member, nil
}

// etcdQuick are the settings of a small network: a leader is missed after a second.
var etcdQuick = []string{"--heartbeat-interval", "100", "--election-timeout", "1000", "--log-level", "error", "--initial-cluster-state", "new", "--initial-cluster-token", "tocsin-e2e",
	"--auto-compaction-mode", "revision", "--auto-compaction-retention", "2000"}

// startCluster starts three members and three replicas; with a network each
// pair has a machine of its own whose cable can be pulled.
func startCluster(t testing.TB, n *network, config string) *cluster {
	t.Helper()
	c := &cluster{t: t, net: n}
	home := t.TempDir()
	var clients, peers [3]string // host:port among the machines
	for i := range 3 {
		if n != nil {
			clients[i], peers[i] = n.back(i)+":2379", n.back(i)+":2380"
		} else {
			clients[i], peers[i] = "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
		}
	}
	initial := []string{}
	for i, p := range peers {
		initial = append(initial, fmt.Sprintf("m%d=http://%s", i, p))
	}
	for i := range 3 {
		e := &etcd{t: t, name: fmt.Sprintf("etcd %d", i), client: "http://" + clients[i]}
		listen := "http://" + clients[i]
		if n != nil {
			e.within = n.within(i)
			e.client = "http://" + n.front(i) + ":2379"
			listen += "," + e.client
		}
		e.args = append([]string{tool(t, "etcd"), "--name", fmt.Sprintf("m%d", i), "--data-dir", filepath.Join(home, fmt.Sprint("etcd", i)),
			"--listen-client-urls", listen, "--advertise-client-urls", "http://" + clients[i],
			"--listen-peer-urls", "http://" + peers[i], "--initial-advertise-peer-urls", "http://" + peers[i], "--initial-cluster", strings.Join(initial, ",")}, etcdQuick...)
		e.up()
		c.etcd[i] = e
	}
	c.leader()
	for i := range 3 {
		s := prepare(t, config)
		s.store = "etcd://" + strings.Join(clients[:], ",") + "/tocsin"
		if n != nil {
			s.within, s.addr = n.within(i), n.front(i)+":8080"
		}
		s.client.Timeout = patience
		s.up()
		c.replicas[i] = s
	}
	return c
}

// leader waits until the etcd members agree on a leader and returns its index.
func (c *cluster) leader() int {
	c.t.Helper()
	found := -1
	until(c.t, "etcd has a leader", patience, func() (bool, string) {
		said := ""
		for i, e := range c.etcd {
			leads, err := e.status()
			if err != nil {
				said += fmt.Sprintf("%s: %v; ", e.name, err)
			}
			if leads {
				found = i
				return true, ""
			}
		}
		return false, said
	})
	return found
}

// link is the one-time link that the first replica printed.
func (c *cluster) link() *tocsin {
	c.t.Helper()
	for _, s := range c.replicas {
		if s.link != "" {
			return s
		}
	}
	c.t.Fatal("no replica printed a sign-in link")
	return nil
}

// agree waits until every replica has the same log, checks it on each, and
// returns it.
func (c *cluster) agree() []event {
	c.t.Helper()
	var first []event
	for i, s := range c.replicas {
		var log []event
		until(c.t, fmt.Sprintf("replica %d has what replica 0 had", i), patience, func() (bool, string) {
			log = s.events()
			return len(log) >= len(first), fmt.Sprintf("%d of %d events", len(log), len(first))
		})
		if i == 0 {
			first = log
		}
		for k := range first {
			if log[k].ID != first[k].ID || log[k].Offset != int64(k) {
				c.t.Fatalf("event %d is %s at %d on replica %d and %s on replica 0", k, log[k].ID, log[k].Offset, i, first[k].ID)
			}
		}
		s.mustVerify(s.url)
	}
	// A server shows leaves; what they stand for is checked on a backup of the store.
	file := filepath.Join(c.t.TempDir(), "cluster.backup")
	cmd := exec.Command(product, "backup", "--url", c.replicas[0].url, "--out", file)
	cmd.Env = append(os.Environ(), "TOCSIN_TOKEN="+bootstrap)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("backup of the cluster: %v\n%s", err, out)
	}
	c.replicas[0].mustVerify(file)
	return first
}
