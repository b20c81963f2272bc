package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tocsin-ops/tocsin/internal/metrics"
)

// promAnswer writes what a query returned in Prometheus' own words, so that
// Grafana understands refusals too.
func promAnswer(c *call, ask func() ([]byte, error)) error {
	b, err := ask()
	if err == nil {
		return c.JSONBlob(http.StatusOK, b)
	}
	var bad *metrics.QueryError
	if errors.As(err, &bad) {
		out, merr := json.Marshal(map[string]string{"status": "error", "errorType": bad.Type, "error": bad.Error()})
		if merr != nil {
			return merr
		}
		return c.JSONBlob(http.StatusUnprocessableEntity, out)
	}
	return err
}
