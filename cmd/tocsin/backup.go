package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/backup"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/whole"
	"github.com/tocsin-ops/tocsin/store"
	"github.com/tocsin-ops/tocsin/store/bolt"
)

type backupTo struct {
	sealing
	Data   string `help:"Data directory, of a running server too (default ./data)." type:"path" placeholder:"DIR"`
	Store  string `help:"Store that several replicas share: etcd://HOST:2379,HOST:2379/PREFIX." placeholder:"STORE"`
	URL    string `help:"Address of a running server." name:"url" placeholder:"URL"`
	Token  string `help:"API token of an administrator, for --url." env:"TOCSIN_TOKEN" placeholder:"TOKEN"`
	Config string `help:"Configuration file." type:"path" placeholder:"FILE" env:"TOCSIN_CONFIG"`
	Out    string `help:"File to write; - for standard output (default tocsin-TIME.backup)." short:"o" placeholder:"FILE"`
	Force  bool   `help:"Write over a file that is there."`
}

// Help is shown by tocsin backup --help.
func (backupTo) Help() string {
	return "One consistent file of everything but samples: log, people, settings. It holds every secret of the installation: the signing key, digests of sessions and tokens, addresses of nodes with their keys. Keep it like a password safe, or encrypt it with --passphrase-file."
}

// Run makes the backup, reads it once more to be sure, and says what is in it.
func (b backupTo) Run(ctx context.Context, io streams) error {
	if b.URL != "" && (b.Data != "" || b.Store != "") || b.Data != "" && b.Store != "" {
		return errors.New("name one of --data, --store and --url")
	}
	now := time.Now().UTC()
	if b.Out == "-" {
		return b.make(ctx, io, io.out, now)
	}
	if b.Out == "" {
		b.Out = "tocsin-" + now.Format("20060102T150405Z") + ".backup"
	}
	if _, err := os.Lstat(b.Out); err == nil && !b.Force {
		return fmt.Errorf("%s is there already; choose another name with --out, or write over it with --force", b.Out)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(b.Out), filepath.Base(b.Out)+".part*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		_ = part.Close()
		_ = os.Remove(part.Name()) // gone already when all went well
	}()
	if err := b.make(ctx, io, part, now); err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	st, err := part.Stat()
	if err != nil {
		return err
	}
	if err := part.Close(); err != nil {
		return err
	}
	open, _, err := b.opener(part.Name())
	if err != nil {
		return err
	}
	s, err := backup.Inspect(ctx, open)
	if err != nil {
		return fmt.Errorf("what was written cannot be read back: %w", err)
	}
	if err := os.Rename(part.Name(), b.Out); err != nil {
		return err
	}
	if err := whole.SyncDirectory(filepath.Dir(b.Out)); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "backup: %s: %d events of %s, %d keys, %s\nkey: %s\n%s", b.Out, s.Events, s.Origin, s.Keys, bytesText(st.Size()), s.Verifier, s.Checkpoint)
	if b.PassphraseFile == "" {
		fmt.Fprintln(io.out, "It holds every secret of this installation: keep it like a password safe.")
	}
	return nil
}

// make writes the backup to w, encrypted if that is wanted.
func (b backupTo) make(ctx context.Context, io streams, w io.Writer, now time.Time) error {
	sealed, err := b.seal(w)
	if err != nil {
		return err
	}
	if b.URL != "" {
		err = b.fetch(ctx, io, sealed)
	} else {
		err = b.read(ctx, io, sealed, now)
	}
	if err != nil {
		return err
	}
	return sealed.Close()
}

// read backs up a directory or a shared store.
func (b backupTo) read(ctx context.Context, io streams, w io.Writer, now time.Time) error {
	c, err := placed(b.Config, b.Data, b.Store, io)
	if err != nil {
		return err
	}
	var db store.DB
	done, by := func() {}, backup.Maker{Version: version, Engine: "bolt", At: now}
	if c.Store.Shared() {
		by.Engine = "etcd"
		if db, err = openStore(ctx, c.Store.Reveal(), logger(io.err, c.Level())); err == nil {
			done = func() { _ = db.Close() }
		}
	} else {
		db, done, err = offline(ctx, c.Data)
		if errors.Is(err, bolt.ErrBusy) {
			err = fmt.Errorf("%w; or ask the server itself with --url", err)
		}
	}
	if err != nil {
		return err
	}
	defer done()
	_, err = backup.Write(ctx, db, w, by)
	return err
}

// placed is the configuration with the place that flags name; --data alone means
// that directory, whatever the configuration says of a shared store.
func placed(file, data, store string, io streams) (config.Config, error) {
	c, err := config.Load(file, io.environ)
	if err != nil {
		return c, err
	}
	if data != "" {
		c.Data, c.Store = data, config.Store{}
	}
	if store != "" {
		c.Store = config.NewStore(store)
	}
	return c, c.Validate()
}

// fetch takes the backup from a server.
func (b backupTo) fetch(ctx context.Context, streams streams, w io.Writer) error {
	u, err := url.Parse(strings.TrimSuffix(b.URL, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("--url is not an address; write it like https://tocsin.example.org")
	}
	if b.Token == "" {
		return errors.New("a running server gives a backup to administrators only; give an API token with TOCSIN_TOKEN or --token")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		fmt.Fprintln(streams.err, "tocsin: every secret now goes over the network in clear; use https")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("/api/v1/backup").String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+b.Token)
	r.Header.Set("Accept-Encoding", "identity")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var p struct{ Detail string }
		_ = json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&p)
		if p.Detail == "" {
			p.Detail = "Is this the address of a tocsin?"
		}
		return fmt.Errorf("%s answers %s: %s", b.URL, res.Status, p.Detail)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("take the backup from %s: %w; try again", b.URL, err)
	}
	return nil
}

func bytesText(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20)
}
