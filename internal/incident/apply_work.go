package incident

func (b RoleAssigned) apply(s *State, e Event) {
	s.assign(b.Role, b.Person, e)
	s.say(e, KindRole, person(b.Person), say(" is "), roleOf(b.Role))
}

// assign gives the role; it ends an open offer to that person, and, when only
// one can hold the role, everybody else's hold on it and every offer of it.
func (s *State) assign(r Role, p string, e Event) {
	if r.Single() {
		s.Roles = without(s.Roles, func(a Assignment) bool { return a.Role == r && a.Person != p })
	}
	if !s.Holds(r, p) {
		s.Roles = with(s.Roles, Assignment{Role: r, Person: p, Since: e.At, By: e.Actor})
	}
	s.PendingHandovers = without(s.PendingHandovers, func(h HandOver) bool {
		return h.Role == r && (r.Single() || h.To == p)
	})
}

func (b RoleReleased) apply(s *State, e Event) {
	s.Roles = without(s.Roles, func(a Assignment) bool { return a.Role == b.Role && a.Person == b.Person })
	s.say(e, KindRole, person(b.Person), say(" is no longer "), roleOf(b.Role))
}

func (b HandOverOffered) apply(s *State, e Event) {
	h := HandOver{Role: b.Role, From: b.From, To: b.To, Note: b.Note, At: e.At, By: e.Actor, Offset: e.Offset}
	s.PendingHandovers = with(without(s.PendingHandovers, func(h HandOver) bool { return h.Role == b.Role }), h)
	s.say(e, KindRole, because([]Part{person(b.To), say(" is asked to take over as "), roleOf(b.Role)}, b.Note)...)
}

func (b HandedOver) apply(s *State, e Event) {
	s.Roles = without(s.Roles, func(a Assignment) bool { return a.Role == b.Role && a.Person == b.From })
	s.assign(b.Role, b.To, e)
	s.PendingHandovers = without(s.PendingHandovers, func(h HandOver) bool { return h.Role == b.Role })
	parts := []Part{person(b.To), say(" took over as "), roleOf(b.Role)}
	if b.From != "" {
		parts = append(parts, say(" from "), person(b.From))
	}
	s.say(e, KindRole, parts...)
}

func (b HandOverDeclined) apply(s *State, e Event) {
	s.PendingHandovers = without(s.PendingHandovers, func(h HandOver) bool { return h.Role == b.Role })
	if b.Withdrawn {
		s.say(e, KindRole, say("the offer of "), roleOf(b.Role), say(" to "), person(b.To), say(" was taken back"))
		return
	}
	s.say(e, KindRole, person(b.To), say(" declined to take over as "), roleOf(b.Role))
}

func (b NoteAdded) apply(s *State, e Event) {
	x := entry(e, KindNote, quote(b.Text))
	x.WrittenAt = b.WrittenAt
	s.Timeline = s.Timeline.with(x)
}

func (b DecisionRecorded) apply(s *State, e Event) { s.say(e, KindDecision, quote(b.Text)) }

func (b TaskAdded) apply(s *State, e Event) {
	s.addTask(Task{ID: b.Task, Title: b.Title, Assignee: b.Assignee, Due: b.Due, At: e.At, By: e.Actor, Offset: e.Offset})
	parts := []Part{task(b.Task), say(": "), quote(b.Title)}
	if b.Assignee != "" {
		parts = append(parts, say(", for "), person(b.Assignee))
	}
	if b.Due != 0 {
		parts = append(parts, say(", due "), moment(b.Due))
	}
	s.say(e, KindTask, parts...)
}

func (s *State) addTask(t Task) {
	if s.taskAt(t.ID) < 0 {
		s.Tasks = with(s.Tasks, t)
	}
	s.lastTask = max(s.lastTask, number(t.ID))
}

func (b TaskAssigned) apply(s *State, e Event) {
	s.Tasks = edit(s.Tasks, s.taskAt(b.Task), func(t *Task) { t.Assignee = b.Person })
	if b.Person == "" {
		s.say(e, KindTask, task(b.Task), say(" is for nobody in particular now"))
		return
	}
	s.say(e, KindTask, task(b.Task), say(" is for "), person(b.Person))
}

func (b TaskCompleted) apply(s *State, e Event) {
	s.Tasks = edit(s.Tasks, s.taskAt(b.Task), func(t *Task) { t.Done, t.DoneAt, t.DoneBy = true, e.At, e.Actor })
	s.say(e, KindTask, task(b.Task), say(" is done"))
}

func (b TaskReopened) apply(s *State, e Event) {
	s.Tasks = edit(s.Tasks, s.taskAt(b.Task), func(t *Task) { t.Done, t.DoneAt, t.DoneBy = false, 0, "" })
	s.say(e, KindTask, task(b.Task), say(" is not done"))
}

func (b LinkAdded) apply(s *State, e Event) {
	s.addLink(Link{ID: b.Link, URL: b.URL, Title: b.Title, At: e.At, By: e.Actor, Offset: e.Offset})
	s.say(e, KindLink, linkOf(b.URL, b.Title))
}

func (s *State) addLink(l Link) {
	if s.linkAt(l.ID) < 0 {
		s.Links = with(s.Links, l)
	}
	s.lastLink = max(s.lastLink, number(l.ID))
}

func (b LinkRemoved) apply(s *State, e Event) {
	s.Links = without(s.Links, func(l Link) bool { return l.ID == b.Link })
	s.say(e, KindLink, say("link "+b.Link+" was removed"))
}
