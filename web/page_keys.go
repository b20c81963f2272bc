package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-ops/tocsin/internal/auth"
	"github.com/tocsin-ops/tocsin/internal/intake"
	"github.com/tocsin-ops/tocsin/internal/projection"
	"github.com/tocsin-ops/tocsin/internal/signal"
	"github.com/tocsin-ops/tocsin/views"
)

// Tokens.

func (s *Server) showTokens(c *call, edit func(*views.TokensPage), refused error) error {
	var p views.TokensPage
	s.World.Look(func(v projection.View) { p.Base = c.base("Tokens", "tokens", v) })
	list, err := s.Auth.Tokens(c.ctx(), c.actor)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b auth.Token) int { return cmp.Compare(b.CreatedAt, a.CreatedAt) })
	for _, t := range list {
		row := views.TokenRow{ID: t.ID, Name: t.Name, Scope: string(t.Role), By: s.name(t.CreatedBy), At: t.CreatedAt, UsedAt: t.LastUsedAt, Expires: t.ExpiresAt, Revoked: t.RevokedAt}
		if t.Kind == auth.TokenWall {
			p.Walls = append(p.Walls, row)
		} else {
			p.Tokens = append(p.Tokens, row)
		}
	}
	p.Scopes = []views.Choice{
		{Value: string(auth.RoleResponder), Text: "what a responder may", On: true},
		{Value: string(auth.RoleAdministrator), Text: "what an administrator may"},
	}
	for _, a := range append([]string{auth.PublicAudience}, s.Audiences...) {
		p.Scopes = append(p.Scopes, views.Choice{Value: string(auth.RoleStakeholder) + ":" + a, Text: "read the status page of " + a})
	}
	code := http.StatusOK
	if edit != nil {
		edit(&p)
	}
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.TokensView(p))
}

func (s *Server) tokensPage(c *call) error { return s.showTokens(c, nil, nil) }

func (s *Server) createToken(c *call) error {
	role, audience, _ := strings.Cut(c.FormValue("scope"), ":")
	t, secret, err := s.Auth.CreateToken(c.ctx(), c.actor, auth.TokenOrder{Name: c.FormValue("name"), Role: auth.Role(role), Audience: audience})
	if err != nil {
		return s.showTokens(c, nil, err)
	}
	return s.showTokens(c, func(p *views.TokensPage) { p.NewToken, p.NewName = secret, t.Name }, nil)
}

func (s *Server) createWall(c *call) error {
	t, secret, err := s.Auth.CreateWallToken(c.ctx(), c.actor, c.FormValue("name"))
	if err != nil {
		return s.showTokens(c, nil, err)
	}
	return s.showTokens(c, func(p *views.TokensPage) { p.NewWall, p.NewName = c.baseURL()+"/wall/"+secret, t.Name }, nil)
}

func (s *Server) revokeToken(c *call) error {
	if err := s.Auth.RevokeToken(c.ctx(), c.actor, c.Param("id")); err != nil {
		return s.showTokens(c, nil, err)
	}
	c.tell("done", "The key is revoked; whatever used it is cut off now.")
	return c.land("/tokens")
}

// Sources.

func (s *Server) activeSources() (n int) {
	for _, src := range s.sources() {
		if src.RevokedAt == 0 {
			n++
		}
	}
	return n
}

// sources lists the sources, folding what other replicas did; when the store
// cannot be asked it is what was known last.
func (s *Server) sources() []intake.Source { return s.Sources.Known() }

func (s *Server) showSources(c *call, made *views.NewSource, refused error) error {
	open := map[string]int{}
	last := map[string]int64{}
	count := map[string]int64{}
	var p views.SourcesPage
	s.World.Look(func(v projection.View) {
		p.Base = c.base("Sources", "sources", v)
		for g := range v.Signals() {
			if g.IsOpen() {
				open[g.Source]++
			}
			last[g.Source] = max(last[g.Source], g.LastAt, g.ClearedAt)
			count[g.Source] += int64(g.Count)
		}
	})
	verdicts, beats := s.pulses(c)
	for _, src := range s.sources() {
		row := s.sourceRow(src, verdicts, beats)
		row.LastAt, row.Count, row.Open = max(row.LastAt, last[src.ID]), count[src.ID], open[src.ID]
		p.Sources = append(p.Sources, row)
	}
	p.Pace = views.Pace{Every: cmp.Or(c.FormValue("every"), "60s"), Grace: c.FormValue("grace"), Severities: severityChoices(signal.DefaultSeverity)}
	p.Kinds = []views.Choice{
		{Value: intake.Alertmanager, Text: "Alertmanager", Hint: "Prometheus Alertmanager, webhook version 4"},
		{Value: intake.Grafana, Text: "Grafana", Hint: "contact point of type webhook; unified and legacy alerting, signed or not"},
		{Value: intake.PagerDuty, Text: "PagerDuty Events v2", Hint: "anything that can send to PagerDuty: change its address"},
		{Value: intake.Generic, Text: "JSON", Hint: "scripts and everything else; a mapping reads any JSON"},
		{Value: intake.CloudEvents, Text: "CloudEvents 1.0", Hint: "Knative, Azure Event Grid, Argo: binary, structured or batch"},
		{Value: intake.Heartbeat, Text: "Heartbeat", Hint: "a job that must be heard from; its silence is the alert"},
		{Value: intake.Metrics, Text: "Metrics", Hint: "figures, not alerts: Prometheus remote write or OpenTelemetry"},
	}
	p.BaseURL, p.New, p.Watchdog = c.baseURL(), made, s.presentWatchdog()
	code := http.StatusOK
	if refused != nil {
		d, known := describe(refused)
		if !known {
			return refused
		}
		p.Problem, code = d.Detail, d.Status
	}
	return c.page(code, views.SourcesView(p))
}

