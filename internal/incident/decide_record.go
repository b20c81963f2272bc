package incident

import (
	"slices"
	"strconv"
	"strings"
)

func (c AddNote) decide(_ State, m Meta) ([]Body, error) {
	var k check
	b := NoteAdded{
		Text:      k.need(k.prose("note", c.Text, MaxNote), CodeMissingArgument, "The note is empty. Write what you see or did."),
		WrittenAt: k.written(c.WrittenAt, m),
	}
	if k.err != nil {
		return nil, k.err
	}
	return one(b)
}

func (c RecordDecision) decide(State, Meta) ([]Body, error) {
	var k check
	text := k.need(k.prose("decision", c.Text, MaxNote), CodeMissingArgument, "The decision is empty. Write what was decided, and by whom if it was not you.")
	if k.err != nil {
		return nil, k.err
	}
	return one(DecisionRecorded{Text: text})
}

func (c AddTask) decide(s State, m Meta) ([]Body, error) {
	var k check
	b := TaskAdded{
		Task:  "T" + strconv.Itoa(s.lastTask+1),
		Title: k.need(k.line("task", c.Title, MaxTitle), CodeMissingArgument, "The task is empty. Write what is to be done, and by whom: /task call the custodian @ana."),
		Due:   k.due("the task", c.Due, m),
	}
	if c.Assignee != "" {
		b.Assignee = k.person(c.Assignee, m)
	}
	if k.err == nil && len(s.Tasks) >= MaxTasks {
		k.refuse(CodeTooMany, "%d tasks are on the list, and no more fit. Write this one as a note.", MaxTasks)
	}
	if k.err != nil {
		return nil, k.err
	}
	return one(b)
}

func (s State) task(k *check, ref string) Task {
	id := k.ref("T", "a task", ref)
	if k.err != nil {
		return Task{}
	}
	if i := s.taskAt(id); i >= 0 {
		return s.Tasks[i]
	}
	k.refuse(CodeNoSuchTask, "There is no task %s in incident #%d. %s", id, s.Number, listed("The tasks are", "T", len(s.Tasks)))
	return Task{}
}

func (s State) taskAt(id string) int {
	return slices.IndexFunc(s.Tasks, func(t Task) bool { return t.ID == id })
}

// listed says which ids there are.
func listed(words, prefix string, n int) string {
	switch n {
	case 0:
		return "There are none yet."
	case 1:
		return "There is only " + prefix + "1."
	}
	return words + " " + prefix + "1 to " + prefix + strconv.Itoa(n) + "."
}

func (c AssignTask) decide(s State, m Meta) ([]Body, error) {
	var k check
	t, person := s.task(&k, c.Task), ""
	if strings.TrimSpace(c.Person) != "" {
		person = k.person(c.Person, m)
	}
	if k.err != nil || t.Assignee == person {
		return nil, k.err
	}
	return one(TaskAssigned{Task: t.ID, Person: person})
}

func (c CompleteTask) decide(s State, _ Meta) ([]Body, error) {
	var k check
	t := s.task(&k, c.Task)
	if k.err != nil || t.Done {
		return nil, k.err
	}
	return one(TaskCompleted{Task: t.ID})
}

func (c ReopenTask) decide(s State, _ Meta) ([]Body, error) {
	var k check
	t := s.task(&k, c.Task)
	if k.err != nil || !t.Done {
		return nil, k.err
	}
	return one(TaskReopened{Task: t.ID})
}

func (c AddLink) decide(s State, _ Meta) ([]Body, error) {
	var k check
	b := LinkAdded{Link: "L" + strconv.Itoa(s.lastLink+1), URL: k.url(c.URL), Title: k.line("title", c.Title, MaxTitle)}
	if k.err != nil {
		return nil, k.err
	}
	if slices.ContainsFunc(s.Links, func(l Link) bool { return l.URL == b.URL && l.Title == b.Title }) {
		return nil, nil
	}
	if len(s.Links) >= MaxLinks {
		return nil, refuse(CodeTooMany, "%d links are on the list, and no more fit. Remove one, or write this one as a note.", MaxLinks)
	}
	return one(b)
}

func (c RemoveLink) decide(s State, _ Meta) ([]Body, error) {
	var k check
	id := k.ref("L", "a link", c.Link)
	if k.err != nil {
		return nil, k.err
	}
	if s.linkAt(id) >= 0 {
		return one(LinkRemoved{Link: id})
	}
	if number(id) <= s.lastLink {
		return nil, nil // removed before
	}
	return nil, refuse(CodeNoSuchLink, "There is no link %s in incident #%d. The list of links shows their numbers.", id, s.Number)
}

func (s State) linkAt(id string) int {
	return slices.IndexFunc(s.Links, func(l Link) bool { return l.ID == id })
}

// number is the 3 of "T3"; 0 when there is none.
func number(id string) int {
	if id == "" {
		return 0
	}
	n, err := strconv.ParseUint(id[1:], 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// id is "T3" of "T" and 3.
func id(prefix string, n int) string { return prefix + strconv.Itoa(n) }
