//go:build unix

package etcd_test

import (
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/etcd/etcdtest"
)

// An etcd whose space is used up is read and takes nothing, not even a Txn that
// changes nothing; the error says what to do, and nothing has to be restarted.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	c := etcdtest.New(t, 1)
	db := open(t, options(c))
	ctx := t.Context()
	commit(t, db, put("k", "v"))
	client, err := c.Client(0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	status, err := client.Status(ctx, c.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	alarm := func(a pb.AlarmRequest_AlarmAction) {
		t.Helper()
		if _, err := pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{Action: a, MemberID: status.Header.MemberId, Alarm: pb.AlarmType_NOSPACE}); err != nil {
			t.Fatal(err)
		}
	}
	alarm(pb.AlarmRequest_ACTIVATE)
	for name, txn := range map[string]store.Txn{"a write": put("k", "w"), "nothing": {}} {
		if _, err := db.Commit(ctx, txn); err == nil || !strings.Contains(err.Error(), "etcdctl alarm disarm") || !strings.Contains(err.Error(), "defrag") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := db.Tell(ctx, []byte("live/a"), []byte("1")); err == nil {
		t.Error("something was told")
	}
	if kv, err := db.Get(ctx, []byte("k")); err != nil || string(kv.Value) != "v" {
		t.Errorf("it reads %q, %v", kv.Value, err)
	}
	alarm(pb.AlarmRequest_DEACTIVATE)
	commit(t, db, store.Txn{})
}
