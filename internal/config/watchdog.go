package config

import (
	"fmt"
	"net/url"
	"time"
)

// Heartbeat is an address that hears from us as long as all is well here.
type Heartbeat struct {
	// Name is what people read, like other-site.
	Name string `yaml:"name"`
	// URL is asked regularly, like that of a heartbeat source of another Tocsin, or
	// of a service that watches cron jobs. It is treated as a secret, since keys are
	// part of it.
	URL Address `yaml:"url"`
	// Method is POST, GET or HEAD. Default POST.
	Method string `yaml:"method"`
	// Interval is how often, from 5s to 1h. Default 30s. Whoever listens should raise
	// the alarm after some three of them.
	Interval Duration `yaml:"interval"`
}

const (
	heartbeatsMost = 20
	beatEvery      = 30 * Second
)

var methods = []string{"POST", "GET", "HEAD"}

// Verb returns the method, also when none is given.
func (h Heartbeat) Verb() string {
	if h.Method == "" {
		return methods[0]
	}
	return h.Method
}

// Every returns the interval, also when none is given.
func (h Heartbeat) Every() time.Duration {
	if h.Interval == 0 {
		return beatEvery.Std()
	}
	return h.Interval.Std()
}

func (j *judge) watchdog() {
	if len(j.Watchdog) > heartbeatsMost {
		j.wrong("watchdog", "there are %d addresses; send heartbeats to at most %d", len(j.Watchdog), heartbeatsMost)
	}
	names := map[string]string{}
	for i, h := range j.Watchdog {
		path := fmt.Sprintf("watchdog[%d]", i)
		j.text(path+".name", h.Name, 80, true)
		j.unique(names, "heartbeat", h.Name, path+".name")
		j.oneOf(path+".method", h.Verb(), methods)
		if h.Interval != 0 && (h.Interval < 5*Second || h.Interval > Hour) {
			j.wrong(path+".interval", "%s is too often or too seldom; write 5s to 1h, like 30s", h.Interval)
		}
		u, err := url.Parse(h.URL.Reveal())
		switch {
		case h.URL.Empty():
			j.wrong(path+".url", "is missing; write the address that expects the heartbeat")
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "":
			j.wrong(path+".url", "is not an address that begins with http:// or https://; write it as the one who listens gave it")
		case u.User != nil:
			j.wrong(path+".url", "holds a user or password; use an address with a key in its path instead")
		}
	}
}
