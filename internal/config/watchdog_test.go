package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWatchdog(t *testing.T) {
	beat := "watchdog: [{name: a, url: 'http://x/beat'%s}]"
	for text, want := range map[string]string{
		"watchdog: [{url: 'http://x'}]":                                           "watchdog[0].name: is missing",
		"watchdog: [{name: a}]":                                                   "watchdog[0].url: is missing",
		"watchdog: [{name: a, url: 'ftp://x'}]":                                   "is not an address that begins with http:// or https://",
		"watchdog: [{name: a, url: 'http://u:p@x/'}]":                             "holds a user or password",
		"watchdog: [{name: a, url: 'http://x'}, {name: a, url: 'http://y/'}]":     `the heartbeat "a" is there already`,
		fmt.Sprintf(beat, ", method: PUT"):                                        `"PUT" is not known`,
		fmt.Sprintf(beat, ", interval: 1s"):                                       "1s is too often",
		fmt.Sprintf(beat, ", interval: 2h"):                                       "2h0m0s is too often or too seldom",
		fmt.Sprintf(beat, ", interval: 5s, method: HEAD"):                         "",
		"watchdog: [" + strings.Repeat("{name: a, url: 'http://x/'}, ", 21) + "]": "send heartbeats to at most 20",
	} {
		c, err := Parse("f.yaml", []byte("addr: 1:1\n"+text))
		if err == nil {
			err = c.Validate()
		}
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "f.yaml:2")):
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	c, err := Parse("f.yaml", []byte("watchdog: [{name: a, url: 'http://x/ping/geheim'}]"))
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Watchdog[0]; h.Every() != 30*time.Second || h.Verb() != "POST" || strings.Contains(fmt.Sprintf("%v %+v %#v", c, c, c), "geheim") {
		t.Errorf("%+v", h)
	}
}
