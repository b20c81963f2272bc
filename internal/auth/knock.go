package auth

// Knock takes one attempt of an address at a secret that is no sign-in, like the link of a page; it is bounded as opening sign-in pages is. The
// returned function gives it back and is called when the secret was good. A refusal says when to try again.
func (s *Service) Knock(address string) (giveBack func(), err error) {
	return s.begins.attempt(address, s.clock())
}
