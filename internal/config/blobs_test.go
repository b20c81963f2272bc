package config

import (
	"strings"
	"testing"
)

func TestBlobs(t *testing.T) {
	for text, wrong := range map[string]string{
		"": "", "/var/lib/tocsin/blobs": "", "s3://bucket?region=eu-central-1": "", "s3://bucket?endpoint=https://minio.example.org&use_path_style=true": "",
		"s3://": "neither", "gs://bucket": "neither", "file:///x": "neither", "s3://key:secret@bucket": "AWS_ACCESS_KEY_ID",
	} {
		c := Default()
		c.Blobs = text
		err := c.Validate()
		switch {
		case wrong == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), "secret@")):
			t.Errorf("%s: %v, want %q", text, err, wrong)
		}
	}
}
