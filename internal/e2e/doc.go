// Package e2e owns the tests of the whole: the real binary with real nodes, a
// real Alertmanager and a real browser. It never looks inside the program: all
// it knows is what people, senders and operators can see. It is a module of its
// own so that its heavy peers stay out of the product's.
package e2e
