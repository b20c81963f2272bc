package etcd

// Use makes the member with this index the one in use.
func (d *DB) Use(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = i
}

// Lease is that of the session, 0 when there is none.
func (d *DB) Lease() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session == nil {
		return 0
	}
	return d.session.lease
}

// Expire makes the session end as if the lease had not been renewed.
func (d *DB) Expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session.lose(errSession)
}
