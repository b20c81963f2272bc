package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func TestEncode(t *testing.T) {
	up := map[string]string{"__name__": "up", "node": "a\"b"}
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{EncodeResult(&Result{Kind: "vector", Series: []Series{{Labels: up, At: []int64{1500}, Values: []float64{0.25}}}}),
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","node":"a\"b"},"value":[1.500,"0.25"]}]}}`},
		{EncodeResult(&Result{Kind: "vector"}), `{"status":"success","data":{"resultType":"vector","result":[]}}`},
		{EncodeResult(&Result{Kind: "matrix", Series: []Series{{At: []int64{1000, 2001, 3000, 4000}, Values: []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e21}}}}),
			`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"NaN"],[2.001,"+Inf"],[3,"-Inf"],[4,"1e+21"]]}]}}`},
		{EncodeResult(&Result{Kind: "scalar", Series: []Series{{At: []int64{1000}, Values: []float64{21000000}}}}),
			`{"status":"success","data":{"resultType":"scalar","result":[1,"21000000"]}}`},
		{EncodeResult(&Result{Kind: "string", Text: "hi", Series: []Series{{At: []int64{-1500}, Values: []float64{0}}}, Warnings: []string{"careful"}}),
			`{"status":"success","data":{"resultType":"string","result":[-1.500,"hi"]},"warnings":["careful"]}`},
		{EncodeNames(nil), `{"status":"success","data":[]}`},
		{EncodeNames([]string{"a", "b"}), `{"status":"success","data":["a","b"]}`},
		{EncodeSeries(nil), `{"status":"success","data":[]}`},
		{EncodeSeries([]map[string]string{up}), `{"status":"success","data":[{"__name__":"up","node":"a\"b"}]}`},
	} {
		wantEqual(t, string(c.got), c.want)
	}
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{fmt.Errorf("q: %w", ErrQuery), 400, `{"status":"error","errorType":"bad_data","error":"q: bad query"}`},
		{ErrLimit, 422, `{"status":"error","errorType":"execution","error":"query is too expensive"}`},
		{ErrTimeout, 503, `{"status":"error","errorType":"timeout","error":"query took too long"}`},
		{context.Canceled, 499, `{"status":"error","errorType":"canceled","error":"context canceled"}`},
		{errors.New("read /secret/path"), 500, `{"status":"error","errorType":"internal","error":"the sample store could not answer"}`},
	} {
		status, body := EncodeError(c.err)
		if status != c.status {
			t.Errorf("%v: status %d, want %d", c.err, status, c.status)
		}
		wantEqual(t, string(body), c.want)
	}
}

func TestParseParameters(t *testing.T) {
	for in, want := range map[string]int64{"1700000000": 1700000000000, "1700000000.123": 1700000000123, "-1.5": -1500, "2023-11-14T22:13:20.5+01:00": 1699996400500} {
		if got, err := ParseTime(in); err != nil || got.UnixMilli() != want {
			t.Errorf("ParseTime(%q) = %v, %v; want %d", in, got.UnixMilli(), err, want)
		}
	}
	for in, want := range map[string]time.Duration{"15": 15 * time.Second, "0.5": 500 * time.Millisecond, "1m30s": 90 * time.Second, "1d": 24 * time.Hour} {
		if got, err := ParseStep(in); err != nil || got != want {
			t.Errorf("ParseStep(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "soon", "NaN", "1e300", "Inf"} {
		if _, err := ParseTime(in); !errors.Is(err, ErrQuery) {
			t.Errorf("ParseTime(%q): %v", in, err)
		}
		if _, err := ParseStep(in); !errors.Is(err, ErrQuery) {
			t.Errorf("ParseStep(%q): %v", in, err)
		}
	}
}