func (s *Server) sourcesPage(c *call) error { return s.showSources(c, nil, nil) }

func (s *Server) createSource(c *call) error {
	pace, err := typedPace(c)
	if err != nil && c.FormValue("kind") == intake.Heartbeat {
		return s.showSources(c, nil, err)
	}
	src, key, err := s.Sources.Create(c.ctx(), c.actor.String(), intake.Order{Name: c.FormValue("name"), Kind: c.FormValue("kind"), Pace: pace})
	if err != nil {
		return s.showSources(c, nil, err)
	}
	made := views.NewSource{Name: src.Name, Kind: src.Kind, Key: key, URL: intakeURL(c.baseURL(), src.Kind, key)}
	made.Snippets = snippets(made, c.baseURL())
	return s.showSources(c, &made, nil)
}

func intakeURL(base, kind, key string) string {
	if kind == intake.PagerDuty {
		return base + "/v2/enqueue"
	}
	if kind == intake.Metrics {
		return base + "/api/v1/write/" + key
	}
	return base + "/api/v1/intake/" + kind + "/" + key
}

func snippets(n views.NewSource, base string) []views.Snippet {
	switch n.Kind {
	case intake.Alertmanager:
		return []views.Snippet{{Title: "alertmanager.yml", Text: "receivers:\n  - name: tocsin\n    webhook_configs:\n      - url: " + n.URL + "\n        send_resolved: true\n        max_alerts: 0\nroute:\n  receiver: tocsin\n"}}
	case intake.PagerDuty:
		return []views.Snippet{
			{Title: "any PagerDuty sender", Text: "address:     " + n.URL + "\nrouting key: " + n.Key + "\n"},
			{Title: "try it", Text: "curl -sS " + n.URL + " -H 'Content-Type: application/json' -d '{\"routing_key\":\"" + n.Key + "\",\"event_action\":\"trigger\",\"payload\":{\"summary\":\"test from curl\",\"source\":\"my laptop\",\"severity\":\"warning\"}}'\n"},
		}
	case intake.Grafana:
		return []views.Snippet{
			{Title: "Grafana, contact point of type webhook", Text: "URL:                 " + n.URL + "\nHTTP Method:         POST\nMax Alerts:          0\n# optional, with a secret set on the source's page:\nHMAC Signature\n  Secret:            the same secret\n  Timestamp Header:  " + intake.TimestampHeader + "\n"},
			{Title: "provisioning/alerting/tocsin.yaml", Text: "apiVersion: 1\ncontactPoints:\n  - orgId: 1\n    name: tocsin\n    receivers:\n      - uid: tocsin\n        type: webhook\n        settings:\n          url: " + n.URL + "\n          httpMethod: POST\n"},
			{Title: "try it", Text: "curl -sS " + n.URL + " -H 'Content-Type: application/json' -d '{\"groupKey\":\"try\",\"status\":\"firing\",\"alerts\":[{\"status\":\"firing\",\"fingerprint\":\"1\",\"labels\":{\"alertname\":\"Try\",\"severity\":\"info\"}}]}'\n"},
		}
	case intake.CloudEvents:
		return []views.Snippet{
			{Title: "any CloudEvents sender", Text: "sink:  " + n.URL + "\nor:    " + base + "/api/v1/intake/cloudevents  with  Authorization: Bearer " + n.Key + "\n"},
			{Title: "try it", Text: "curl -sS " + n.URL + " -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: /my/laptop' -H 'ce-type: com.example.test.firing' -H 'Content-Type: application/json' -d '{\"title\":\"test from curl\",\"severity\":\"info\"}'\n"},
		}
	case intake.Heartbeat:
		return []views.Snippet{
			{Title: "crontab: heard when the job went well", Text: "0 * * * * /usr/local/bin/backup && curl -fsS -m 10 --retry 3 " + n.URL + "\n"},
			{Title: "say that it failed", Text: "curl -fsS -m 10 " + n.URL + " -H 'Content-Type: application/json' -d '{\"state\":\"failing\",\"reason\":\"disk full\"}'\n"},
			{Title: "Alertmanager: its own watchdog alert as a heartbeat", Text: "receivers:\n  - name: heartbeat\n    webhook_configs:\n      - url: " + n.URL + "\n        send_resolved: false\nroute:\n  routes:\n    - matchers: [alertname=Watchdog]\n      receiver: heartbeat\n      group_interval: 1m\n      repeat_interval: 50s\n"},
		}
	case intake.Metrics:
		return []views.Snippet{
			{Title: "prometheus.yml", Text: "remote_write:\n  - url: " + base + "/api/v1/write\n    authorization:\n      credentials: " + n.Key + "\n    write_relabel_configs: # take out what Tocsin says of itself\n      - source_labels: [__name__]\n        regex: tocsin_.*\n        action: drop\n"},
			{Title: "OpenTelemetry", Text: "OTEL_EXPORTER_OTLP_ENDPOINT=" + base + "\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nOTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20" + n.Key + "\n"},
		}
	}
	return []views.Snippet{{Title: "try it", Text: "curl -sS " + n.URL + " -H 'Content-Type: application/json' -d '{\"key\":\"withdrawals-stuck\",\"title\":\"Withdrawals are stuck\",\"severity\":\"SEV3\",\"state\":\"firing\",\"component\":\"Withdrawals\"}'\n"}}
}

