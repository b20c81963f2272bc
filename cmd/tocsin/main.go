// Command tocsin is the war room for crypto-operations incidents: one program,
// no services. `tocsin help` lists its subcommands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

var version = "dev"

// streams are the standard streams and the environment, so that tests can give others.
type streams struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
}

type cli struct {
	Serve   serve       `cmd:"" help:"Run the room."`
	Demo    demo        `cmd:"" help:"Run the room on a throw-away directory with a drill playing."`
	Verify  verify      `cmd:"" help:"Check a log: a data directory, a copy of one, or the address of a server."`
	Token   token       `cmd:"" help:"Make an API token or a sign-in link: with the server stopped, or on a shared store at any time."`
	Backup  backupTo    `cmd:"" help:"Write everything into one file."`
	Restore restore     `cmd:"" help:"Put a backup into an empty directory or store."`
	Apply   apply       `cmd:"" help:"Apply on-call settings from YAML to a running server: teams, schedules, policies, rules."`
	Export  export      `cmd:"" help:"Print the on-call settings of a running server as YAML, as apply takes them."`
	Detect  detect      `cmd:"" help:"Score a series for anomalies: CSV timestamp,value on standard input, the same rows with anomaly_score on standard output."`
	Replay  replay      `cmd:"" help:"Play a recording through the detectors: observations as NDJSON in, signals as NDJSON out."`
	Version versionLine `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr, os.Environ()}))
}

// errBad ends a subcommand with exit status 1 after it has said why.
var errBad = errors.New("said already")

func run(ctx context.Context, args []string, io streams) int {
	var c cli
	exit := -1
	p, err := kong.New(&c, kong.Name("tocsin"), kong.Description("The war room for crypto-operations incidents."),
		kong.Writers(io.out, io.err), kong.Exit(func(code int) { exit = code }), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(io))
	if err != nil {
		fmt.Fprintln(io.err, "tocsin:", err)
		return 2
	}
	if len(args) == 1 && args[0] == "help" {
		args = []string{"--help"}
	}
	k, err := p.Parse(args)
	if exit >= 0 {
		return exit
	}
	if err != nil {
		fmt.Fprintf(io.err, "tocsin: %v\nRun “tocsin help” to see what there is.\n", err)
		return 2
	}
	switch err := k.Run(); {
	case errors.Is(err, errBad):
		return 1
	case err != nil:
		fmt.Fprintln(io.err, "tocsin:", err)
		return 1
	}
	return 0
}

// logger writes text to standard error; secrets never reach it, because the
// types that hold them do not print themselves.
func logger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

type versionLine struct{}

// Run prints the version.
func (versionLine) Run(io streams) error {
	_, err := fmt.Fprintln(io.out, "tocsin", version)
	return err
}
