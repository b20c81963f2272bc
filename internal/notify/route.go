package notify

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Kinds of Route: what a Sender is for.
const (
	Push       = "push"       // this browser, by web push
	Email      = "email"      // Address is an e-mail address
	SMS        = "sms"        // Address is a number in international form
	Telegram   = "telegram"   // Address is a chat id
	Slack      = "slack"      // Address is a member or channel id
	Mattermost = "mattermost" // Address is a channel id, or with a webhook @user or a channel's name
	Matrix     = "matrix"     // Address is a room id
	Webhook    = "webhook"    // Address is a URL, Secrets sign
	Other      = "other"      // Address is the URL of a service as shoutrrr writes it
)

// Kinds lists the kinds of Route in the order in which they are offered.
var Kinds = []string{Push, Email, SMS, Telegram, Slack, Mattermost, Matrix, Webhook, Other}

// labels is what people read when a route has no name of its own.
var labels = map[string]string{
	Push: "browser", Email: "e-mail", SMS: "SMS", Telegram: "Telegram", Slack: "Slack", Mattermost: "Mattermost", Matrix: "Matrix", Webhook: "webhook", Other: "other service",
}

// spoken is what follows "sent by": the kind, and the person's own name for it.
func (r Route) spoken() string {
	kind := labels[r.Kind]
	if r.Kind == Push {
		return "push to " + r.Label
	}
	if kind == "" || strings.EqualFold(kind, r.Label) {
		return r.Label
	}
	return kind + " to " + r.Label
}

const (
	// MaxRoutes is how many routes one person has at most.
	MaxRoutes = 12
	maxLabel  = 40
	maxText   = 2000 // bytes of an address
	maxAfter  = int64(24 * time.Hour / time.Millisecond)
)

// Subscription is what a browser gave to be pushed to (PushSubscription.toJSON of the Push API).
type Subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256dh string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
}

// Route is one way to reach a person. Address, Secrets and Push are personal data and secrets: they are kept in the store, never in the log.
type Route struct {
	ID      string        `json:"id"`
	Kind    string        `json:"kind"`
	Label   string        `json:"label"`
	Address string        `json:"address,omitempty"`
	Secrets []string      `json:"secrets,omitempty"` // of a webhook, the newest first; all sign
	Push    *Subscription `json:"push,omitempty"`
	// Private lets it lead into networks that are not public; only administrators make such routes.
	Private bool `json:"private,omitempty"`
	// After is how long after a page came this route is used although one before it was sent, ms; 0: only when those before it fail.
	After int64 `json:"after,omitempty"`
	// Floor is the mildest severity that is sent, SEV1 … SEV5; empty: all.
	Floor    string `json:"floor,omitempty"`
	Quiet    *Quiet `json:"quiet,omitempty"`
	Verified int64  `json:"verified,omitempty"` // unix ms, 0: not yet
	Added    int64  `json:"added"`
	Removed  int64  `json:"removed,omitempty"` // unix ms; for a while it can be brought back

	barred string // why the person may not use it any more
}

// Quiet are hours of each day in which a route is not used. Pages of SEV1 and SEV2 are sent all the same unless Pages is set.
type Quiet struct {
	From  string `json:"from"` // 15:04
	To    string `json:"to"`   // before From: over midnight
	Zone  string `json:"zone"` // IANA name
	Pages bool   `json:"pages,omitempty"`
}

// Refusal is a "no" that people read; it says what to do instead.
type Refusal struct{ Code, Sentence string }

// Error returns the sentence.
func (r *Refusal) Error() string { return r.Sentence }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}

var (
	numberForm = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) // ITU-T E.164
	chatForm   = regexp.MustCompile(`^(-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{4,31})$`)
	slackForm  = regexp.MustCompile(`^[CDGUW][A-Z0-9]{6,20}$`)
	postForm   = regexp.MustCompile(`^(@[a-z0-9][a-z0-9._-]{0,63}|[a-z0-9][a-z0-9_-]{0,63})$`)
	roomForm   = regexp.MustCompile(`^![^\s:/?#]{1,200}(:[A-Za-z0-9.:\[\]-]{1,200})?$`)
	clockForm  = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	severities = []string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5"}
)

// check judges a route and puts it into its one form. It does not look at the network.
func (r *Route) check() error {
	r.Address, r.Label = strings.TrimSpace(r.Address), strings.Join(strings.Fields(r.Label), " ")
	if !slices.Contains(Kinds, r.Kind) {
		return refuse("bad_kind", "There is no such kind of route. Choose one of the list.")
	}
	if r.Label == "" {
		r.Label = labels[r.Kind]
	}
	if len([]rune(r.Label)) > maxLabel || strings.ContainsFunc(r.Label, func(c rune) bool { return !unicode.IsGraphic(c) }) {
		return refuse("bad_label", "The name of a route is one line of at most %d characters.", maxLabel)
	}
	if len(r.Address) > maxText || strings.ContainsFunc(r.Address, unicode.IsControl) {
		return refuse("bad_address", "The address is too long or holds a line break. Copy it anew.")
	}
	if err := r.checkAddress(); err != nil {
		return err
	}
	if r.Floor != "" && !slices.Contains(severities, r.Floor) {
		return refuse("bad_floor", "The mildest severity is one of SEV1 to SEV5, or none.")
	}
	if r.After < 0 || r.After > maxAfter {
		return refuse("bad_after", "The wait before a route is at most 24 hours.")
	}
	return r.Quiet.check()
}

