package config

import (
	"net/url"
	"strings"
)

// blobs judges where blobs are kept.
func (j *judge) blobs() {
	if !strings.Contains(j.Blobs, "://") {
		return
	}
	u, err := url.Parse(j.Blobs)
	switch {
	case err != nil || u.Scheme != "s3" || u.Host == "":
		j.wrong("blobs", "is neither a directory nor a bucket; write it like s3://bucket?region=eu-central-1")
	case u.User != nil:
		j.wrong("blobs", "holds credentials; take them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
}
