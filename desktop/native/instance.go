package native

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Call is what a start of the program hands to the instance that runs already.
type Call struct {
	Args  []string `json:"args"`
	Token string   `json:"token,omitempty"` // with which the window may come to the front
}

// Instance is the one program of a directory.
type Instance struct {
	lock io.Closer
	l    net.Listener
}

const (
	maxCall      = 64 << 10 // bytes
	maxCallers   = 8
	callWithin   = 5 * time.Second
	claimWithin  = 10 * time.Second // an instance that ends gives up its socket before its lock
	claimEvery   = 50 * time.Millisecond
	accepted     = "ok\n"
	maxAddresses = 100 // bytes that the path of a socket may have everywhere
)

// ErrSilent means that an instance holds the directory but does not answer.
var ErrSilent = errors.New("the instance that runs does not answer")

var errTooLong = errors.New("too long to be handed over")

var errTaken = errors.New("locked by another instance")

// Claim makes this program the one of dir. Where there is one already, it is given the call, and Claim returns nil and no error. It needs no session
// bus: a kiosk has none.
func Claim(ctx context.Context, dir string, c Call) (*Instance, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	address, err := socket(dir)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithTimeout(ctx, claimWithin)
	defer end()
	for {
		i, err := claim(ctx, filepath.Join(dir, "instance.lock"), address)
		if err == nil || !errors.Is(err, errTaken) {
			return i, err
		}
		if err = handOver(ctx, address, c); err == nil || errors.Is(err, errTooLong) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrSilent, err)
		case <-time.After(claimEvery):
		}
	}
}

func claim(ctx context.Context, path, address string) (*Instance, error) {
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	// The lock is ours: a socket that lies there belongs to nobody.
	if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, lock.Close())
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", address)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := os.Chmod(address, 0o600); err != nil {
		return nil, errors.Join(err, l.Close(), lock.Close())
	}
	return &Instance{lock, l}, nil
}

// socket is the address of the instance of dir: in a place of the user's own, with a short name, because the length of such an address is limited.
func socket(dir string) (string, error) {
	sum := sha256.Sum256([]byte(dir))
	name := "tocsin-" + hex.EncodeToString(sum[:8])
	if run := os.Getenv("XDG_RUNTIME_DIR"); run != "" && len(run)+len(name)+6 < maxAddresses {
		if st, err := os.Stat(run); err == nil && st.IsDir() {
			return filepath.Join(run, name+".sock"), nil
		}
	}
	if address := filepath.Join(dir, "instance.sock"); len(address) < maxAddresses {
		return address, nil
	}
	place, err := ownDirectory(filepath.Join(os.TempDir(), fmt.Sprintf("%s-%d", name, os.Getuid())))
	return filepath.Join(place, "s"), err
}

// ownDirectory makes a directory in a place where others may write, and refuses one that somebody else made.
func ownDirectory(path string) (string, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	st, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !st.IsDir() || st.Mode().Perm() != 0o700 || !ownedByUs(st) {
		return "", fmt.Errorf("%s belongs to somebody else", path)
	}
	return path, nil
}

func handOver(ctx context.Context, address string, c Call) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callWithin)); err != nil {
		return err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if len(body) > maxCall {
		return fmt.Errorf("%w: %d bytes, %d are taken", errTooLong, len(body), maxCall)
	}
	if _, err := conn.Write(append(body, '\n')); err != nil {
		return err
	}
	answer := make([]byte, len(accepted))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != accepted {
		return fmt.Errorf("answered %q", answer)
	}
	return nil
}

// Run gives the calls of further starts to arrived, which must not block, until ctx ends; then the next start is the one.
func (i *Instance) Run(ctx context.Context, arrived func(Call)) error {
	defer i.Close()
	stop := context.AfterFunc(ctx, func() { i.l.Close() })
	defer stop()
	var callers sync.WaitGroup
	defer callers.Wait()
	free := make(chan struct{}, maxCallers)
	for {
		conn, err := i.l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen for further starts: %w", err)
		}
		free <- struct{}{}
		callers.Go(func() {
			defer func() { <-free }()
			defer conn.Close()
			if c, err := read(conn); err == nil {
				arrived(c)
				_, _ = io.WriteString(conn, accepted)
			}
		})
	}
}

func read(conn net.Conn) (c Call, err error) {
	if err := conn.SetDeadline(time.Now().Add(callWithin)); err != nil {
		return c, err
	}
	err = json.NewDecoder(io.LimitReader(conn, maxCall+1)).Decode(&c)
	return c, err
}

// Close gives the directory up.
func (i *Instance) Close() error { return errors.Join(i.l.Close(), i.lock.Close()) }
