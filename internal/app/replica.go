package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ReplicaFile holds, in the data directory, the name by which the other
// replicas know this one, over restarts.
const ReplicaFile = "replica"

var replicaName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// replicaID reads the replica's name, and draws one the first time.
func replicaID(dir string) (string, error) {
	path := filepath.Join(dir, ReplicaFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw = []byte("r-" + strings.ToLower(rand.Text()[:8]) + "\n")
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("the replica's name in %s: %w; check the rights of the directory", path, err)
	}
	id := strings.TrimSpace(string(raw))
	if !replicaName.MatchString(id) {
		return "", fmt.Errorf("%s holds no name of a replica: write up to 40 lower-case letters, digits and dashes, or remove it", path)
	}
	return id, nil
}
