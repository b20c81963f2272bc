package metrics

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
)

// ErrSample is matched by the error of a sample that is beyond the limits.
var ErrSample = errors.New("bad sample")

// Sample is one value of one series at one time.
type Sample struct {
	// Name is the metric, for example tocsin_chain_head_height: letters,
	// digits, underscores and colons, no digit first.
	Name string
	// Labels tell the series of one name apart. Names are as Name, without
	// colons and not beginning with two underscores; an empty value is as no label.
	Labels map[string]string
	// At is the time in Unix milliseconds.
	At int64
	// Value may be any float, NaN and infinities included.
	Value float64
}

func (m *Sample) labels() (labels.Labels, error) {
	none := labels.EmptyLabels()
	if !goodName(m.Name, true) {
		return none, fmt.Errorf("%w: name %.40q", ErrSample, m.Name)
	}
	if len(m.Labels) > MaxLabels {
		return none, fmt.Errorf("%w: %s has %d labels, more than %d", ErrSample, m.Name, len(m.Labels), MaxLabels)
	}
	list := make([]labels.Label, 0, len(m.Labels)+1)
	list = append(list, labels.Label{Name: labels.MetricName, Value: m.Name})
	for name, value := range m.Labels {
		switch {
		case !goodName(name, false):
			return none, fmt.Errorf("%w: %s has label name %.40q", ErrSample, m.Name, name)
		case len(value) > MaxValueBytes:
			return none, fmt.Errorf("%w: %s label %s has %d bytes, more than %d", ErrSample, m.Name, name, len(value), MaxValueBytes)
		case !utf8.ValidString(value):
			return none, fmt.Errorf("%w: %s label %s is not UTF-8", ErrSample, m.Name, name)
		case value != "":
			list = append(list, labels.Label{Name: name, Value: value})
		}
	}
	return labels.New(list...), nil
}

func goodName(s string, metric bool) bool {
	if s == "" || len(s) > MaxNameBytes || !metric && len(s) > 1 && s[:2] == "__" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == ':' && metric, c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return true
}
