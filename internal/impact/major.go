package impact

import (
	"fmt"
	"strings"
)

// Thresholds of Delegated Regulation (EU) 2024/1772 (OJ L, 25.6.2024), Article 9. Clients, counterparts and transactions are one criterion, met by
// any of them: Article 9(1). All limits are exceeded, not reached, except that of the member states.
const (
	doraClientsShare = 10
	doraClients      = 100_000
	doraCounterparts = 30
	doraTransactions = 10
	doraDuration     = 24 * 60 // minutes
	doraDowntime     = 120     // minutes
	doraStates       = 2
	doraEUR          = 100_000
	doraRecurring    = 2 // with the one at hand, within six months: Article 8(2)
)

// major judges by Articles 8 and 9: critical services are hit, and either a malicious access that may lose data, or two of the six criteria.
func (k known) major(loss Loss) *Major {
	if !k.m.DORA && k.m.Preset != DORA {
		return nil
	}
	c := []Criterion{k.doraServices(), k.doraAccess(), k.doraClients(), k.doraReputation(), k.doraDuration(), k.doraStates(), k.doraData(), k.doraEconomy(loss)}
	met, open := 0, 0
	var because []string
	for _, x := range c[2:] {
		switch x.Met {
		case Yes:
			met++
			because = append(because, lower(x.Sentence))
		case Unknown:
			open++
		}
	}
	services, access := c[0], c[1]
	second := func() string {
		switch {
		case access.Met == Yes || met >= 2:
			return Yes
		case access.Met == Unknown || met+open >= 2:
			return Unknown
		}
		return No
	}()
	if access.Met == Yes {
		because = append([]string{lower(access.Sentence)}, because...)
	}
	m := &Major{Criteria: c}
	switch {
	case services.Met == No:
		m.Answer, m.Sentence = No, "Major: no, because no critical service is hit (Article 8)."
	case second == No:
		m.Answer, m.Sentence = No, fmt.Sprintf("Major: no, because %d of the six criteria is met and two are needed (Article 8).", met)
	case services.Met == Yes && second == Yes:
		m.Answer, m.Sentence = Yes, "Major: yes, because "+strings.Join(append([]string{lower(services.Sentence)}, because...), "; ")+"."
	default:
		var missing []string
		if services.Met == Unknown {
			missing = append(missing, "which critical services are hit")
		}
		if second == Unknown {
			for _, x := range c[1:] {
				if x.Met == Unknown {
					missing = append(missing, x.Name)
				}
			}
		}
		m.Answer, m.Sentence = Unknown, fmt.Sprintf("Major: not yet known, because %d of the six criteria %s met and it is not known: %s.", met, map[bool]string{true: "is", false: "are"}[met == 1], strings.Join(missing, ", "))
	}
	if f, _, ok := k.number(FactSameCause); ok && m.Answer == No && f+1 >= doraRecurring {
		m.Answer, m.Sentence = Unknown, fmt.Sprintf("Major: not yet known, because %s had the same cause within six months; together they may be one major incident (Article 8(2)).", strings.ToLower(incidents(f)))
	}
	m.Sentence = shorten(m.Sentence, 2*MaxSentence)
	return m
}

