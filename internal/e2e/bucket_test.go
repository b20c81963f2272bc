package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBucket runs the suite of store.Blobs on a real S3 server, which keeps its
// objects in a directory.
func TestBucket(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "blobs"), 0o700))
	addr := "127.0.0.1:" + freePort(t)
	spawn(t, "versitygw", tool(t, "versitygw"), nil, "--port", addr, "--access", "tocsin", "--secret", "tocsin-secret", "--region", "us-east-1", "posix", dir)
	until(t, "the S3 server listens", patience, func() (bool, string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false, err.Error()
		}
		return c.Close() == nil, ""
	})
	suite := exec.Command("go", "test", "-count=1", "-v", "-run=^TestS3$", "./store/blob/bucket")
	suite.Dir = filepath.Join("..", "..")
	suite.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=tocsin", "AWS_SECRET_ACCESS_KEY=tocsin-secret", "AWS_EC2_METADATA_DISABLED=true",
		"TOCSIN_TEST_BUCKET=s3://blobs?region=us-east-1&use_path_style=true&endpoint=http://"+addr)
	out, err := suite.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestS3/many_at_once") {
		t.Fatalf("%v\n%s", err, out)
	}
}
