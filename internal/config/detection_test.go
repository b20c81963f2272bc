package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDetectionIsRelativeToTheFile, as every path in it; one from the environment is relative to where the process runs.
func TestDetectionIsRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tocsin.yaml")
	for _, c := range []struct {
		text, want string
		env        []string
	}{
		{"detection: detection.yaml\n", filepath.Join(dir, "detection.yaml"), nil},
		{"detection: /etc/tocsin/detection.yaml\n", "/etc/tocsin/detection.yaml", nil},
		{"addr: 127.0.0.1:0\n", "", nil},
		{"detection: detection.yaml\n", "other.yaml", []string{"TOCSIN_DETECTION=other.yaml"}},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Load(file, c.env)
		if err != nil || got.Detection != c.want {
			t.Errorf("%q %v: %q, %v, want %q", c.text, c.env, got.Detection, err, c.want)
		}
	}
}
