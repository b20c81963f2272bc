package comet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tocsin-ops/tocsin/internal/chain"
)

// What a Cosmos SDK application tells is asked by the paths of its own gRPC services through abci_query, in protobuf; field numbers are those
// of cosmos/slashing/v1beta1, cosmos/upgrade/v1beta1 and cosmos/staking/v1beta1 (cosmos-sdk, Apache-2.0). An application that has no such
// service (CometBFT's own kvstore answers every path with nothing) is asked again after ten minutes.

const (
	infoPages = 4 // of 500 records
	infoPage  = 500
	nameEvery = time.Hour
)

func (c *Collector) query(ctx context.Context, path string, request []byte) ([]byte, error) {
	if time.Now().Before(c.absent[path]) {
		return nil, errAbsent
	}
	var a struct {
		Response struct {
			Code  number `json:"code"`
			Value []byte `json:"value"`
		} `json:"response"`
	}
	if err := c.optional(ctx, "abci_query", &a, "abci_query", path, strings.ToUpper(hex.EncodeToString(request)), "0", false); err != nil {
		return nil, err
	}
	if a.Response.Code != 0 {
		c.absent[path] = time.Now().Add(absentFor)
		return nil, errAbsent
	}
	return a.Response.Value, nil
}

// askApp asks slashing and the upgrade plan, when the application has them.
func (c *Collector) askApp(ctx context.Context) error {
	const params = "/cosmos.slashing.v1beta1.Query/Params"
	raw, err := c.query(ctx, params, nil)
	if err != nil {
		return err
	}
	s, ok := slashing(raw)
	if !ok {
		if c.absent[params].IsZero() {
			c.log.Info("the application tells no slashing figures and no upgrade plan: they are not available")
		}
		c.absent[params] = time.Now().Add(absentFor)
		return nil
	}
	if time.Since(c.named) >= nameEvery {
		if err := c.askNames(ctx); err != nil && !errors.Is(err, errAbsent) {
			return err
		}
	}
	if err := c.askInfos(ctx, s); err != nil && !errors.Is(err, errAbsent) {
		return err
	}
	raw, err = c.query(ctx, "/cosmos.upgrade.v1beta1.Query/CurrentPlan", nil)
	if err != nil {
		return err
	}
	c.said(chain.CometSaid{Upgrade: upgrade(raw)})
	return nil
}

func (c *Collector) askInfos(ctx context.Context, s chain.CometSlashing) error {
	var rest []chain.CometSigning
	for page := range infoPages {
		raw, err := c.query(ctx, "/cosmos.slashing.v1beta1.Query/SigningInfos", pageRequest(1, page*infoPage, infoPage))
		if err != nil {
			return err
		}
		got := 0
		for _, m := range each(raw, 1) {
			got++
			i := signing(m)
			i.Jailed = c.jailed[i.Address]
			if _, in := c.set[i.Address]; in {
				s.Infos = append(s.Infos, i)
			} else {
				rest = append(rest, i)
			}
		}
		if got < infoPage {
			break
		}
	}
	s.Infos = append(s.Infos, rest...) // the active set first: the list is cut to what is looked at
	s.Infos = s.Infos[:min(len(s.Infos), 512)]
	c.said(chain.CometSaid{Slashing: &s})
	return nil
}

// askNames learns how validators call themselves and who is jailed.
func (c *Collector) askNames(ctx context.Context) error {
	names, jailed := map[string]string{}, map[string]bool{}
	for page := range infoPages {
		raw, err := c.query(ctx, "/cosmos.staking.v1beta1.Query/Validators", pageRequest(2, page*infoPage, infoPage))
		if err != nil {
			return err
		}
		got := 0
		for _, m := range each(raw, 1) {
			got++
			key := fields(fields(m.bytes(2)).bytes(2)).bytes(1) // Any{value: PubKey{key}}
			if len(key) != 32 {
				continue // not ed25519: no consensus address is known
			}
			sum := sha256.Sum256(key)
			id := strings.ToUpper(hex.EncodeToString(sum[:20]))
			names[id], jailed[id] = printable(string(fields(m.bytes(7)).bytes(1))), m.number(3) != 0
		}
		if got < infoPage {
			break
		}
	}
	c.names, c.jailed, c.named = names, jailed, time.Now()
	return nil
}

// message is a protobuf message by field number, the last value of each; repeated ones are read by each.
type message map[protowire.Number]any

func (m message) bytes(n protowire.Number) []byte { b, _ := m[n].([]byte); return b }
func (m message) number(n protowire.Number) int64 { v, _ := m[n].(uint64); return int64(v) }

func walk(b []byte, f func(protowire.Number, any)) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		var v any
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return
		}
		b = b[n:]
		f(num, v)
	}
}

func fields(b []byte) message {
	m := message{}
	walk(b, func(n protowire.Number, v any) { m[n] = v })
	return m
}

// each reads a repeated message field, at most 1000.
func each(b []byte, want protowire.Number) []message {
	var out []message
	walk(b, func(n protowire.Number, v any) {
		if raw, ok := v.([]byte); ok && n == want && len(out) < 1000 {
			out = append(out, fields(raw))
		}
	})
	return out
}

func pageRequest(field protowire.Number, offset, limit int) []byte {
	var p []byte
	p = protowire.AppendVarint(protowire.AppendTag(p, 2, protowire.VarintType), uint64(offset))
	p = protowire.AppendVarint(protowire.AppendTag(p, 3, protowire.VarintType), uint64(limit))
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), p)
}

// slashing reads QueryParamsResponse; false when there is none in it. min_signed_per_window is a decimal of 18 places.
func slashing(b []byte) (chain.CometSlashing, bool) {
	p := fields(fields(b).bytes(1))
	s := chain.CometSlashing{Window: p.number(1), MinSigned: 1}
	if v, err := strconv.ParseFloat(string(p.bytes(2)), 64); err == nil {
		s.MinSigned = v / 1e18
	}
	return s, s.Window > 0 && s.MinSigned >= 0 && s.MinSigned <= 1
}

// signing reads ValidatorSigningInfo.
func signing(m message) chain.CometSigning {
	i := chain.CometSigning{Address: consensusAddress(string(m.bytes(1))), Missed: m.number(6), Tombstoned: m.number(5) != 0}
	if until := fields(m.bytes(4)).number(1); until > 0 && until < 1<<33 {
		i.JailedUntil = until * 1000
	}
	return i
}

// upgrade reads QueryCurrentPlanResponse; an empty one is that nothing is planned.
func upgrade(b []byte) *chain.CometUpgrade {
	p := fields(fields(b).bytes(1))
	return &chain.CometUpgrade{Name: printable(string(p.bytes(1))), Height: max(p.number(3), 0)}
}

// consensusAddress turns a bech32 address (cosmosvalcons1...) into the hex form that blocks carry; "" when it is none. The checksum is not
// looked at: the node would have made it.
func consensusAddress(s string) string {
	i := strings.LastIndexByte(s, '1')
	if i < 0 || len(s)-i-1 < 6 || len(s) > 120 {
		return ""
	}
	var out []byte
	acc, bits := 0, 0
	for _, r := range s[i+1 : len(s)-6] {
		v := strings.IndexRune("qpzry9x8gf2tvdw0s3jn54khce6mua7l", r)
		if v < 0 {
			return ""
		}
		acc, bits = (acc<<5|v)&0xfff, bits+5
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
		}
	}
	return strings.ToUpper(hex.EncodeToString(out))
}
