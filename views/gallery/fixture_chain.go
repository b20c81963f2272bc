package main

import (
	"fmt"
	"math"

	"github.com/tocsin-ops/tocsin/views"
)

var names = []string{"Ethereum", "Bitcoin", "Polygon PoS", "Arbitrum One", "BNB Smart Chain", "Ethereum Classic", "Moonbeam", "Evmos", "Avalanche C-Chain", "Optimism", "Base", "Gnosis", "Fantom", "Celo", "Linea", "Scroll", "zkSync Era", "Polygon zkEVM", "Litecoin", "Dogecoin", "Bitcoin Cash", "Zcash", "Dash", "Vertcoin", "Bitcoin Gold", "Ronin", "Kava", "Cronos", "Harmony", "Aurora", "Metis", "Boba", "Mantle", "Blast", "Mode", "Manta Pacific", "opBNB", "Taiko", "Sepolia testnet", "Holesky testnet"}

func slug(name string) string {
	out := []rune{}
	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z':
			out = append(out, r+32)
		case r == ' ':
			out = append(out, '-')
		default:
			out = append(out, r)
		}
	}
	return string(out)
}

func spark(seed int, jump bool) []float64 {
	var v []float64
	for i := range 48 {
		x := float64(i + seed*7)
		y := 12 + 3*math.Sin(x*1.9) + 2*math.Cos(x*0.7)
		if jump && i > 36 {
			y += float64(i-36) * 9
		}
		v = append(v, y)
	}
	return v
}

func chains(n int, trouble bool) views.Chains {
	var out []views.Chain
	for i, name := range names[:n] {
		family, head, interval := "evm", int64(15259101+i*734_113), int64(12_000)
		if name == "Bitcoin" {
			family, head, interval = "bitcoin", 747_612, 600_000
		}
		c := views.Chain{
			ID: slug(name), Name: name, Family: family, State: "normal", Head: head,
			HeadHash: fmt.Sprintf("0x%064x", head*7919), HeadAt: now - interval/3 - int64(i%4)*1100, HeadNode: "eu-1", StaleMs: interval * 8,
			Spark: spark(i, false), SparkOf: "block interval, last 48 blocks",
			Metrics: []views.Metric{
				{Label: "interval", Value: "12.1", Unit: "s", At: now - 4000},
				{Label: "base fee", Value: "23.4", Unit: "gwei", At: now - 4000, Node: "eu-1"},
				{Label: "pending", Value: "151 204", At: now - 9000, Node: "eu-1"},
				{Label: "finalized lag", Value: "64", Unit: "blocks", At: now - 4000},
			},
			Nodes: []views.Node{
				{Name: "eu-1", State: "up", Head: head, SeenAt: now - 2000, StaleMs: 30_000, Peers: 48, Client: "geth 1.17.8", Networks: "41 peer networks"},
				{Name: "us-2", State: "up", Head: head, SeenAt: now - 3000, StaleMs: 30_000, Peers: 31, Client: "nethermind 1.36"},
			},
		}
		if family == "bitcoin" {
			c.Metrics = []views.Metric{{Label: "interval", Value: "9.6", Unit: "min", At: now - 60_000}, {Label: "mempool", Value: "41.2", Unit: "MB", At: now - 9000, Node: "eu-1"}, {Label: "fee, next block", Value: "14", Unit: "sat/vB", At: now - 9000}, {Label: "hash rate", Value: "198", Unit: "EH/s", At: now - 60_000}}
			c.Nodes[0].Client, c.Nodes[1].Client = "Bitcoin Core 30.0", "btcd 0.26.2"
		}
		if trouble {
			switch name {
			case "Polygon PoS":
				c.State, c.Severity, c.Word = "abnormal", "SEV2", "reorg"
				c.Says = "157 blocks were replaced below 39 599 624; both nodes agree on the new branch. Ordinary here: up to 32."
				c.Spark, c.SparkOf, c.Incident = spark(i, true), "reorg depth, last 48 blocks", 41
				c.Metrics[3] = views.Metric{Label: "reorg depth", Value: "157", Unit: "blocks", At: now - 40_000, Abnormal: true}
			case "Arbitrum One":
				c.State, c.Severity, c.Word = "abnormal", "SEV3", "node behind"
				c.Says = "us-2 is 214 blocks behind eu-1 and falling further back."
				c.Nodes[1].State, c.Nodes[1].Lag, c.Nodes[1].Head = "behind", 214, head-214
			case "Evmos", "Kava":
				c.State, c.HeadAt = "unknown", now-1_900_000
				c.Nodes[0].State, c.Nodes[0].Says, c.Nodes[0].SeenAt = "down", "connection refused", now-1_880_000
				c.Nodes[1].State, c.Nodes[1].Says, c.Nodes[1].SeenAt = "down", "no answer in 10 s", now-1_870_000
			}
		}
		out = append(out, c)
	}
	return views.Chains{Chains: out}
}

func chainsPage(some bool) views.ChainsPage {
	p := views.ChainsPage{Base: base("Chains", "chains", "chains")}
	if some {
		p.Chains = chains(6, true)
		c := &p.Chains.Chains[0]
		c.Voices = fmt.Sprintf("%d nodes, 1 operator: nothing can be confirmed.", len(c.Nodes))
		for i := range c.Nodes {
			c.Nodes[i].Operator = "alchemy.com"
		}
		p.Operators = []views.Operators{{ID: c.ID, Name: c.Name, Nodes: []views.Operator{{Node: "eth-mainnet.g.alchemy.com", Is: "alchemy.com"}, {Node: "10.0.4.7:8546", Said: "Own, Frankfurt", Is: "Own, Frankfurt"}}}}
		p.Form = views.ChainForm{URLs: []string{"ws://10.0.4.7:8546"}, Result: &views.ChainTest{OK: true, Chain: "Ethereum mainnet", ChainID: "1", Family: "evm", Client: "geth 1.17.8", Head: 15259101, HeadAt: now, Says: "This is Ethereum mainnet. The node is in sync and offers newHeads over its websocket."}}
	} else {
		p.Form = views.ChainForm{URLs: []string{"http://10.0.4.7:9000"}, Problem: "Nothing was saved: the address answers, but not as a node.", Result: &views.ChainTest{Says: "The address answers with a web page (HTTP 200, text/html), not with JSON-RPC. Give the RPC port of the node, often 8545 or 8546."}}
	}
	return p
}
