package send

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ops/tocsin/internal/config"
	"github.com/tocsin-ops/tocsin/internal/notify"
)

// telegram is the Bot API: https://core.telegram.org/bots/api#sendmessage. It knows no idempotency key: a repeated parcel is a second message.
type telegram struct{ url string }

func newTelegram(c config.Telegram) *telegram {
	base := "https://api.telegram.org"
	if !c.URL.Empty() {
		base = strings.TrimSuffix(c.URL.Reveal(), "/")
	}
	return &telegram{base + "/bot" + c.Token.Reveal() + "/sendMessage"}
}

func (*telegram) Kind() string { return notify.Telegram }

func (t *telegram) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	req, err := request(ctx, http.MethodPost, t.url, map[string]any{"chat_id": p.Route.Address, "text": clip(p.Text.Plain, 4096), "link_preview_options": map[string]bool{"is_disabled": true}})
	if err != nil {
		return notify.Answer{}, err
	}
	a, err := ask(own, req)
	if err != nil {
		return notify.Answer{}, err
	}
	return telegramSaid(a)
}

func telegramSaid(a answer) (notify.Answer, error) {
	var said struct {
		OK     bool `json:"ok"`
		Result struct {
			ID int64 `json:"message_id"`
		} `json:"result"`
		Description string `json:"description"`
		Parameters  struct {
			RetryAfter float64 `json:"retry_after"`
		} `json:"parameters"`
	}
	err := json.Unmarshal(a.body, &said)
	if a.status == http.StatusOK && err == nil && said.OK {
		return notify.Answer{ID: strconv.FormatInt(said.Result.ID, 10), Detail: "Telegram took it"}, nil
	}
	if a.status == http.StatusOK {
		return notify.Answer{}, &notify.Failure{Reason: "Telegram answered what is not understood", Unknown: true}
	}
	f := judge(a, "Telegram", "")
	if s := said.Parameters.RetryAfter; s > 0 && s < waitMost.Seconds() {
		f.RetryAfter = time.Duration(s * float64(time.Second))
	}
	switch low := strings.ToLower(said.Description); {
	case a.status == http.StatusUnauthorized, a.status == http.StatusNotFound:
		f.Reason = "Telegram does not know the bot's token"
	case strings.Contains(low, "blocked by the user"):
		f.Reason = "the bot was blocked in this chat"
	case strings.Contains(low, "deactivated"):
		f.Reason = "the Telegram account was closed"
	case strings.Contains(low, "chat not found"), strings.Contains(low, "can't initiate"):
		f.Reason = "Telegram does not know this chat; send /start to the bot first"
	}
	return notify.Answer{}, f
}

// slack is chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage) or an incoming webhook. Neither knows an idempotency key.
type slack struct{ url, token string }

func newSlack(c config.Slack) *slack {
	if !c.Webhook.Empty() {
		return &slack{url: c.Webhook.Reveal()}
	}
	base := "https://slack.com"
	if !c.URL.Empty() {
		base = strings.TrimSuffix(c.URL.Reveal(), "/")
	}
	return &slack{base + "/api/chat.postMessage", c.Token.Reveal()}
}

func (*slack) Kind() string { return notify.Slack }

var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (s *slack) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	text := clip(slackText.Replace(p.Text.Plain), 12_000)
	body := map[string]any{"channel": p.Route.Address, "text": text, "unfurl_links": false, "unfurl_media": false}
	if s.token == "" {
		if strings.HasPrefix(p.Route.Address, "U") || strings.HasPrefix(p.Route.Address, "W") {
			text = "<@" + p.Route.Address + "> " + text
		}
		body = map[string]any{"text": text}
	}
	req, err := request(ctx, http.MethodPost, s.url, body)
	if err != nil {
		return notify.Answer{}, err
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	a, err := ask(own, req)
	if err != nil {
		return notify.Answer{}, err
	}
	if s.token == "" {
		return hookSaid(a, "Slack")
	}
	return slackSaid(a)
}

