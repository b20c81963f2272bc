package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestFigures(t *testing.T) {
	target := "scrape: [{name: a, url: 'http://x/metrics'%s}]"
	for text, want := range map[string]string{
		"metrics: {out_of_order: 13h}":              "13h0m0s cannot be kept open; write a time up to 12h, like 30m",
		"metrics: {out_of_order: 0s}":               "metrics.out_of_order: 0s cannot be kept open",
		"metrics: {series_per_source: 0}":           "0 is no number of series",
		"metrics: {rule_interval: 1ms}":             "1ms is too often or too seldom",
		"rules: ['[']":                              "does not name files",
		"rules: ['']":                               "does not name files",
		"rules: a.yml":                              "takes a list",
		"scrape: [{url: 'http://x'}]":               "scrape[0].name: is missing",
		"scrape: [{name: a}]":                       "scrape[0].url: is missing",
		"scrape: [{name: a, url: 'ftp://x'}]":       "is not an address that begins with http:// or https://",
		"scrape: [{name: a, url: 'http://u:p@x/'}]": "holds a user or password",
		"scrape: [{name: a, url: 'http://x'}, {name: a, url: 'http://x'}]":        `the target "a" is there already`,
		fmt.Sprintf(target, ", interval: 100ms"):                                  "100ms is too often",
		fmt.Sprintf(target, ", limit: -1"):                                        "-1 is no number of samples",
		fmt.Sprintf(target, ", labels: {a-b: c}"):                                 `"a-b" cannot name a label`,
		fmt.Sprintf(target, ", labels: {__name__: c}"):                            `"__name__" cannot name a label`,
		fmt.Sprintf(target, ", labels: {source: c}"):                              "the label source is set here already",
		fmt.Sprintf(target, ", labels: {team: ''}"):                               "scrape[0].labels.team: is missing",
		fmt.Sprintf(target, ", labels: {team: [a]}"):                              "takes one value for each name",
		fmt.Sprintf(target, ", labels: [a]"):                                      "takes names and values",
		fmt.Sprintf(target, ", labels: {a: b, a: c}"):                             "a is set twice",
		fmt.Sprintf(target, ", labels: {a: b}, interval: 1s, limit: 1"):           "",
		"metrics: {out_of_order: 1h}\nrules: [/etc/tocsin/*.yml, more/rules.yml]": "",
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
}

func TestTargetsPrintNoSecret(t *testing.T) {
	c, err := Parse("f.yaml", []byte("scrape: [{name: a, url: 'http://x/metrics?token=geheim'}]"))
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "geheim") {
		t.Error(text)
	}
}
