package remote

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// headMost is how much of a page is searched for its head, bytes.
const headMost = 256 << 10

// head is what a page of the room says of itself before its body.
type head struct {
	title, csrf, build, handle string
	now                        int64 // unix ms of the server
	topics                     []topicAt
	assets                     []string // addresses below /assets/
}

// topicAt is a topic and the position at which a page shows it.
type topicAt struct {
	Name  string
	Since int64
	From  string // who counts Since, when it is not the log
}

const (
	mostTopics = 16 // of a page
	mostAssets = 32
)

// parseHead reads up to the start tag of the body. It takes any bytes.
func parseHead(page []byte) head {
	var h head
	z := html.NewTokenizer(bytes.NewReader(page))
	z.SetMaxBuf(headMost)
	for read := 0; read < headMost; read += len(z.Raw()) {
		switch z.Next() {
		case html.ErrorToken:
			return h
		case html.TextToken, html.EndTagToken, html.CommentToken, html.DoctypeToken:
			continue
		}
		tag, more := z.TagName()
		name := string(tag)
		a := attributes(z, more)
		switch name {
		case "title":
			if h.title == "" && z.Next() == html.TextToken {
				h.title = strings.TrimSpace(html.UnescapeString(string(z.Raw())))
			}
		case "meta":
			h.meta(a)
		case "link":
			if strings.HasPrefix(a["href"], "/assets/") && len(h.assets) < mostAssets {
				h.assets = append(h.assets, a["href"])
			}
		case "script":
			if strings.HasPrefix(a["src"], "/assets/") && len(h.assets) < mostAssets {
				h.assets = append(h.assets, a["src"])
			}
		case "body":
			h.handle = a["data-handle"]
			return h
		}
	}
	return h
}

func (h *head) meta(a map[string]string) {
	switch a["name"] {
	case "csrf":
		h.csrf = a["content"]
	case "build":
		h.build = a["content"]
	case "now":
		h.now, _ = strconv.ParseInt(a["content"], 10, 64)
	case "topic":
		since, err := strconv.ParseInt(a["data-since"], 10, 64)
		if err == nil && a["content"] != "" && len(h.topics) < mostTopics {
			h.topics = append(h.topics, topicAt{a["content"], since, a["data-from"]})
		}
	}
}

func attributes(z *html.Tokenizer, more bool) map[string]string {
	a := map[string]string{}
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		if _, had := a[string(k)]; !had {
			a[string(k)] = string(v)
		}
	}
	return a
}

// followed are the topics of a page that the log drives, the ones that are kept.
func (h *head) followed() []topicAt {
	return slices.DeleteFunc(slices.Clone(h.topics), func(t topicAt) bool {
		return t.From != "" || t.Name == "chains" || strings.HasPrefix(t.Name, "status")
	})
}

var inStyle = regexp.MustCompile(`url\(\s*["']?(?:(/assets/[^"')\s#]+)|(?:\./)?([A-Za-z0-9._-]+\.(?:woff2|svg|png)))`)

// styleAssets are the addresses below /assets/ that a stylesheet needs.
func styleAssets(css []byte) (found []string) {
	for _, m := range inStyle.FindAllSubmatch(css, mostAssets) {
		if len(m[1]) > 0 {
			found = append(found, string(m[1]))
		} else {
			found = append(found, "/assets/"+string(m[2]))
		}
	}
	return found
}

var endOfHead = []byte("</head>")

// insertHead puts text before the end of the head, if it is within the first headMost bytes.
func insertHead(page []byte, text string) []byte {
	i := bytes.Index(page[:min(len(page), headMost)], endOfHead)
	if i < 0 {
		return page
	}
	return slices.Concat(page[:i], []byte(text), page[i:])
}
