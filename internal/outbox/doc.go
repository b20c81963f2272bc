// Package outbox owns the notes that were typed while a room could not be reached: they are safe on disk before anybody is told so, wait in the order of
// writing, and are sent until they are known to be in the log or refused. It knows no network, never decides what is a note, and never writes a note anew:
// the id given with it makes sending it again harmless.
package outbox
