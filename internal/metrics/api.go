package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

// The forms of the Prometheus HTTP API (prometheus.io/docs, "HTTP API"), so
// that Grafana and promtool can ask this store as they ask a Prometheus.

type envelope struct {
	Status    string   `json:"status"`
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

// EncodeResult is the body for query and query_range; of nil, nothing.
func EncodeResult(r *Result) []byte {
	if r == nil {
		return nil
	}
	d := struct {
		ResultType string `json:"resultType"`
		Result     any    `json:"result"`
	}{ResultType: r.Kind}
	switch r.Kind {
	case "matrix":
		lines := make([]line, len(r.Series))
		for i, s := range r.Series {
			points := make([]point, len(s.At))
			for j := range points {
				points[j] = point{s.At[j], s.Values[j]}
			}
			lines[i] = line{Metric: metric(s.Labels), Values: points}
		}
		d.Result = lines
	case "vector":
		lines := make([]line, len(r.Series))
		for i, s := range r.Series {
			lines[i] = line{Metric: metric(s.Labels), Value: &point{s.At[0], s.Values[0]}}
		}
		d.Result = lines
	case "scalar":
		d.Result = point{r.Series[0].At[0], r.Series[0].Values[0]}
	default:
		d.Result = [2]any{json.RawMessage(seconds(nil, r.Series[0].At[0])), r.Text}
	}
	return encode(envelope{Status: "success", Data: d, Warnings: r.Warnings})
}

// EncodeNames is the body for labels and label/<name>/values.
func EncodeNames(names []string) []byte {
	if names == nil {
		names = []string{}
	}
	return encode(envelope{Status: "success", Data: names})
}

// EncodeSeries is the body for series.
func EncodeSeries(series []map[string]string) []byte {
	if series == nil {
		series = []map[string]string{}
	}
	return encode(envelope{Status: "success", Data: series})
}

// EncodeError is the status and body for an error of any method of Store.
func EncodeError(err error) (status int, body []byte) {
	kind := "internal"
	switch {
	case errors.Is(err, ErrLimit):
		status, kind = http.StatusUnprocessableEntity, "execution"
	case errors.Is(err, ErrTimeout):
		status, kind = http.StatusServiceUnavailable, "timeout"
	case errors.Is(err, ErrQuery):
		status, kind = http.StatusBadRequest, "bad_data"
	case errors.Is(err, context.Canceled):
		status, kind = 499, "canceled"
	default: // what the disk says is for the log, not for the caller
		return http.StatusInternalServerError, encode(envelope{Status: "error", ErrorType: kind, Error: "the sample store could not answer"})
	}
	return status, encode(envelope{Status: "error", ErrorType: kind, Error: err.Error()})
}

// ParseTime reads a time parameter: Unix seconds, with a fraction or not, or
// RFC 3339. Errors match ErrQuery.
func ParseTime(s string) (time.Time, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1e12 {
		whole, part := math.Modf(f)
		return time.Unix(int64(whole), int64(math.Round(part*1000))*1e6).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: time %.40q is neither Unix seconds nor RFC 3339", ErrQuery, s)
	}
	return t.UTC(), nil
}

// ParseStep reads a duration parameter: seconds, or a Prometheus duration such
// as 1m30s. Errors match ErrQuery.
func ParseStep(s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1e9 {
		return time.Duration(f * float64(time.Second)), nil
	}
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%w: duration %.40q is neither seconds nor like 1m30s", ErrQuery, s)
	}
	return time.Duration(d), nil
}

type line struct {
	Metric map[string]string `json:"metric"`
	Value  *point            `json:"value,omitempty"`
	Values []point           `json:"values,omitempty"`
}

func metric(l map[string]string) map[string]string {
	if l == nil {
		return map[string]string{}
	}
	return l
}

// point is [seconds, "value"].
type point struct {
	at    int64
	value float64
}

func (p point) MarshalJSON() ([]byte, error) {
	b := append(seconds(append(make([]byte, 0, 48), '['), p.at), ',', '"')
	form := byte('f')
	if abs := math.Abs(p.value); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	b = strconv.AppendFloat(b, p.value, form, -1, 64)
	return append(b, '"', ']'), nil
}

func seconds(b []byte, ms int64) []byte {
	if ms%1000 == 0 {
		return strconv.AppendInt(b, ms/1000, 10)
	}
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', 3, 64)
}

func encode(e envelope) []byte {
	b, err := json.Marshal(e)
	if err != nil { // strings, maps of strings and points only
		panic(err)
	}
	return b
}
