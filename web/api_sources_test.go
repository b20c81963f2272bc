package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/heartbeat"
	"github.com/tocsin-ops/tocsin/internal/intake"
)

// TestSourcesByAProgram: what the page of a source does, an administrator's token does.
func TestSourcesByAProgram(t *testing.T) {
	h := newHouse(t)
	robot, _ := h.token(auth.RoleAdministrator, "")
	made := map[string]sourceAnswer{}
	for _, kind := range []string{intake.Generic, intake.Grafana, intake.Heartbeat} {
		var one sourceAnswer
		robot.json("POST", "/api/v1/sources", map[string]any{"name": "a " + kind, "kind": kind}).want(http.StatusCreated).into(&one)
		made[kind] = one
	}
	at := func(kind, act string) string { return "/api/v1/sources/" + made[kind].ID + "/" + act }
	source := func(a *answer) (src intake.Source) {
		t.Helper()
		a.want(http.StatusOK).into(&src)
		return src
	}

	// A mapping is tried, refused with its places, set, used, taken back.
	sample := map[string]any{"alerts": []any{map[string]any{"uid": 7, "text": "slow", "region": "eu"}, map[string]any{"uid": 8, "text": "slower", "region": "us"}}}
	mapping := map[string]any{"list": "body.alerts", "fields": map[string]any{"key": "string(uid)", "title": `"Node: " + text`, "subject": "region", "state": `"resolved"`}}
	var said tryAnswer
	robot.json("POST", at(intake.Generic, "mapping/try"), map[string]any{}).want(http.StatusUnprocessableEntity).problem("no_sample")
	robot.json("POST", at(intake.Generic, "mapping/try"), map[string]any{"mapping": mapping, "sample": sample}).want(http.StatusOK).into(&said)
	if !said.OK || said.Signals != 2 || said.Title != "Node: slow" || said.State != "resolved" || len(said.Wrong) != 0 || said.Fields[0] != (tried{"key", "7"}) || said.Fields[1] != (tried{"subject", "eu"}) {
		t.Errorf("%+v", said)
	}
	if src, _ := h.Sources.ByID(made[intake.Generic].ID); src.Mapping != nil {
		t.Error("trying a mapping sets it")
	}
	broken := map[string]any{"fields": map[string]any{"key": "uid +", "title": "text +"}}
	said = tryAnswer{}
	robot.json("POST", at(intake.Generic, "mapping/try"), map[string]any{"mapping": broken, "sample": sample}).want(http.StatusOK).into(&said)
	if said.OK || said.Signals != 0 || len(said.Wrong) != 2 || !strings.HasPrefix(said.Wrong[0], "key, line 1, column") || !strings.HasPrefix(said.Wrong[1], "title, line 1, column") {
		t.Errorf("%+v", said)
	}
	if a := robot.json("POST", at(intake.Generic, "mapping"), broken).want(http.StatusUnprocessableEntity); !strings.Contains(a.body, "key, line 1") || !strings.Contains(a.body, "title, line 1") {
		t.Error(a.body)
	}
	robot.json("POST", at(intake.Generic, "mapping"), map[string]any{"fields": map[string]any{"colour": "text"}}).want(http.StatusUnprocessableEntity).problem("bad_mapping")
	robot.json("POST", at(intake.Generic, "mapping"), map[string]any{"field": map[string]any{}}).want(http.StatusBadRequest).problem("bad_json")
	if src := source(robot.json("POST", at(intake.Generic, "mapping"), mapping)); src.Mapping == nil || src.Mapping.List != "body.alerts" || src.ID != made[intake.Generic].ID {
		t.Errorf("%+v", src)
	}
	h.nobody().json("POST", "/api/v1/intake/generic/"+made[intake.Generic].Key, map[string]any{"alerts": []any{map[string]any{"uid": 9, "text": "newest", "region": "eu"}}}).want(http.StatusAccepted)
	said = tryAnswer{}
	robot.json("POST", at(intake.Generic, "mapping/try"), map[string]any{}).want(http.StatusOK).into(&said) // the mapping that is set, on what came last
	if !said.OK || said.Signals != 1 || said.Title != "Node: newest" {
		t.Errorf("%+v", said)
	}
	if src := source(robot.json("POST", at(intake.Generic, "mapping/undo"), map[string]any{})); src.Mapping != nil {
		t.Errorf("%+v", src)
	}
	robot.json("POST", at(intake.Generic, "mapping/undo"), map[string]any{}).want(http.StatusUnprocessableEntity).problem("nothing_to_undo")

	if src := source(robot.json("POST", at(intake.Heartbeat, "pace"), map[string]any{"every": "5m", "grace": "1m", "severity": "SEV2"})); src.Pace != (heartbeat.Pace{Every: 300_000, Grace: 60_000, Severity: "SEV2"}) {
		t.Errorf("%+v", src)
	}
	if src := source(robot.json("POST", at(intake.Heartbeat, "pace"), map[string]any{"every": "1h"})); src.Pace != (heartbeat.Pace{Every: 3600_000, Grace: heartbeat.DefaultGrace(3600_000)}) {
		t.Errorf("%+v", src)
	}
	for _, bad := range []map[string]any{{}, {"every": "often"}, {"every": "1ms"}, {"every": "99999h"}, {"every": "1m", "grace": "soon"}} {
		robot.json("POST", at(intake.Heartbeat, "pace"), bad).want(http.StatusUnprocessableEntity).problem("bad_pace")
	}
	robot.json("POST", at(intake.Heartbeat, "pace"), map[string]any{"every": "1m", "severity": "bad"}).want(http.StatusUnprocessableEntity).problem("bad_severity")

	// A secret is set and never answered back.
	const secret = "grafana-secret-of-the-treasury"
	a := robot.json("POST", at(intake.Grafana, "secret"), map[string]any{"secret": secret})
	if src := source(a); !src.Signed || strings.Contains(a.body, secret) {
		t.Errorf("%s", a.body)
	}
	unsigned := map[string]any{"alerts": []any{}}
	h.nobody().json("POST", "/api/v1/intake/grafana/"+made[intake.Grafana].Key, unsigned).want(http.StatusUnauthorized)
	for _, bad := range []map[string]any{{}, {"secret": nil}, {"secret": "short"}, {"secret": strings.Repeat("s", intake.MaxSecret+1)}} {
		robot.json("POST", at(intake.Grafana, "secret"), bad).want(http.StatusUnprocessableEntity).problem("bad_secret")
	}
	if src, _ := h.Sources.ByID(made[intake.Grafana].ID); !src.Signed {
		t.Error("a body without a secret takes the signature away")
	}
	robot.json("POST", at(intake.Grafana, "secret"), map[string]any{"secret": 7}).want(http.StatusBadRequest).problem("bad_json")
	log := robot.get("/api/v1/log?follow=false").want(http.StatusOK).body
	list := robot.get("/api/v1/sources").want(http.StatusOK).body
	for where, text := range map[string]string{"the log": log, "the list": list, "the operator's log": h.slog.String()} {
		if strings.Contains(text, secret) || strings.Contains(text, made[intake.Grafana].Key) && where != "the operator's log" {
			t.Errorf("%s holds what is secret", where)
		}
	}
	if src := source(robot.json("POST", at(intake.Grafana, "secret"), map[string]any{"secret": ""})); src.Signed {
		t.Errorf("%+v", src)
	}
	h.nobody().json("POST", "/api/v1/intake/grafana/"+made[intake.Grafana].Key, unsigned).want(http.StatusAccepted)

	// What is for another kind, for nothing, or too much.
	robot.json("POST", at(intake.Grafana, "mapping"), mapping).want(http.StatusUnprocessableEntity).problem("wrong_kind")
	robot.json("POST", at(intake.Grafana, "mapping/try"), map[string]any{"mapping": mapping, "sample": sample}).want(http.StatusUnprocessableEntity).problem("wrong_kind")
	robot.json("POST", at(intake.Generic, "pace"), map[string]any{"every": "5m"}).want(http.StatusUnprocessableEntity).problem("wrong_kind")
	robot.json("POST", at(intake.Heartbeat, "secret"), map[string]any{"secret": secret}).want(http.StatusUnprocessableEntity).problem("wrong_kind")
	bodies := map[string]any{"mapping": mapping, "mapping/try": map[string]any{"sample": sample}, "mapping/undo": map[string]any{}, "pace": map[string]any{"every": "5m"}, "secret": map[string]any{"secret": secret}, "revoke": map[string]any{}}
	for act, body := range bodies {
		robot.json("POST", "/api/v1/sources/nothing/"+act, body).want(http.StatusNotFound).problem("not_found")
		robot.do("POST", at(intake.Generic, act), "application/json", strings.NewReader(`{"sample":"`+strings.Repeat("x", maxBody)+`"}`)).want(http.StatusRequestEntityTooLarge)
	}

	// A key is revoked: it opens nothing any more, here and at once.
	if src := source(robot.json("POST", at(intake.Generic, "revoke"), map[string]any{})); src.RevokedAt == 0 || !strings.HasPrefix(src.RevokedBy, "token:") {
		t.Errorf("%+v", src)
	}
	h.nobody().json("POST", "/api/v1/intake/generic/"+made[intake.Generic].Key, map[string]any{"key": "k", "title": "t"}).want(http.StatusUnauthorized)
	source(robot.json("POST", at(intake.Generic, "revoke"), map[string]any{})) // twice is no error
	robot.json("POST", at(intake.Generic, "mapping"), mapping).want(http.StatusUnprocessableEntity).problem("revoked")

	// Nobody else: each is refused before anything is read or done.
	before := h.Log.Size()
	responder, _ := h.token(auth.RoleResponder, "")
	outsider, _ := h.token(auth.RoleStakeholder, "clients")
	for act, body := range bodies {
		for v, status := range map[*visitor]int{responder: 403, outsider: 403, h.member("r"+strings.ReplaceAll(act, "/", "-"), auth.RoleResponder, ""): 403, h.nobody(): 401} {
			v.json("POST", at(intake.Heartbeat, act), body).want(status)
		}
	}
	events, err := h.Log.ReadStream(context.Background(), intake.SourcesStream, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Offset >= before {
			t.Errorf("an outsider wrote %s", e.Type)
		}
	}
}