func (q *Quiet) check() error {
	if q == nil {
		return nil
	}
	if !clockForm.MatchString(q.From) || !clockForm.MatchString(q.To) || q.From == q.To {
		return refuse("bad_quiet", "Quiet hours have a beginning and another end, like 22:00 and 07:00.")
	}
	if _, err := time.LoadLocation(q.Zone); err != nil || q.Zone == "" || q.Zone == "Local" {
		return refuse("bad_zone", "The time zone is not known. Write it like Europe/Zurich, or UTC.")
	}
	return nil
}

func (r *Route) checkAddress() error {
	form := func(ok bool, sentence string) error {
		if ok {
			return nil
		}
		return refuse("bad_address", "%s", sentence)
	}
	switch r.Kind {
	case Push:
		if r.Push == nil || len(r.Push.Endpoint) > maxText || len(r.Push.Keys.Auth) > 64 || len(r.Push.Keys.P256dh) > 128 {
			return refuse("bad_address", "The browser gave no address to push to. Switch notifications on in this page again.")
		}
		r.Address = ""
		return r.checkURL(r.Push.Endpoint)
	case Email:
		a, err := mail.ParseAddress(r.Address)
		return form(err == nil && a.Address == r.Address && a.Name == "" && len(r.Address) <= 254, "This is no e-mail address. Write it like ana@example.org.")
	case SMS:
		r.Address = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "").Replace(r.Address)
		return form(numberForm.MatchString(r.Address), "Write the number in international form, like +41 79 123 45 67.")
	case Telegram:
		return form(chatForm.MatchString(r.Address), "Write the id of the chat, digits like 123456789. Send /start to the bot first, then ask @userinfobot for your id.")
	case Slack:
		return form(slackForm.MatchString(r.Address), "Write the member id, like U012ABCDEF. In Slack: your profile, the three dots, Copy member ID.")
	case Mattermost:
		return form(postForm.MatchString(r.Address), "Write @ and your user name, or the id or the name of a channel.")
	case Matrix:
		return form(roomForm.MatchString(r.Address), "Write the id of the room, like !abcdef:example.org. In Element: room settings, Advanced. The bot must have joined it.")
	case Webhook:
		return r.checkURL(r.Address)
	}
	name, err := serviceOf(r.Address)
	if err != nil {
		return err
	}
	return form(Services[name] == Anybody || r.Private && Services[name] == Administrators, "Only administrators may use this service: its address leads to any host. Ask one, or use another route.")
}

// checkURL wants https, and lets private routes use http.
func (r *Route) checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !r.Private) {
		return refuse("bad_address", "This is no address to send to. Write it like https://example.org/hook, without user and password.")
	}
	return nil
}

// Who may use a service of shoutrrr.
const (
	Anybody        = "anybody"        // it speaks to hosts that the service itself fixes
	Administrators = "administrators" // the host is in the address
)

// Services are those of shoutrrr that a route of kind Other may name. The rest has a sender of its own here or must not be reached: generic
// (any request), logger (our own log), smtp. See docs/decisions/0029.
var Services = map[string]string{
	"discord": Anybody, "ifttt": Anybody, "join": Anybody, "lark": Anybody, "notifiarr": Anybody, "pushbullet": Anybody, "pushover": Anybody, "wecom": Anybody,
	"bark": Administrators, "googlechat": Administrators, "gotify": Administrators, "ntfy": Administrators, "opsgenie": Administrators, "pagerduty": Administrators,
	"rocketchat": Administrators, "signal": Administrators, "teams": Administrators, "zulip": Administrators,
}

// serviceOf returns the name of the service in an address of shoutrrr.
func serviceOf(address string) (string, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	if scheme = strings.ToLower(scheme); !ok || rest == "" || Services[scheme] == "" {
		names := make([]string, 0, len(Services))
		for name := range Services {
			names = append(names, name)
		}
		slices.Sort(names)
		return "", refuse("bad_address", "Write the address as shoutrrr has it, service://…, with one of the services %s.", strings.Join(names, ", "))
	}
	return scheme, nil
}

// mask shows enough of an address to know which one it is.
func (r Route) mask() string {
	switch r.Kind {
	case Push:
		u, err := url.Parse(r.Push.Endpoint)
		if err != nil {
			return ""
		}
		return u.Hostname()
	case Webhook:
		u, err := url.Parse(r.Address)
		if err != nil {
			return ""
		}
		return u.Scheme + "://" + u.Host + "/…"
	case Other:
		name, _, _ := strings.Cut(r.Address, "://")
		return name + "://…"
	}
	return r.Address
}
