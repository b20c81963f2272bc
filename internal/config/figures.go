package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Figures says how samples come in and how rules judge them.
type Figures struct {
	// OutOfOrder is how much older than the newest sample a sample may be, so that
	// a sender that was cut off catches up. Default 30m, at most 12h.
	OutOfOrder Duration `yaml:"out_of_order"`
	// SeriesPerSource is how many series one source of metrics may have at a time.
	// Default 20000.
	SeriesPerSource int `yaml:"series_per_source"`
	// RuleInterval is how often rules are evaluated whose group says nothing.
	// Default 30s.
	RuleInterval Duration `yaml:"rule_interval"`
}

// Scrape is a target in Prometheus' format that is asked regularly.
type Scrape struct {
	// Name is what the target's series get as label job and source.
	Name string `yaml:"name"`
	// URL is the whole address, like http://127.0.0.1:9100/metrics. A redirect is
	// not followed. It is treated as a secret, since it may hold a token.
	URL Address `yaml:"url"`
	// Interval is how often, from 1s to 1h. Default 30s.
	Interval Duration `yaml:"interval"`
	// BearerTokenFile is a file whose text is sent as Bearer token; it is read
	// every time, so that it may be renewed.
	BearerTokenFile string `yaml:"bearer_token_file"`
	// Labels are put on every series of the target.
	Labels Labels `yaml:"labels"`
	// Limit is how many samples one answer may have; one with more is dropped as a
	// whole. Default 10000.
	Limit int `yaml:"limit"`
}

// Labels are names and values.
type Labels map[string]string

const (
	scrapesMost  = 100
	rulesMost    = 64
	labelsMost   = 16
	scrapeEvery  = 30 * Second
	scrapeAtMost = 10_000
	scrapeBound  = 200_000
)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,63}$`)

// reservedLabels are set by whoever takes the samples in.
var reservedLabels = map[string]bool{"source": true, "job": true, "instance": true}

func defaultFigures() Figures {
	return Figures{OutOfOrder: Duration(30 * time.Minute), SeriesPerSource: 20_000, RuleInterval: 30 * Second}
}

// Every returns the interval, also when none is given.
func (s Scrape) Every() time.Duration {
	if s.Interval == 0 {
		return scrapeEvery.Std()
	}
	return s.Interval.Std()
}

// Most returns the limit, also when none is given.
func (s Scrape) Most() int {
	if s.Limit == 0 {
		return scrapeAtMost
	}
	return s.Limit
}

// resolve makes paths of the file independent of where the process runs. Those
// of the environment are relative to that already.
func (c *Config) resolve(dir string, env map[string]string) {
	if env[prefix+"RULES"] == "" {
		for i, g := range c.Rules {
			if g != "" && !filepath.IsAbs(g) {
				c.Rules[i] = filepath.Join(dir, g)
			}
		}
	}
	if f := &c.Detection; env[prefix+"DETECTION"] == "" && *f != "" && !filepath.IsAbs(*f) {
		*f = filepath.Join(dir, *f)
	}
	for i := range c.Scrape {
		if f := &c.Scrape[i].BearerTokenFile; *f != "" && !filepath.IsAbs(*f) {
			*f = filepath.Join(dir, *f)
		}
	}
}

func (j *judge) figures() {
	if m := j.Metrics.OutOfOrder; m <= 0 || m > 12*Hour {
		j.wrong("metrics.out_of_order", "%s cannot be kept open; write a time up to 12h, like 30m", m)
	}
	if n := j.Metrics.SeriesPerSource; n < 1 || n > scrapeBound {
		j.wrong("metrics.series_per_source", "%d is no number of series; write 1 to %d", n, scrapeBound)
	}
	if d := j.Metrics.RuleInterval; d < Second || d > Hour {
		j.wrong("metrics.rule_interval", "%s is too often or too seldom; write 1s to 1h, like 30s", d)
	}
	if len(j.Rules) > rulesMost {
		j.wrong("rules", "there are %d entries; use at most %d, a * stands for any part of a file name", len(j.Rules), rulesMost)
	}
	for i, g := range j.Rules {
		if _, err := filepath.Match(g, "x"); err != nil || strings.TrimSpace(g) == "" {
			j.wrong(fmt.Sprintf("rules[%d]", i), "%q does not name files; write a path, in which * stands for any part of a name, like rules/*.yml", g)
		}
	}
	if len(j.Scrape) > scrapesMost {
		j.wrong("scrape", "there are %d targets; ask at most %d from here, and let a Prometheus write the others (remote_write)", len(j.Scrape), scrapesMost)
	}
	names := map[string]string{}
	for i, s := range j.Scrape {
		path := fmt.Sprintf("scrape[%d]", i)
		j.text(path+".name", s.Name, 80, true)
		j.unique(names, "target", s.Name, path+".name")
		j.target(path, s)
	}
}

func (j *judge) target(path string, s Scrape) {
	u, err := url.Parse(s.URL.Reveal())
	switch {
	case s.URL.Empty():
		j.wrong(path+".url", "is missing; write it like http://127.0.0.1:9100/metrics")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "":
		j.wrong(path+".url", "is not an address that begins with http:// or https://; write it like http://127.0.0.1:9100/metrics")
	case u.User != nil:
		j.wrong(path+".url", "holds a user or password; give a token with bearer_token_file instead")
	}
	if s.Interval != 0 && (s.Interval < Second || s.Interval > Hour) {
		j.wrong(path+".interval", "%s is too often or too seldom; write 1s to 1h, like 30s", s.Interval)
	}
	if s.Limit < 0 || s.Limit > scrapeBound {
		j.wrong(path+".limit", "%d is no number of samples; write 1 to %d", s.Limit, scrapeBound)
	}
	if len(s.Labels) > labelsMost {
		j.wrong(path+".labels", "there are %d labels; use at most %d", len(s.Labels), labelsMost)
	}
	for name, value := range s.Labels {
		switch {
		case !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
			j.wrong(path+".labels", "%q cannot name a label; use letters, digits and underscores", name)
		case reservedLabels[name]:
			j.wrong(path+".labels", "the label %s is set here already; choose another name", name)
		default:
			j.text(path+".labels."+name, value, 200, true)
		}
	}
}
