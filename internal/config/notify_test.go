package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNotify(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"pass": "hunter2\n", "tg": "123:abc\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "tocsin.yaml")
	text := "notify:\n  smtp:\n    address: mail.example.org:587\n    from: Tocsin <tocsin@example.org>\n    user: tocsin\n    password_file: pass\n  telegram:\n    token_file: tg\n" +
		"  sms:\n    url: https://sms.example.org/send\n    body: '{\"n\":\"{to}\",\"t\":\"{text}\"}'\n    authorization: Bearer abc-secret\n    headers:\n      X-Account: ops\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Notify.SMTP.Password.Reveal() != "hunter2" || c.Notify.Telegram.Token.Reveal() != "123:abc" || c.Notify.SMS.Headers["X-Account"] != "ops" {
		t.Fatalf("%+v", c.Notify)
	}
	if all := fmt.Sprintf("%v %+v %#v", c, c.Notify, c.Notify); strings.Contains(all, "hunter2") || strings.Contains(all, "123:abc") || strings.Contains(all, "abc-secret") {
		t.Fatal("a secret prints itself")
	}
}

func TestNotifyIsRefusedWithTheRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"smtp: {address: mail.example.org, from: a@b.c}":                        "write it like mail.example.org:587",
		"smtp: {address: 'mail.example.org:25'}":                                "write it like Tocsin <tocsin@example.org>",
		"smtp: {from: a@b.c}":                                                   "notify.smtp.address",
		"smtp: {address: 'm:25', from: a@b.c, tls: none, user: a, password: b}": "in the clear",
		"smtp: {address: 'm:25', from: a@b.c, tls: start}":                      "write starttls",
		"smtp: {address: 'm:25', from: a@b.c, user: a}":                         "needs user and password",
		"slack: {token: a, webhook: 'https://hooks.slack.com/x'}":               "keep one of the two",
		"matrix: {token: a}":                                                    "needs url and token",
		"mattermost: {token: a}":                                                "notify.mattermost.url",
		"sms: {url: 'https://sms.example.org', body: hello}":                    "must hold {to} and {text}",
		"sms: {url: 'https://sms.example.org', method: FETCH}":                  "POST, PUT or GET",
		"sms: {url: 'sms.example.org'}":                                         "begins with http:// or https://",
		"web_push: {contact: nobody}":                                           "ops@example.org",
		"telegramm: {token: a}":                                                 "write telegram",
	} {
		c, err := Parse("tocsin.yaml", []byte("notify:\n  "+text+"\n"))
		if err == nil {
			err = c.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
