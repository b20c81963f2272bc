package evmwatch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestRecordedLogs reads the logs that real clients answered (package evm's testdata/PROVENANCE.md): every field kept is the answer's.
func TestRecordedLogs(t *testing.T) {
	files, _ := filepath.Glob("../evm/testdata/execution-apis/eth_getLogs/*.io")
	if shared := os.Getenv("TOCSIN_SHARED"); shared != "" {
		more, _ := filepath.Glob(filepath.Join(shared, "data/execution-apis-tests/tests/eth_getLogs/*.io"))
		files = append(files, more...)
	} else {
		t.Log("TOCSIN_SHARED is not set: only the files of testdata were read")
	}
	logs := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			answer, ok := strings.CutPrefix(line, "<< ")
			if !ok || !strings.Contains(answer, `"result"`) {
				continue
			}
			var said struct{ Result []map[string]any }
			var read struct{ Result []entry }
			if err := json.Unmarshal([]byte(answer), &said); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(answer), &read); err != nil || len(read.Result) != len(said.Result) {
				t.Fatalf("%s: %d of %d logs, %v", f, len(read.Result), len(said.Result), err)
			}
			for i, e := range read.Result {
				again, err := json.Marshal(map[string]any{"address": strings.ToLower(e.Address.Hex()), "topics": e.Topics, "data": e.Data, "blockHash": e.Block,
					"blockNumber": e.Number, "transactionHash": e.Tx, "logIndex": e.Index, "removed": e.Removed})
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]any
				if err := json.Unmarshal(again, &got); err != nil {
					t.Fatal(err)
				}
				for field, v := range got {
					if !reflect.DeepEqual(v, said.Result[i][field]) {
						t.Errorf("%s: %s read as %v, the answer says %v", f, field, v, said.Result[i][field])
					}
				}
				logs++
			}
		}
	}
	if logs == 0 {
		t.Error("no log was read")
	}
}
