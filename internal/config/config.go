// Package config owns the settings of one Tocsin: a YAML file and the
// environment become one typed Config, or errors that say what to change. It
// never guesses at an unknown key, and its secrets never print themselves.
//
// Later wins: built-in defaults, the file, then the environment. Every setting
// that is not inside a list has a variable: TOCSIN_ and its path in capitals,
// like TOCSIN_ADDR or TOCSIN_CORRELATION_WINDOW.
package config

import "log/slog"

// Config is everything that can be set.
type Config struct {
	// Addr is the address to listen on, host:port. Default 127.0.0.1:8080: only
	// this machine. Behind a proxy that terminates TLS leave it so; port 0 takes
	// any free port.
	Addr string `yaml:"addr"`
	// Data is the directory that holds everything Tocsin keeps. It is made when
	// it is not there. Default "data". Only one process uses it at a time.
	Data string `yaml:"data"`
	// Store is where the log is kept: bolt, a file in the data directory, or
	// etcd://host:2379,host:2379,host:2379/prefix, for several replicas. Default
	// bolt. It is treated as a secret, since it may hold a password.
	Store Store `yaml:"store"`
	// Blobs is where files that are too large for the log are kept: a directory, or
	// a bucket that speaks S3, like s3://bucket?region=eu-central-1, whose
	// credentials are taken as AWS's tools take them. Empty: the directory blobs in
	// Data. Replicas need a place that all of them see.
	Blobs string `yaml:"blobs"`
	// PublicURL is the address that people open, like https://tocsin.example.org,
	// without a path. Passkeys are bound to its host name, and links are made
	// with it. Empty: passkeys work on http://localhost only.
	PublicURL string `yaml:"public_url"`
	// TLS lets Tocsin itself speak https. Empty: it speaks plain HTTP, for a proxy
	// in front or this machine only.
	TLS TLS `yaml:"tls"`
	// LogLevel is debug, info, warn or error. Default info.
	LogLevel string `yaml:"log_level"`
	// Retention is how long samples (the figures behind the charts) are kept,
	// like 15d, 12h or 8w. Default 15d, at least 2h. The event log is kept for ever.
	Retention Duration `yaml:"retention"`
	// Organisation is the name shown on the status page and beside passkeys.
	Organisation string `yaml:"organisation"`
	// BootstrapToken is an administrator's API token for automation, at best the
	// output of: openssl rand -hex 32. Empty: none. Only its digest is kept.
	BootstrapToken Secret `yaml:"bootstrap_token"`
	// BootstrapTokenFile is a file that holds the bootstrap token instead.
	BootstrapTokenFile string `yaml:"bootstrap_token_file"`
	// Components are the parts of the service that the public knows, in the order
	// of the status page.
	Components []Component `yaml:"components"`
	// Chains are the chains to watch. More are added in the page under Chains.
	Chains []Chain `yaml:"chains"`
	// Sources are senders of alerts whose keys are given, not drawn. More are
	// added in the page under Sources.
	Sources []Source `yaml:"sources"`
	// Correlation says which signals become incidents.
	Correlation Correlation `yaml:"correlation"`
	// Status is the status page.
	Status Status `yaml:"status"`

	lines map[string]int // where in the file each setting is, for errors
	file  string
}

// TLS is a certificate and its key, PEM files. Renewed files are taken within
// seconds, without a restart.
type TLS struct {
	// Cert is the file of the certificate and those of its issuers.
	Cert string `yaml:"cert"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key"`
}

// Component is one part of the service on the status page.
type Component struct {
	// Name is what the public reads, like Withdrawals. Alerts name it in the
	// label "component".
	Name string `yaml:"name"`
	// Group puts components under one heading, like Exchange. May be empty.
	Group string `yaml:"group"`
	// Description is one line below the name. May be empty.
	Description string `yaml:"description"`
}

// Chain is one chain and the nodes it is watched through.
type Chain struct {
	// Name is what people read and what alerts name in the label "chain":
	// lower-case letters, digits and dashes, like ethereum.
	Name string `yaml:"name"`
	// Family is evm or bitcoin.
	Family string `yaml:"family"`
	// ChainID guards against a node of another chain: the decimal id for evm
	// ("1"); main, test, testnet4, signet, simnet or regtest for bitcoin. Empty:
	// what the nodes say is taken.
	ChainID string `yaml:"chain_id"`
	// Nodes are the nodes to ask. Two of different operators are the least that
	// makes "the chain stopped" and "my node stopped" different findings.
	Nodes []Node `yaml:"nodes"`
	// RoutineReorg is the depth in blocks up to which a reorg is daily life;
	// deeper ones become signals. 0: what is known of the chain, else 1.
	RoutineReorg int `yaml:"routine_reorg"`
	// Confirmations is the smallest number of confirmations at which somebody
	// credits deposits; a reorg this deep is SEV1. 0: not known.
	Confirmations int `yaml:"confirmations"`
	// BlockInterval is the expected time between blocks, like 12s. Empty: what is
	// known of the chain, and then what is learned.
	BlockInterval Duration `yaml:"block_interval"`
}

// Node is one node of a chain.
type Node struct {
	// Name tells the nodes of a chain apart, like own-1 or provider.
	Name string `yaml:"name"`
	// URL is the address of its JSON-RPC: http or https, for evm also ws or wss.
	// It is treated as a secret, since providers put their keys into it.
	URL Address `yaml:"url"`
	// WS is the websocket address for new heads (evm only). Empty: derived from
	// URL where that works; none: only poll.
	WS Address `yaml:"ws"`
	// User is the user name for nodes that ask for one, as bitcoin nodes do.
	User string `yaml:"user"`
	// Password belongs to User.
	Password Secret `yaml:"password"`
	// PasswordFile is a file that holds the password instead.
	PasswordFile string `yaml:"password_file"`
}

// Source is a sender of alerts.
type Source struct {
	// Name is what people read, like Alertmanager Zug.
	Name string `yaml:"name"`
	// Kind is alertmanager, pagerduty or generic.
	Kind string `yaml:"kind"`
	// Key is the key that the sender uses: 32 lower-case letters and digits. For
	// pagerduty it is the routing key.
	Key Secret `yaml:"key"`
	// KeyFile is a file that holds the key instead.
	KeyFile string `yaml:"key_file"`
}

// Correlation says which signals become incidents.
type Correlation struct {
	// Window is how long after the last signal of an incident a new one on the
	// same chain or component still joins it. Default 2h.
	Window Duration `yaml:"window"`
	// Floor is the least severity that declares an incident by itself, SEV1 to
	// SEV4. Default SEV4; SEV5 never declares.
	Floor string `yaml:"floor"`
}

// Status is the status page.
type Status struct {
	// Title is its heading. Empty: the organisation and "status".
	Title string `yaml:"title"`
	// Audiences are the pages beside the public one, each for stakeholders with
	// that audience: lower-case letters, digits and dashes, like exchanges.
	Audiences []string `yaml:"audiences"`
}

// Default returns the Config of an empty file.
func Default() Config {
	return Config{
		Addr: "127.0.0.1:8080", Data: "data", LogLevel: "info", Retention: 15 * Day,
		Correlation: Correlation{Window: 2 * Hour, Floor: "SEV4"},
	}
}

// Level returns LogLevel for slog; a level that Validate refuses is Info.
func (c Config) Level() slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.LogLevel)) != nil {
		return slog.LevelInfo
	}
	return l
}

// Heading returns the title of the status page.
func (c Config) Heading() string {
	switch {
	case c.Status.Title != "":
		return c.Status.Title
	case c.Organisation != "":
		return c.Organisation + " status"
	}
	return "Status"
}
