package web

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// policy allows only what is served from here; styles and scripts are files.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"

const (
	bodyWait = time.Minute // for the whole body of a request, and of its answer
	drained  = 8 << 20     // bytes read and dropped of a body that is too large
)

func (s *Server) middleware() {
	s.echo.Use(middleware.RequestID())
	s.echo.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			h := c.Response().Header()
			put(h, safety)
			h.Set("Cache-Control", "no-store") // who may be kept says so
			if c.Request().TLS != nil || s.outsideTLS() {
				put(h, []field{strict})
			}
			began, whole, most := time.Now(), c.Request().Body, bodyLimit(c.Path())
			// Whoever does not finish sending, or does not read, holds nothing of
			// ours for long. (Sockets and the log's followers set their own times.)
			wire := http.NewResponseController(c.Response())
			_ = wire.SetWriteDeadline(began.Add(bodyWait))
			if whole != http.NoBody {
				_ = wire.SetReadDeadline(began.Add(bodyWait))
				c.Request().Body = http.MaxBytesReader(c.Response(), whole, most+2) // a handler sees that there is too much before this cuts off
			}
			defer func() {
				if p := recover(); p != nil {
					if p == http.ErrAbortHandler {
						panic(p)
					}
					s.Logger.Error("handler panicked", "route", c.Path(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
					err = fmt.Errorf("panic: %v", p)
					s.handleError(err, c)
				}
				s.tally.seen(c.Request().Method, c.Path(), c.Response().Status)
			}()
			if c.Request().ContentLength > most {
				err = errTooBig
			} else {
				err = next(c)
			}
			if errors.Is(err, errTooBig) {
				// Many clients read the answer only after they have sent everything.
				_, _ = io.CopyN(io.Discard, whole, drained)
			}
			if err != nil {
				s.handleError(err, c)
				// Only the route is logged: an address may carry a key or a link.
				s.Logger.Log(c.Request().Context(), slog.LevelDebug, "request refused", "method", c.Request().Method, "route", c.Path(), "status", c.Response().Status)
			}
			return nil
		}
	})
}
