package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	errAnswer       = errors.New("etcd answered what it never should; is this address an etcd?")
	errNoConnection = errors.New("no connection")
)

// is reports whether err is this error of etcd's.
func is(err, etcd error) bool {
	return err != nil && rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(etcd)
}

// fleeting reports whether another member, or the same a little later, may
// answer better. After a Txn it does not say that nothing happened.
func (d *DB) fleeting(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unauthenticated:
		return true
	}
	return errors.Is(err, errNoConnection) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		d.refused(err) || is(err, rpctypes.ErrGRPCFutureRev)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// refused reports whether etcd turned a Txn away before looking at it, for a
// reason that another try may not meet: nothing happened.
func (d *DB) refused(err error) bool {
	return is(err, rpctypes.ErrGRPCUserEmpty) && d.opt.User != "" || // the token is new by now
		is(err, rpctypes.ErrGRPCNoLeader) || is(err, rpctypes.ErrGRPCInvalidAuthToken) ||
		is(err, rpctypes.ErrGRPCAuthOldRevision) ||
		is(err, rpctypes.ErrGRPCRequestTooManyRequests) || is(err, rpctypes.ErrGRPCNotSupportedForLearner)
}

// tooLarge reports whether a message was not sent or not looked at because of
// its size.
func tooLarge(err error) bool {
	return is(err, rpctypes.ErrGRPCRequestTooLarge) || is(err, rpctypes.ErrGRPCTooManyOps) ||
		status.Code(err) == codes.ResourceExhausted && strings.Contains(errText(err), "larger than max")
}

// explain adds the remedy to what an operator can do something about.
func (d *DB) explain(err error) error {
	remedy := ""
	switch {
	case err == nil:
		return nil
	case strings.Contains(errText(err), "client connection is closing"):
		return &failure{text: "the member of etcd that was asked was silent and has been left", err: err}
	case is(err, rpctypes.ErrGRPCNoSpace):
		remedy = "etcd's space is used up: compact and defragment it (etcdctl compact, etcdctl defrag), raise --quota-backend-bytes if that is not enough, then etcdctl alarm disarm"
	case is(err, rpctypes.ErrGRPCPermissionDenied):
		remedy = fmt.Sprintf("grant the user the keys: etcdctl role grant-permission ROLE --prefix=true readwrite %s", d.opt.Prefix)
	case is(err, rpctypes.ErrGRPCAuthFailed), is(err, rpctypes.ErrGRPCUserEmpty), is(err, rpctypes.ErrGRPCUserNotFound):
		remedy = "check user and password in the address of the store"
	case is(err, rpctypes.ErrGRPCCorrupt):
		remedy = "etcd found its members to differ; see “data corruption” in etcd's documentation before anything else"
	case is(err, rpctypes.ErrGRPCNoLeader):
		remedy = "a majority of etcd's members must run and reach each other (etcdctl endpoint status --cluster)"
	case strings.Contains(errText(err), "tls:"), strings.Contains(errText(err), "x509:"):
		remedy = "check ca, cert and key in the address of the store"
	case strings.Contains(errText(err), "error reading server preface"):
		remedy = "etcd may want TLS: give ca in the address of the store, or write etcds://"
	}
	text := rpctypes.ErrorDesc(err)
	if remedy != "" {
		text += "; " + remedy
	}
	return &failure{text: text, err: err}
}

// failure is an error of etcd's in words; the error itself stays within reach.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }
