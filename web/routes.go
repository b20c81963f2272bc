package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tocsin-ops/tocsin/internal/auth"
)

// Route is one registered route with its rule, for the tests that walk them all
// and for the API's description.
type Route struct {
	Method, Path string
	Action       auth.Action // "" = open to anybody
	Why          string      // of an open route: why it may be open
}

// Routes lists every route the server answers.
func (s *Server) Routes() []Route { return append([]Route(nil), s.routes...) }

// authed registers a route that needs action. There are only two ways to
// register a route, so none can forget to say who may use it. The subject of
// the action is in general; handlers judge a particular subject themselves.
func (s *Server) authed(method, path string, action auth.Action, h func(c *call) error) {
	s.routes = append(s.routes, Route{Method: method, Path: path, Action: action})
	changes := changing(method, path, action)
	s.echo.Add(method, path, func(ec echo.Context) error {
		s.lookBack(ec, changes)
		c, err := s.identify(ec)
		if err != nil {
			return err
		}
		if err := c.allow(action, c.subject(action)); err != nil {
			return err
		}
		if changes {
			if err := c.hold(action); err != nil {
				return err
			}
		}
		if !strings.HasPrefix(path, "/api/") { // programs may send JSON under any name
			if err := c.readForm(); err != nil {
				return err
			}
		}
		if err := c.checkForgery(); err != nil {
			return err
		}
		if changes {
			if err := s.writable(); err != nil {
				return err
			}
		} else {
			c.reach()
		}
		return h(c)
	})
}

// open registers a route for anybody; why says what makes that safe. A token
// that is not ours (some senders always bring one) makes nobody of the caller.
func (s *Server) open(method, path, why string, h func(c *call) error) {
	s.routes = append(s.routes, Route{Method: method, Path: path, Why: why})
	changes := changing(method, path, "")
	answer := func(ec echo.Context) error {
		s.lookBack(ec, changes)
		c, err := s.identify(ec)
		if errors.Is(err, &auth.Refusal{Code: auth.CodeNotSignedIn}) {
			c, err = s.nobody(ec), nil
		}
		if err != nil {
			return err
		}
		if changes {
			if err := s.writable(); err != nil {
				return err
			}
		}
		return h(c)
	}
	s.echo.Add(method, path, answer)
	if method == http.MethodGet {
		s.echo.Add(http.MethodHead, path, answer) // monitors ask so; net/http leaves the body out
	}
}

