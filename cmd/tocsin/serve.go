package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tocsin-ops/tocsin/internal/app"
	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/store/etcd"
)

type serve struct {
	Addr      string `help:"Address to listen on (default 127.0.0.1:8080)." placeholder:"HOST:PORT"`
	Data      string `help:"Directory that holds everything (default ./data)." type:"path" placeholder:"DIR"`
	Config    string `help:"Configuration file." type:"path" placeholder:"FILE" env:"TOCSIN_CONFIG"`
	PublicURL string `help:"Address that people open." name:"public-url" placeholder:"URL"`
	TLSCert   string `help:"Certificate, a PEM file: Tocsin itself speaks https." name:"tls-cert" type:"path" placeholder:"FILE"`
	TLSKey    string `help:"Private key of the certificate, a PEM file." name:"tls-key" type:"path" placeholder:"FILE"`
	Store     string `help:"Where the log is kept: bolt, a file in the data directory (default), or etcd://HOST:2379,HOST:2379/PREFIX, which several replicas share." placeholder:"STORE"`
	Blobs     string `help:"Where large files are kept: a directory (default blobs in the data directory), or s3://BUCKET?region=REGION." placeholder:"PLACE"`
}

// Run serves until it is told to stop.
func (s serve) Run(ctx context.Context, io streams) error {
	c, err := config.Load(s.Config, io.environ)
	if err != nil {
		return err
	}
	for _, o := range []struct {
		flag string
		to   *string
	}{{s.Addr, &c.Addr}, {s.Data, &c.Data}, {s.Blobs, &c.Blobs}, {s.PublicURL, &c.PublicURL}, {s.TLSCert, &c.TLS.Cert}, {s.TLSKey, &c.TLS.Key}} {
		if o.flag != "" {
			*o.to = o.flag
		}
	}
	if s.Store != "" {
		c.Store = config.NewStore(s.Store)
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if c.Store.Shared() {
		if _, err := etcd.ParseURL(c.Store.Reveal()); err != nil {
			return err
		}
	}
	return serveConfig(ctx, io, app.Options{Config: c, BootstrapToken: c.BootstrapToken.Reveal()}, nil)
}

func serveConfig(ctx context.Context, io streams, o app.Options, started func(context.Context, *app.App) error) error {
	o.Version = version
	o.Logger = logger(io.err, o.Config.Level())
	o.OpenStore, o.OpenBlobs = openStore, openBlobs
	for _, note := range config.Strays(io.environ) {
		o.Logger.Warn(note)
	}
	a, err := app.New(ctx, o)
	if err != nil {
		return err
	}
	if !app.HasAssets() {
		fmt.Fprintln(io.err, "tocsin: this binary was built without its styles and scripts; build it with: make build")
	}
	fmt.Fprintf(io.out, "listening on %s://%s\n", a.Scheme(), a.Addr())
	if a.SignInLink != "" {
		fmt.Fprintf(io.out, "sign-in link: %s\n  works once, for 24 hours, for the first administrator\n", a.SignInLink)
	} else {
		fmt.Fprintf(io.out, "open %s\n", a.URL())
	}
	defer onHangup(a.ReloadRules)()
	if started == nil {
		return a.Run(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	if err := started(ctx, a); err != nil {
		cancel()
		<-ran
		return err
	}
	return <-ran
}

// onHangup calls f at every SIGHUP until the returned function is called.
func onHangup(f func()) (end func()) {
	hup, over, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for {
			select {
			case <-hup:
				f()
			case <-over:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hup)
		close(over)
		<-ended
	}
}

type demo struct {
	Addr     string  `help:"Address to listen on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Scenario string  `help:"What to play (nomad, polygon-reorg)." default:"nomad"`
	Speed    float64 `help:"How many times faster than it was." default:"60"`
}

// Run plays a drill on a directory that is removed at the end.
func (d demo) Run(ctx context.Context, io streams) error {
	dir, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := config.Load("", io.environ)
	if err != nil {
		return err
	}
	c.Addr, c.Data, c.Store, c.Organisation = d.Addr, dir, config.Store{}, "Demo Exchange"
	c.Components = []config.Component{
		{Name: "Trading", Group: "Exchange"}, {Name: "Deposits", Group: "Exchange"}, {Name: "Withdrawals", Group: "Exchange"},
		{Name: "Bridge", Group: "Protocols"}, {Name: "Staking", Group: "Protocols"},
	}
	c.Status.Audiences = []string{"clients", "regulators"}
	o := app.Options{Config: c, Demo: true, BootstrapToken: c.BootstrapToken.Reveal()}
	return serveConfig(ctx, io, o, func(ctx context.Context, a *app.App) error {
		if err := a.WaitReady(ctx, 30*time.Second); err != nil {
			return err
		}
		fmt.Fprintf(io.out, "DRILL: playing %s at %g times its speed; all of it is gone when this program ends\n", d.Scenario, d.Speed)
		return a.StartDrill(ctx, d.Scenario, d.Speed)
	})
}