func lower(s string) string {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func criterion(name, article, met, format string, args ...any) Criterion {
	return Criterion{Name: name, Article: article, Met: met, Sentence: shorten(fmt.Sprintf(format, args...), MaxSentence)}
}

func (k known) doraServices() Criterion {
	const name, article = "critical services", "6, 8(1)"
	if l, _, ok := k.list(FactCriticalService); ok && len(l) > 0 {
		return criterion(name, article, Yes, "Critical services are hit: %s.", strings.Join(l, ", "))
	}
	for _, x := range k.hit() {
		if s, ok := k.m.service(x.name); ok && s.Criticality == Critical {
			return criterion(name, article, Yes, "%s is hit, which the configuration calls critical.", s.Name)
		}
	}
	if _, _, ok := k.list(FactCriticalService); ok {
		return criterion(name, article, No, "No critical service is hit.")
	}
	for _, x := range k.sigs { // that it works again does not undo that it was hit
		for _, n := range []string{x.Component, x.Chain} {
			if s, ok := k.m.service(n); ok && s.Criticality == Critical && rank(x.Severity) < 5 {
				return criterion(name, article, Yes, "%s was hit, which the configuration calls critical.", s.Name)
			}
		}
	}
	return criterion(name, article, Unknown, "Nobody said whether a critical service is hit.")
}

func (k known) doraAccess() Criterion {
	const name, article = "malicious access", "9(5)(b)"
	access, _, ok := k.choice(FactMaliciousAccess)
	data, _, _ := k.choice(FactDataLoss)
	switch {
	case !ok:
		return criterion(name, article, Unknown, "Nobody said whether somebody got in.")
	case access == "no":
		return criterion(name, article, No, "Nobody got in.")
	case access == "suspected":
		return criterion(name, article, Unknown, "A malicious access is suspected.")
	case data == "no":
		return criterion(name, article, No, "Somebody got in, and no data can have been lost.")
	}
	return criterion(name, article, Yes, "Somebody got in who must not, and data may be lost.")
}

func (k known) doraClients() Criterion {
	const name, article = "clients, counterparts and transactions", "9(1)"
	asked := 0
	for _, x := range []struct {
		fact string
		over float64
		say  string
	}{
		{FactUsersShare, doraClientsShare, "%s of the clients are affected, more than %s"}, {FactCounterparts, doraCounterparts, "%s of the counterparts are affected, more than %s"},
		{FactTransactions, doraTransactions, "%s of the transactions are affected, more than %s"},
	} {
		if v, _, ok := k.number(x.fact); ok {
			asked++
			if v > x.over {
				return criterion(name, article, Yes, x.say+".", percent(v), percent(x.over))
			}
		}
	}
	if v, _, ok := k.number(FactUsersAffected); ok {
		if v > doraClients {
			return criterion(name, article, Yes, "%s clients are affected, more than 100,000.", Count(v))
		}
		if k.m.UsersTotal > 0 {
			if p := 100 * v / k.m.UsersTotal; p > doraClientsShare {
				return criterion(name, article, Yes, "%s of the clients are affected, more than 10 %%.", percent(min(p, 100)))
			}
			if _, _, ok := k.number(FactUsersShare); !ok {
				asked++
			}
		}
	}
	if asked == 3 {
		return criterion(name, article, No, "Clients, counterparts and transactions stay below the thresholds.")
	}
	return criterion(name, article, Unknown, "Not all shares of clients, counterparts and transactions are known.")
}

func (k known) doraReputation() Criterion {
	const name, article = "reputation", "9(2)"
	press, _, ok := k.choice(FactPress)
	mood, _, felt := k.choice(FactSentiment)
	switch {
	case press == "trade" || press == "national":
		return criterion(name, article, Yes, "The press writes about it.")
	case press == "none" && (!felt || mood == "calm"):
		return criterion(name, article, No, "Nobody writes about it.")
	case ok || felt:
		return criterion(name, article, Unknown, "People talk about it; whether the media do, or complaints repeat, must be judged.")
	}
	return criterion(name, article, Unknown, "Nobody said whether the press writes about it.")
}

func (k known) doraDuration() Criterion {
	const name, article = "duration and downtime", "9(3)"
	lasts := elapsed(k.Began, k.At)
	down, _, ok := k.number(FactDowntime)
	switch {
	case k.Began > 0 && lasts > doraDuration:
		return criterion(name, article, Yes, "It has lasted for %s, more than 24 h.", minutes(lasts))
	case ok && down > doraDowntime:
		return criterion(name, article, Yes, "A critical service was down for %s, more than 2 h.", minutes(down))
	case ok && k.Began > 0:
		return criterion(name, article, No, "It has lasted for %s, with %s of downtime, until now.", minutes(lasts), minutes(down))
	}
	return criterion(name, article, Unknown, "Nobody said for how long a critical service was down.")
}

func (k known) doraStates() Criterion {
	const name, article = "member states", "9(4)"
	l, _, ok := k.list(FactMemberStates)
	switch {
	case !ok:
		return criterion(name, article, Unknown, "Nobody said which member states are affected.")
	case len(l) >= doraStates:
		return criterion(name, article, Yes, "%d member states are affected.", len(l))
	}
	return criterion(name, article, No, "Fewer than two member states are affected.")
}

func (k known) doraData() Criterion {
	const name, article = "data losses", "9(5)(a)"
	switch v, _, _ := k.choice(FactDataLoss); v {
	case "yes":
		return criterion(name, article, Yes, "Data was lost, changed or seen.")
	case "no":
		return criterion(name, article, No, "No data was lost.")
	}
	return criterion(name, article, Unknown, "It is not certain whether data was lost.")
}

func (k known) doraEconomy(loss Loss) Criterion {
	const name, article = "economic impact", "9(6)"
	moved, _, ok := k.number(FactMoneyMoved) // gross: what came back does not count
	eur := (moved + loss.Sum) / k.m.eurUSD()
	rate := ""
	if k.m.EURUSD == 0 {
		rate = " (a euro is assumed to be a dollar)"
	}
	switch {
	case eur > doraEUR:
		return criterion(name, article, Yes, "Costs and losses are EUR %s, more than 100,000%s.", Count(eur), rate)
	case ok && loss.Known:
		return criterion(name, article, No, "Costs and losses are EUR %s until now%s.", Count(eur), rate)
	}
	return criterion(name, article, Unknown, "Not all costs and losses are known.")
}
