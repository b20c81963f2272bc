package watch

import (
	"context"
	"encoding/json"
	"time"
)

const markWithin = 3 * time.Second

// resume is where an earlier run stopped; the zero mark when it is not known.
func resume[M any](ctx context.Context, w *Watch, key string) (m M) {
	if w.opt.Marks == nil {
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, markWithin)
	defer cancel()
	text, err := w.opt.Marks.Mark(ctx, key)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &m)
	}
	if err != nil {
		w.opt.Log.Warn("it is not known how far a chain was read; what happened during the pause is not seen", "watch", key, "err", err)
		var none M
		return none
	}
	return m
}

// mark keeps how far a chain was read, also at the end, when ctx is over.
func (w *Watch) mark(ctx context.Context, key string, m any) {
	if w.opt.Marks == nil {
		return
	}
	text, err := json.Marshal(m)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markWithin)
		defer cancel()
		err = w.opt.Marks.SetMark(ctx, key, string(text))
	}
	if err != nil {
		w.opt.Log.Warn("how far a chain was read could not be kept", "watch", key, "err", err)
	}
}
