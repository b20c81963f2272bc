// Package etcdtest owns clusters of real etcd processes on loopback for tests:
// it starts, kills, freezes and restarts them; it never ships in the product.
package etcdtest