func (s *Server) register() {
	get, post := http.MethodGet, http.MethodPost

	// The room.
	s.authed(get, "/", auth.ViewBoard, s.boardPage)
	s.authed(get, "/wall", auth.ViewWall, s.wallPage)
	s.authed(get, "/incidents", auth.ViewBoard, s.incidentsPage)
	s.authed(get, "/incidents/new", auth.DeclareIncident, s.declarePage)
	s.authed(post, "/incidents", auth.DeclareIncident, s.declareForm)
	s.authed(get, "/incidents/:number", auth.ViewRoom, s.incidentPage)
	s.authed(post, "/incidents/:number/line", auth.CommandIncident, s.incidentLine)
	s.authed(get, "/incidents/:number/impact", auth.ViewRoom, s.impactPage)
	s.authed(post, "/incidents/:number/facts", auth.CommandIncident, s.factForm)
	s.authed(get, "/incidents/:number/complete", auth.CommandIncident, s.incidentComplete)
	s.authed(post, "/incidents/:number/commands", auth.CommandIncident, s.apiCommand)
	s.authed(get, "/incidents/:number/page", auth.ViewRoom, s.pageSignedIn)
	s.authed(post, "/incidents/:number/page/acknowledge", auth.CommandIncident, s.acknowledgeSignedIn)
	s.authed(post, "/incidents/:number/page/decline", auth.CommandIncident, s.declineSignedIn)
	s.authed(get, "/queues", auth.ViewRoom, s.queuesPage)
	s.authed(post, "/queues/:number/hand-on", auth.CommandIncident, s.handOnForm)
	s.authed(get, "/signals", auth.ViewSignals, s.signalsPage)
	s.authed(get, "/signals/:id", auth.ViewSignals, s.signalPage)
	s.authed(post, "/signals/:id/verdict", auth.JudgeFinding, s.judgeForm)
	s.authed(post, "/signals/:id/snooze", auth.ManageQuiet, s.snoozeForm)
	s.authed(post, "/signals/:id/detach", auth.CommandIncident, s.takeOff)
	s.authed(post, "/signals/:id/attach", auth.CommandIncident, s.putOn)
	s.authed(post, "/signals/:id/declare", auth.DeclareIncident, s.declareOf)
	s.authed(get, "/maintenance", auth.ViewSignals, s.maintenancePage)
	s.authed(post, "/maintenance", auth.ManageQuiet, s.setWindow)
	s.authed(post, "/maintenance/:id/:act", auth.ManageQuiet, s.moveWindow)
	s.authed(post, "/grouping", auth.ManageQuiet, s.addRule)
	s.authed(post, "/grouping/:id/:act", auth.ManageQuiet, s.moveRule)
	s.authed(get, "/detectors", auth.ViewSignals, s.detectorsPage)
	s.authed(get, "/wallets", auth.ViewSignals, s.walletsPage)
	s.authed(get, "/queue", auth.ViewBoard, s.queuePage)
	s.authed(get, "/learning", auth.ViewBoard, s.learningPage)
	s.authed(get, "/incidents/new/past", auth.DeclareIncident, s.draftPast)
	s.authed(post, "/detectors/undo", auth.ManageDetectors, s.undoThreshold)
	s.authed(post, "/detectors/threshold", auth.ManageDetectors, s.setThreshold)
	s.authed(get, "/charts/*", auth.ViewChains, s.chartSeries)
	s.authed(get, "/log", auth.ViewLog, s.logPage)
	s.authed(get, "/chains", auth.ViewChains, s.chainsPage)
	s.authed(post, "/chains", auth.ManageChains, s.addChain)
	s.authed(post, "/chains/test", auth.ManageChains, s.testChain)
	s.authed(post, "/chains/:id/remove", auth.ManageChains, s.removeChain)
	s.authed(post, "/chains/:id/operators", auth.ManageChains, s.operateChain)
	s.authed(get, "/drills", auth.StartDrill, s.drillsPage)
	s.authed(post, "/drills", auth.StartDrill, s.startDrill)
	s.authed(post, "/drills/:id/stop", auth.StartDrill, s.stopDrill)

	// People and keys.
	s.authed(get, "/people", auth.ViewPeople, s.peoplePage)
	s.authed(post, "/people/invite", auth.ManagePeople, s.invite)
	s.authed(post, "/people/invitations/:id/revoke", auth.ManagePeople, s.revokeInvitation)
	s.authed(post, "/people/invitations/:id/resend", auth.ManagePeople, s.resendInvitation)
	s.authed(post, "/people/:handle/role", auth.ManagePeople, s.changeRole)
	s.authed(post, "/people/:handle/link", auth.ManagePeople, s.signInLink)
	s.authed(post, "/people/:handle/disable", auth.ManagePeople, s.removePerson)
	s.authed(post, "/people/:handle/enable", auth.ManagePeople, s.inviteAgain)
	s.authed(get, "/tokens", auth.ManageTokens, s.tokensPage)
	s.authed(post, "/tokens", auth.ManageTokens, s.createToken)
	s.authed(post, "/tokens/wall", auth.ManageTokens, s.createWall)
	s.authed(post, "/tokens/:id/revoke", auth.ManageTokens, s.revokeToken)
	s.authed(get, "/sources", auth.ManageSources, s.sourcesPage)
	s.authed(post, "/sources", auth.ManageSources, s.createSource)
	s.authed(post, "/sources/watchdog", auth.ManageSources, s.sendBeatForm)
	s.authed(get, "/sources/:id", auth.ManageSources, s.sourcePage)
	s.authed(post, "/sources/:id/mapping", auth.ManageSources, s.saveMapping)
	s.authed(post, "/sources/:id/mapping/try", auth.ManageSources, s.tryMappingForm)
	s.authed(post, "/sources/:id/mapping/undo", auth.ManageSources, s.undoMapping)
	s.authed(post, "/sources/:id/pace", auth.ManageSources, s.setPace)
	s.authed(post, "/sources/:id/secret", auth.ManageSources, s.setSecret)
	s.authed(post, "/sources/:id/revoke", auth.ManageSources, s.revokeSource)
	s.authed(get, "/me", auth.ManageAccount, s.mePage)
	s.authed(post, "/me/name", auth.ManageAccount, s.rename)
	s.authed(post, "/me/link", auth.ManageAccount, s.ownLink)
	s.authed(post, "/me/recovery", auth.ManageAccount, s.newCodes)
	s.authed(post, "/me/passkeys/:id/remove", auth.ManageAccount, s.removePasskey)
	s.authed(post, "/me/sessions/:id/revoke", auth.ManageAccount, s.revokeSession)
	s.authed(post, "/auth/passkey/register/begin", auth.ManageAccount, s.beginRegistration)
	s.authed(post, "/auth/passkey/register/finish", auth.ManageAccount, s.finishRegistration)

	s.registerReach()

	// Signing in: these must be reachable by somebody who is not signed in.
	s.open(get, "/signin", "the way in", s.signInPage)
	s.open(post, "/signin/recovery", "the way in; rate limited", s.signInRecovery)
	s.open(post, "/auth/passkey/login/begin", "the way in; rate limited", s.beginLogin)
	s.open(post, "/auth/passkey/login/finish", "the way in; rate limited", s.finishLogin)
	s.open(get, "/join/:token", "landing of a one-time link; shows nothing but its purpose", s.joinPage)
	s.open(post, "/join/:token", "uses a one-time link up", s.join)
	s.open(get, "/wall/:token", "exchanges a wall token for a wall session", s.wallLogin)
	s.open(post, "/signout", "ends the own session only", s.signOut)

	// The link in a page: who was paged answers without signing in.
	s.open(get, "/page/:token", "the link that one person was sent says who they are; good for a day; rate limited; shows only what the page is about", s.pageByLink)
	s.open(post, "/page/:token/acknowledge", "answers the page of the person whose link it is", s.acknowledgeByLink)
	s.open(post, "/page/:token/decline", "answers the page of the person whose link it is", s.declineByLink)

	s.registerOnCall()

	// The API.
	s.authed(get, "/api/v1/incidents", auth.ViewBoard, s.apiIncidents)
	s.authed(post, "/api/v1/incidents", auth.DeclareIncident, s.apiDeclare)
	s.authed(get, "/api/v1/incidents/:number", auth.ViewRoom, s.apiIncident)
	s.authed(get, "/api/v1/incidents/:number/events", auth.ViewRoom, s.apiEvents)
	s.authed(post, "/api/v1/incidents/:number/commands", auth.CommandIncident, s.apiCommand)
	s.authed(get, "/api/v1/signals", auth.ViewSignals, s.apiSignals)
	s.authed(post, "/api/v1/signals/:id/verdict", auth.JudgeFinding, s.apiJudge)
	s.authed(post, "/api/v1/signals/:id/snooze", auth.ManageQuiet, s.apiSnooze)
	s.authed(get, "/api/v1/maintenance", auth.ViewSignals, s.apiWindows)
	s.authed(post, "/api/v1/maintenance", auth.ManageQuiet, s.apiSetWindow)
	s.authed(post, "/api/v1/maintenance/:id/:act", auth.ManageQuiet, s.apiMoveWindow)
	s.authed(get, "/api/v1/grouping", auth.ViewSignals, s.apiRules)
	s.authed(post, "/api/v1/grouping", auth.ManageQuiet, s.apiSetRule)
	s.authed(post, "/api/v1/grouping/:id/:act", auth.ManageQuiet, s.apiMoveRule)
	s.authed(get, "/api/v1/heartbeats", auth.ViewSignals, s.apiPulses)
	s.authed(get, "/api/v1/watchdog", auth.ManageSources, s.apiWatchdog)
	s.authed(post, "/api/v1/watchdog/send", auth.ManageSources, s.apiSendBeat)
	s.authed(get, "/api/v1/detectors", auth.ViewSignals, s.apiDetectors)
	s.authed(get, "/api/v1/queue", auth.ViewBoard, s.apiQueue)
	s.authed(get, "/api/v1/learning", auth.ViewBoard, s.apiLearning)
	s.authed(get, "/api/v1/chains", auth.ViewChains, s.apiChains)
	s.authed(get, "/api/v1/sources", auth.ManageSources, s.apiSources)
	s.authed(post, "/api/v1/sources", auth.ManageSources, s.apiCreateSource)
	s.authed(post, "/api/v1/sources/:id/mapping", auth.ManageSources, s.apiSetMapping)
	s.authed(post, "/api/v1/sources/:id/mapping/try", auth.ManageSources, s.apiTryMapping)
	s.authed(post, "/api/v1/sources/:id/mapping/undo", auth.ManageSources, s.apiUndoMapping)
	s.authed(post, "/api/v1/sources/:id/pace", auth.ManageSources, s.apiSetPace)
	s.authed(post, "/api/v1/sources/:id/secret", auth.ManageSources, s.apiSetSecret)
	s.authed(post, "/api/v1/sources/:id/revoke", auth.ManageSources, s.apiRevokeSource)
	s.authed(get, "/api/v1/me/attention", auth.ViewWall, s.apiAttention)
	s.authed(post, "/api/v1/me/attention/shown", auth.ViewRoom, s.apiShown)
	s.authed(get, "/api/v1/log", auth.ViewLog, s.apiLog)
	s.authed(get, "/api/v1/replicas", auth.ViewMetrics, s.apiReplicas)
	s.authed(get, "/api/v1/backup", auth.TakeBackup, s.apiBackup)
	s.authed(get, "/api/v1/oncall", auth.ViewOnCall, s.apiOnCall)
	s.authed(get, "/api/v1/oncall/now", auth.ViewOnCall, s.apiOnCallNow)
	s.authed(post, "/api/v1/oncall/commands", auth.SwapShift, s.apiOnCallCommand)
	s.authed(get, "/api/v1/oncall/schedules/:id/shifts", auth.ViewOnCall, s.apiShifts)
	s.authed(get, "/api/v1/oncall/schedules/:id/holes", auth.ViewOnCall, s.apiHoles)
	s.authed(get, "/api/v1/oncall/feeds", auth.ViewOnCall, s.apiFeeds)
	s.authed(post, "/api/v1/oncall/feeds", auth.SwapShift, s.apiCreateFeed)
	s.authed(post, "/api/v1/oncall/feeds/:id/revoke", auth.SwapShift, s.apiRevokeFeed)
	s.authed(post, "/api/v1/oncall/import/preview", auth.ManageOnCall, s.apiImportPreview)
	s.authed(post, "/api/v1/oncall/import/apply", auth.ManageOnCall, s.apiImportApply)
	s.open(get, "/calendar/:token", "the token in the address authorizes; rate limited", s.calendarFeed)
	s.authed(get, "/live", auth.ViewWall, s.serveLive)

	// Intake: the key in the address or body is the credential.
	s.open(post, "/api/v1/intake/:kind/:key", "the source's key authorizes", s.takeIn)
	s.open(post, "/api/v1/intake/:kind", "the source's key authorizes, as Bearer token", s.takeInBearer)
	s.open(get, "/api/v1/intake/heartbeat/:key", "the source's key authorizes", s.takeBeat)
	s.open(http.MethodOptions, "/api/v1/intake/:kind/:key", "says only whether the key in the address may deliver", s.handshake)
	s.open(post, "/v2/change/enqueue", "the routing key in the body authorizes", s.takeInChange)
	s.open(post, "/v2/enqueue", "the routing key in the body authorizes", s.takeInPagerDuty)

	for _, key := range []string{"", "/:key"} {
		s.open(post, "/api/v1/write"+key, "the source's key authorizes, in the address or as Bearer token", s.remoteWrite)
		s.open(post, "/v1/metrics"+key, "the source's key authorizes, in the address or as Bearer token", s.otlpMetrics)
	}

	// What anybody may read.
	s.open(get, "/status", "the public status page shows only what was published", s.publicStatus)
	s.open(get, "/status/:audience", "judged per audience in the handler", s.audienceStatus)
	s.open(get, "/status/live", "live part of the public status page", s.statusLive)
	s.open(get, "/status/history.atom", "published updates as a feed", s.statusFeed)
	s.open(get, "/status/history/:month", "past months of the public status page", s.publicHistory)
	s.open(get, "/status/:audience/history/:month", "judged per audience in the handler", s.audienceHistory)
	s.open(get, "/api/v2/:document", "Statuspage-compatible view of the public status page", s.statusData)
	s.open(get, "/api/v2/incidents/unresolved.json", "Statuspage-compatible view of the public status page", s.statusUnresolved)
	s.open(get, "/ledger/checkpoint", "a signed tree head says nothing about content", s.checkpoint)
	s.open(get, "/ledger/key", "a public key", s.verifierKey)
	s.open(get, "/ledger/tile/*", "hash tiles are open; the handler asks for rights on entries", s.tile)
	s.open(get, "/openapi.json", "the API's description is the same for everybody", s.openapi)
	s.open(get, "/assets/*", "styles, scripts, fonts", s.asset)
	s.open(get, "/favicon.ico", "icon", s.favicon)
	s.open(get, "/healthz", "says only that the process answers", s.healthz)
	s.open(get, "/readyz", "says only whether the process is ready", s.readyz)

	// Figures for Prometheus and Grafana.
	s.authed(get, "/metrics", auth.ViewMetrics, s.ownMetrics)
	for _, m := range []string{get, post} {
		s.authed(m, "/prometheus/api/v1/query", auth.ViewMetrics, s.promQuery)
		s.authed(m, "/prometheus/api/v1/query_range", auth.ViewMetrics, s.promQueryRange)
		s.authed(m, "/prometheus/api/v1/series", auth.ViewMetrics, s.promSeries)
		s.authed(m, "/prometheus/api/v1/labels", auth.ViewMetrics, s.promLabels)
	}
	s.authed(get, "/prometheus/api/v1/rules", auth.ViewMetrics, s.promRules)
	s.authed(get, "/prometheus/api/v1/label/:name/values", auth.ViewMetrics, s.promLabelValues)
}
