package metrics

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// Limits of what users write.
const (
	MaxRuleFiles  = 64
	MaxRuleFile   = 1 << 20 // bytes
	MaxRules      = 2000
	MinRulePeriod = 1 // seconds between two evaluations of a group
)

// ruleSet is all rule files as they were read at one moment.
type ruleSet struct {
	paths []string
	texts map[string][]byte
	sum   [32]byte

	once   sync.Once
	groups map[string]*rulefmt.RuleGroups // of parsed
}

// parsed is what parse gives, worked out once; for texts that were judged.
func (s *ruleSet) parsed() map[string]*rulefmt.RuleGroups {
	s.once.Do(func() { s.groups, _ = s.parse() })
	return s.groups
}

// CheckRules reads the files that the patterns name and judges them as the
// running program would. The error has one plain sentence a line, each with file
// and line. Patterns that name no file are in the error too, unless they have a
// star.
func CheckRules(patterns []string) error {
	set, err := readRules(patterns)
	if err != nil {
		return err
	}
	_, err = set.parse()
	return err
}

// readRules reads the files. Each pattern is as filepath.Match has it.
func readRules(patterns []string) (*ruleSet, error) {
	s := &ruleSet{texts: map[string][]byte{}}
	var problems []error
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: is no pattern of file names; a * stands for any part of a name", p))
		}
		if len(names) == 0 && !strings.ContainsAny(p, "*?[") {
			names = []string{p} // to say why it cannot be read
		}
		s.paths = append(s.paths, names...)
	}
	slices.Sort(s.paths)
	s.paths = slices.Compact(s.paths)
	if len(s.paths) > MaxRuleFiles {
		return nil, fmt.Errorf("there are %d rule files; put the rules into at most %d", len(s.paths), MaxRuleFiles)
	}
	h := sha256.New()
	for _, path := range s.paths {
		text, err := readLimited(path, MaxRuleFile)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		s.texts[path] = text
		fmt.Fprintf(h, "%q %d\n", path, len(text))
		h.Write(text)
	}
	h.Sum(s.sum[:0])
	return s, errors.Join(problems...)
}

func readLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("%s: %w; check the path and the rights of the file", path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read; name a file, not a directory", path)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s: is longer than %d bytes; split it", path, most)
	}
	return text, nil
}

// parse judges the texts: all problems at once.
func (s *ruleSet) parse() (map[string]*rulefmt.RuleGroups, error) {
	p := parser.NewParser(parser.Options{})
	all := map[string]*rulefmt.RuleGroups{}
	var problems []error
	total := 0
	for _, path := range s.paths {
		groups, errs := rulefmt.Parse(s.texts[path], false, model.LegacyValidation, p, slog.New(slog.DiscardHandler))
		said := map[string]bool{} // the file is decoded twice
		for _, err := range errs {
			if what := ruleProblem(err); !said[what] {
				said[what] = true
				problems = append(problems, fmt.Errorf("%s:%s", path, what))
			}
		}
		if groups == nil {
			continue
		}
		all[path] = groups
		for _, g := range groups.Groups {
			total += len(g.Rules)
			if g.Interval != 0 && g.Interval < model.Duration(MinRulePeriod*1e9) {
				problems = append(problems, fmt.Errorf("%s: the group %s is evaluated every %s; write at least %ds", path, g.Name, g.Interval, MinRulePeriod))
			}
			for _, r := range g.Rules {
				if r.Record != "" && (strings.HasPrefix(r.Record, Reserved) || r.Record == nameAlerts || r.Record == nameForState) {
					problems = append(problems, fmt.Errorf("%s: the group %s records %s, a name that is kept for Tocsin; choose another one", path, g.Name, r.Record))
				}
			}
		}
	}
	if total > MaxRules {
		problems = append(problems, fmt.Errorf("there are %d rules; use at most %d", total, MaxRules))
	}
	return all, errors.Join(problems...)
}

// place is where rulefmt saw a problem, and once more in the rule.
var (
	place = regexp.MustCompile(`^(\d+):\d+: (?:(\d+):\d+: )?`)
	inYML = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s+)?line (\d+): `)
)

// ruleProblem writes an error of rulefmt as "12: what is wrong".
func ruleProblem(err error) string {
	text := err.Error()
	if m := place.FindStringSubmatch(text); m != nil {
		line := m[1]
		if m[2] != "" {
			line = m[2]
		}
		return line + ": " + flat(text[len(m[0]):])
	}
	if m := inYML.FindStringSubmatch(text); m != nil {
		return m[1] + ": " + flat(text[len(m[0]):])
	}
	return " " + flat(text)
}

func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// Load implements rules.GroupLoader on what was read and judged: a file that
// changes meanwhile changes nothing.
func (s *ruleSet) Load(path string, _ bool, scheme model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return rulefmt.Parse(s.texts[path], false, scheme, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
}