// slackTrouble are errors of Slack that pass; all others are final.
var slackTrouble = map[string]bool{"ratelimited": true, "rate_limited": true, "internal_error": true, "fatal_error": true, "service_unavailable": true, "request_timeout": true, "team_added_to_org": true}

func slackSaid(a answer) (notify.Answer, error) {
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
		TS    string `json:"ts"`
	}
	err := json.Unmarshal(a.body, &said)
	if a.status != http.StatusOK {
		return notify.Answer{}, judge(a, "Slack", code(said.Error))
	}
	switch {
	case err != nil:
		return notify.Answer{}, &notify.Failure{Reason: "Slack answered what is not understood", Unknown: true}
	case said.OK:
		return notify.Answer{ID: short(said.TS), Detail: "Slack took it"}, nil
	case said.Error == "channel_not_found" || said.Error == "not_in_channel":
		return notify.Answer{}, failure("Slack does not know this member or channel, or the bot is not in it (%s)", said.Error)
	}
	word := code(said.Error)
	return notify.Answer{}, &notify.Failure{Reason: "Slack refused it: " + word, Permanent: !slackTrouble[word], RetryAfter: retryAfter(a.header), Unknown: word == "internal_error" || word == "fatal_error"}
}

// hookSaid reads the answer of an incoming webhook: 200 and "ok", or a status and a word.
func hookSaid(a answer, who string) (notify.Answer, error) {
	if a.status/100 == 2 {
		return notify.Answer{Detail: who + " took it"}, nil
	}
	var said struct {
		ID string `json:"id"`
	}
	word := code(strings.TrimSpace(string(a.body)))
	if json.Unmarshal(a.body, &said) == nil && said.ID != "" {
		word = code(said.ID)
	}
	return notify.Answer{}, judge(a, who, word)
}

// mattermost is POST /api/v4/posts (https://developers.mattermost.com/api-documentation/#/operations/CreatePost) or an incoming webhook.
type mattermost struct{ url, token, hook string }

func newMattermost(c config.Mattermost) *mattermost {
	return &mattermost{strings.TrimSuffix(c.URL.Reveal(), "/"), c.Token.Reveal(), c.Webhook.Reveal()}
}

func (*mattermost) Kind() string { return notify.Mattermost }

func (m *mattermost) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	text := clip(p.Text.Quoted(quiet.Replace), 15_000)
	if m.token == "" {
		req, err := request(ctx, http.MethodPost, m.hook, map[string]any{"text": text, "channel": p.Route.Address})
		if err != nil {
			return notify.Answer{}, err
		}
		a, err := ask(own, req)
		if err != nil {
			return notify.Answer{}, err
		}
		return hookSaid(a, "Mattermost")
	}
	channel := p.Route.Address
	if name, person := strings.CutPrefix(channel, "@"); person {
		var err error
		if channel, err = m.direct(ctx, name); err != nil {
			return notify.Answer{}, err
		}
	}
	var post struct {
		ID string `json:"id"`
	}
	// The server takes a post with a pending_post_id that it has just seen for the one that it has.
	if err := m.call(ctx, http.MethodPost, "/api/v4/posts", map[string]any{"channel_id": channel, "message": text, "pending_post_id": p.Key}, &post); err != nil {
		return notify.Answer{}, err
	}
	return notify.Answer{ID: short(post.ID), Detail: "Mattermost took it"}, nil
}

// direct finds the channel between the bot and a member.
func (m *mattermost) direct(ctx context.Context, name string) (string, error) {
	var me, other, channel struct {
		ID string `json:"id"`
	}
	if err := m.call(ctx, http.MethodGet, "/api/v4/users/me", nil, &me); err != nil {
		return "", err
	}
	if err := m.call(ctx, http.MethodGet, "/api/v4/users/username/"+url.PathEscape(name), nil, &other); err != nil {
		return "", err
	}
	if err := m.call(ctx, http.MethodPost, "/api/v4/channels/direct", []string{me.ID, other.ID}, &channel); err != nil {
		return "", err
	}
	return channel.ID, nil
}

