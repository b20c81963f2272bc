package notify

import (
	"context"
	"fmt"

	"github.com/tocsin-ops/tocsin/store"
)

// Forget removes all that is kept to reach a person who has left: addresses, secrets, codes, what became of attempts. What waits for them ends by itself.
func (n *Office) Forget(ctx context.Context, person string) error {
	then := []store.Op{{Key: []byte(routesKey(person)), Delete: true}}
	for _, prefix := range []string{string(lastKey(person, "")), string(codeKey(person, ""))} {
		for kv, err := range n.DB.Scan(ctx, prefixRange(prefix)) {
			if err != nil {
				return fmt.Errorf("forget the routes of %s: %w", person, err)
			}
			then = append(then, store.Op{Key: kv.Key, Delete: true})
		}
	}
	for most := store.OpLimit(n.DB); len(then) > 0; {
		k := min(most, len(then))
		if _, err := n.DB.Commit(ctx, store.Txn{Then: then[:k]}); err != nil {
			return fmt.Errorf("forget the routes of %s: %w", person, err)
		}
		then = then[k:]
	}
	return nil
}