func (s *Server) revokeSource(c *call) error {
	if err := s.Sources.Revoke(c.ctx(), c.actor.String(), c.Param("id")); err != nil {
		return s.showSources(c, nil, err)
	}
	c.tell("done", "The source is revoked; its key opens nothing any more. Its signals stay.")
	return c.land("/sources")
}

// takeIn answers a foreign sender in its own protocol.
func (s *Server) takeIn(c *call) error { return s.gate(c, c.Param("kind"), c.Param("key")) }

func (s *Server) takeInPagerDuty(c *call) error { return s.gate(c, intake.PagerDuty, "") }

func (s *Server) gate(c *call, kind, key string) error {
	body, err := c.body(intake.MaxBody + 1) // one more, so that the gate says in its own words that it is too much
	if err != nil {
		return err
	}
	r := s.Gate.Handle(c.ctx(), kind, key, c.Request().Header, body, s.time())
	if r.RetryAfter > 0 {
		c.Response().Header().Set("Retry-After", ceilSeconds(r.RetryAfter))
	}
	if _, ok := r.Body.(intake.Problem); ok {
		c.Response().Header().Set("Content-Type", "application/problem+json")
	}
	if r.Position >= 0 {
		c.wrote(r.Position)
	}
	return c.JSON(r.Status, r.Body)
}

// apiSignal is a signal on the wire: the state's own fields with times as RFC 3339.
type apiSignal struct {
	ID        string            `json:"id"`
	Source    string            `json:"source"`
	Key       string            `json:"key"`
	Kind      string            `json:"kind"`
	Subject   string            `json:"subject"`
	Title     string            `json:"title"`
	Severity  string            `json:"severity"`
	State     string            `json:"state"`
	OpenedAt  string            `json:"opened_at"`
	ClearedAt string            `json:"cleared_at,omitempty"`
	LastAt    string            `json:"last_at"`
	Reason    string            `json:"reason"`
	Count     int               `json:"count"`
	Ack       bool              `json:"acknowledged,omitempty"`
	Incident  int64             `json:"incident,omitempty"`
	Chain     string            `json:"chain,omitempty"`
	Component string            `json:"component,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Drill     bool              `json:"drill,omitempty"`
	Quiet     *signal.Quiet     `json:"quiet,omitempty"`
	Joint     *signal.Joint     `json:"joint,omitempty"`
	signal.Finding
}

func newAPISignal(g signal.Signal) apiSignal {
	return apiSignal{
		ID: g.ID, Source: g.Source, Key: g.Key, Kind: g.Kind, Subject: g.Subject, Title: g.Title, Severity: g.Severity, State: g.State,
		OpenedAt: rfc3339(g.OpenedAt), ClearedAt: rfc3339(g.ClearedAt), LastAt: rfc3339(g.LastAt), Reason: g.Reason, Count: g.Count,
		Ack: g.Acknowledged, Incident: g.Incident, Chain: g.Chain, Component: g.Component, Labels: g.Labels, Drill: g.Drill, Quiet: g.Quiet, Joint: g.Joint, Finding: g.Finding,
	}
}
