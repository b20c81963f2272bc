package remote

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// What a page shows together with the frames that came after it is written into the page itself, as the script of the page would: so it is whole for
// whoever reads it without a script, and for a script that fetches it anew.

// frame is a live message that shows a region.
type frame struct {
	Topic string `json:"topic"`
	Seq   *int64 `json:"seq,omitempty"` // nil: shows no position
	From  string `json:"from,omitempty"`
	At    int64  `json:"at,omitempty"` // unix ms of the server
	Key   string `json:"key"`
	HTML  string `json:"html,omitempty"`
	Into  string `json:"into,omitempty"`
	Place string `json:"place,omitempty"`
}

// element is where an element with an id stands in a page.
type element struct {
	start, end int
	tail       int     // start of its end tag
	order      float64 // data-offset; NaN when it has none
	children   []*element
}

// open is an element whose end has not come yet.
type opened struct {
	name string
	at   *element // nil: of no interest
	list bool     // its children are
}

// places finds the elements with these ids, and for lists their children.
func places(page []byte, ids, lists map[string]bool) (found map[string]*element, metas []mark) {
	found = map[string]*element{}
	z := html.NewTokenizer(bytes.NewReader(page))
	var stack []opened
	for at := 0; ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return found, metas
		}
		from := at
		at += len(z.Raw())
		switch kind {
		case html.StartTagToken, html.SelfClosingTagToken:
			tag, more := z.TagName()
			name := string(tag)
			inList := len(stack) > 0 && stack[len(stack)-1].list
			var a map[string]string
			if more {
				a = attributes(z, more)
			}
			if name == "meta" {
				metas = append(metas, mark{from, at, a})
			}
			var e *element
			if id := a["id"]; inList || id != "" && (ids[id] || lists[id]) && found[id] == nil {
				e = &element{start: from, end: at, tail: at, order: number(a["data-offset"])}
				if id != "" {
					found[id] = e
				}
				if inList {
					list := stack[len(stack)-1].at
					list.children = append(list.children, e)
				}
			}
			if kind == html.StartTagToken && !void[name] {
				stack = append(stack, opened{name: name, at: e, list: e != nil && lists[a["id"]]})
			}
		case html.EndTagToken:
			tag, _ := z.TagName()
			i := len(stack) - 1
			for i >= 0 && stack[i].name != string(tag) {
				i--
			}
			if i < 0 {
				continue
			}
			for j, o := range stack[i:] {
				if o.at != nil {
					o.at.tail, o.at.end = from, at
					if j > 0 { // closed by the end of what holds it
						o.at.end = from
					}
				}
			}
			stack = stack[:i]
		}
	}
}

// mark is a meta tag.
type mark struct {
	start, end int
	a          map[string]string
}

var void = map[string]bool{"area": true, "base": true, "br": true, "col": true, "embed": true, "hr": true, "img": true, "input": true, "link": true, "meta": true,
	"param": true, "source": true, "track": true, "wbr": true}

func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return n
}

// edit replaces a part of a page.
type edit struct {
	start, end int
	text       string
	order      float64 // of what is put in at the same place
}

// splice writes frames into a page, in their order. since tells how far each topic is whole by them; now (unix ms) becomes the page's time.
func splice(page []byte, frames []frame, since map[string]int64, now int64) []byte {
	for {
		var rest []frame
		page, rest = spliceOnce(page, frames)
		if len(rest) == 0 || len(rest) >= len(frames) {
			break
		}
		frames = rest
	}
	_, metas := places(page[:min(len(page), headMost)], nil, nil)
	var edits []edit
	for _, m := range metas {
		switch m.a["name"] {
		case "now":
			edits = append(edits, edit{start: m.start, end: m.end, text: `<meta name="now" content="` + strconv.FormatInt(now, 10) + `">`})
		case "topic":
			had, err := strconv.ParseInt(m.a["data-since"], 10, 64)
			if to, known := since[m.a["content"]]; known && err == nil && m.a["data-from"] == "" && to > had {
				edits = append(edits, edit{start: m.start, end: m.end,
					text: `<meta name="topic" content="` + html.EscapeString(m.a["content"]) + `" data-since="` + strconv.FormatInt(to, 10) + `" data-from="">`})
			}
		}
	}
	return apply(page, edits)
}

// spliceOnce writes in what does not lie within what another frame replaces; the rest, from the first that does, is for another turn.
func spliceOnce(page []byte, frames []frame) (out []byte, rest []frame) {
	ids, lists := map[string]bool{}, map[string]bool{}
	for _, f := range frames {
		ids[f.Key] = true
		if f.Into != "" {
			lists[f.Into] = true
		}
	}
	found, _ := places(page, ids, lists)
	var edits []edit
	touched := map[string]bool{}
	for i, f := range frames {
		at := found[f.Key]
		if touched[f.Key] {
			rest = frames[i:]
			break
		}
		if at == nil {
			list := found[f.Into]
			if f.Into == "" || list == nil || f.Place == "there" {
				continue
			}
			touched[f.Key] = true
			edits = append(edits, placed(list, f))
			continue
		}
		if slices.ContainsFunc(edits, func(e edit) bool {
			return e.start < at.end && at.start < e.end || e.start == e.end && e.start > at.start && e.start < at.end
		}) {
			rest = frames[i:]
			break
		}
		touched[f.Key] = true
		edits = append(edits, edit{start: at.start, end: at.end, text: f.HTML})
	}
	return apply(page, edits), rest
}

// placed puts an entry into its list in the order of data-offset, as insert in morph.js does.
func placed(list *element, f frame) edit {
	order := orderOf(f.HTML)
	at := list.tail
	switch {
	case !math.IsNaN(order):
		for _, other := range slices.Backward(list.children) {
			if other.order < order {
				break
			}
			at = other.start
		}
	case f.Place == "start" && len(list.children) > 0:
		at = list.children[0].start
	}
	return edit{start: at, end: at, text: f.HTML, order: order}
}

func orderOf(fragment string) float64 {
	z := html.NewTokenizer(strings.NewReader(fragment))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return math.NaN()
		case html.StartTagToken, html.SelfClosingTagToken:
			_, more := z.TagName()
			return number(attributes(z, more)["data-offset"])
		}
	}
}

// apply makes edits that do not overlap.
func apply(page []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return page
	}
	slices.SortStableFunc(edits, func(a, b edit) int {
		if a.start == b.start && a.end == b.end && !math.IsNaN(a.order) && !math.IsNaN(b.order) {
			return cmp.Compare(a.order, b.order)
		}
		// what is put in at a place comes before what replaces from there
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		if e.start < at {
			continue
		}
		out.Write(page[at:e.start])
		out.WriteString(e.text)
		at = e.end
	}
	out.Write(page[at:])
	return out.Bytes()
}
