package notify

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// PushKeys is the key pair by which push services know this installation (VAPID, RFC 8292): base64url without padding. Browsers are subscribed to the
// public one, so a new pair would end every subscription.
type PushKeys struct {
	Private string `json:"private"`
	Public  string `json:"public"`
}

var pushKey = []byte("notify/vapid")

// LoadPushKeys returns the installation's pair, made at the first call and then kept in db.
func LoadPushKeys(ctx context.Context, db store.DB) (PushKeys, error) {
	for {
		var k PushKeys
		kv, err := db.Get(ctx, pushKey)
		if err == nil {
			if err := json.Unmarshal(kv.Value, &k); err != nil || k.Private == "" || k.Public == "" {
				return k, fmt.Errorf("read the keys for web push: %w; delete notify/vapid to have new ones made (browsers must be switched on again then)", errors.Join(err, errors.New("they are damaged")))
			}
			return k, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return k, fmt.Errorf("read the keys for web push: %w", err)
		}
		pair, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return k, fmt.Errorf("make keys for web push: %w", err)
		}
		k.Private, k.Public = base64.RawURLEncoding.EncodeToString(pair.Bytes()), base64.RawURLEncoding.EncodeToString(pair.PublicKey().Bytes())
		raw, _ := json.Marshal(k)
		_, err = db.Commit(ctx, store.Txn{If: []store.Cond{{Key: pushKey}}, Then: []store.Op{{Key: pushKey, Value: raw}}})
		if err == nil {
			return k, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return k, fmt.Errorf("keep the keys for web push: %w", err)
		}
	}
}