func (m *mattermost) call(ctx context.Context, method, path string, body, into any) error {
	req, err := request(ctx, method, m.url+path, body)
	if err != nil {
		return err
	}
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Header.Set("Authorization", "Bearer "+m.token)
	a, err := ask(own, req)
	if err != nil {
		return err
	}
	return mattermostSaid(a, into)
}

func mattermostSaid(a answer, into any) error {
	if a.status/100 == 2 {
		if json.Unmarshal(a.body, into) != nil {
			return &notify.Failure{Reason: "Mattermost answered what is not understood", Unknown: true}
		}
		return nil
	}
	var said struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(a.body, &said)
	return judge(a, "Mattermost", code(said.ID))
}

// matrix is PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId} (https://spec.matrix.org/latest/client-server-api/): the transaction id makes
// a repeated parcel the same message.
type matrix struct{ url, token string }

func newMatrix(c config.Matrix) *matrix {
	return &matrix{strings.TrimSuffix(c.URL.Reveal(), "/"), c.Token.Reveal()}
}

func (*matrix) Kind() string { return notify.Matrix }

func (m *matrix) Send(ctx context.Context, p notify.Parcel) (notify.Answer, error) {
	text := clip(p.Text.Plain, 16_000)
	rich := strings.ReplaceAll(html.EscapeString(text), "\n", "<br>")
	if at := strings.Index(rich, "<br>"); at > 0 {
		rich = "<strong>" + rich[:at] + "</strong>" + rich[at:]
	}
	address := m.url + "/_matrix/client/v3/rooms/" + url.PathEscape(p.Route.Address) + "/send/m.room.message/" + url.PathEscape(p.Key)
	req, err := request(ctx, http.MethodPut, address, map[string]any{"msgtype": "m.text", "body": text, "format": "org.matrix.custom.html", "formatted_body": rich,
		"m.mentions": map[string]any{}}) // nobody is mentioned, whatever the words say (Client-Server API, 11.37)
	if err != nil {
		return notify.Answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+m.token)
	a, err := ask(own, req)
	if err != nil {
		return notify.Answer{}, err
	}
	return matrixSaid(a)
}

func matrixSaid(a answer) (notify.Answer, error) {
	var said struct {
		Event string  `json:"event_id"`
		Code  string  `json:"errcode"`
		After float64 `json:"retry_after_ms"` // deprecated for the header, and still sent
	}
	err := json.Unmarshal(a.body, &said)
	switch {
	case a.status/100 == 2 && err == nil && said.Event != "":
		return notify.Answer{ID: short(said.Event), Detail: "the homeserver took it"}, nil
	case a.status/100 == 2:
		return notify.Answer{}, &notify.Failure{Reason: "the homeserver answered what is not understood", Unknown: true}
	}
	f := judge(a, "the homeserver", code(said.Code))
	if f.RetryAfter == 0 && said.After > 0 && said.After < float64(waitMost.Milliseconds()) {
		f.RetryAfter = time.Duration(said.After * float64(time.Millisecond))
	}
	switch said.Code {
	case "M_UNKNOWN_TOKEN", "M_MISSING_TOKEN":
		f.Reason = "the homeserver does not know the access token"
	case "M_FORBIDDEN":
		f.Reason = "the bot is not in this room"
	case "M_LIMIT_EXCEEDED":
		f.Permanent = false
	}
	return notify.Answer{}, f
}

// quiet keeps words of an alert from calling a whole channel, and from being links with another text, in chats that read Markdown.
var quiet = strings.NewReplacer("@", "@\u200b", "[", "\\[", "]", "\\]", "`", "\\`", "*", "\\*", "~", "\\~", "<", "\\<", "!", "\\!")

// calm only keeps words from calling people, where the rest is shown as it is.
var calm = strings.NewReplacer("@", "@\u200b")

// clip cuts text to so many bytes, between characters.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-3], "") + "…"
}
