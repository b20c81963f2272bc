package crowd

import (
	"encoding/json"
	"fmt"
)

// Bitcoin reads the answer of getpeerinfo. Bitcoin Core tells the network, the kind of connection and, with an AS map, the autonomous system;
// btcd tells the address and the direction only. Connections that last seconds by design (feelers, and those that ask for addresses) are left
// out; those that the operator named (manual) are one's own.
func Bitcoin(raw json.RawMessage) ([]Peer, error) {
	var list []struct {
		Address string `json:"addr"`
		Network string `json:"network"` // ipv4, ipv6, onion, i2p, cjdns, not_publicly_routable
		AS      int64  `json:"mapped_as"`
		Inbound *bool  `json:"inbound"`
		Type    string `json:"connection_type"` // outbound-full-relay, block-relay-only, inbound, manual, addr-fetch, feeler
		Added   bool   `json:"addnode"`         // before Bitcoin Core 22
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read the peers: %w", err)
	}
	out := make([]Peer, 0, len(list))
	for _, p := range list {
		if p.Type == "feeler" || p.Type == "addr-fetch" {
			continue
		}
		x := Peer{Address: p.Address, AS: p.AS, Way: way(p.Inbound)}
		switch p.Network {
		case "onion", "i2p", "cjdns":
			x.Hidden = true // an incoming one has the address of the proxy on this host
		case "not_publicly_routable":
			x.Own = true
		}
		x.Own = x.Own || p.Type == "manual" || p.Added && p.Type == ""
		out = append(out, x)
	}
	return out, nil
}

// EVM reads the answer of admin_peers: of geth, and of clients that answer as it does. Static and trusted peers are one's own.
func EVM(raw json.RawMessage) ([]Peer, error) {
	var list []struct {
		ID      string `json:"id"`
		Enode   string `json:"enode"`
		Network struct {
			Remote  string `json:"remoteAddress"`
			Inbound *bool  `json:"inbound"`
			Trusted bool   `json:"trusted"`
			Static  bool   `json:"static"`
		} `json:"network"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read the peers: %w", err)
	}
	out := make([]Peer, 0, len(list))
	for _, p := range list {
		x := Peer{ID: p.ID, Address: p.Network.Remote, Way: way(p.Network.Inbound), Own: p.Network.Static || p.Network.Trusted}
		if x.ID == "" {
			x.ID = p.Enode
		}
		out = append(out, x)
	}
	return out, nil
}

// Comet reads the list of peers in the answer of net_info.
func Comet(raw json.RawMessage) ([]Peer, error) {
	var list []struct {
		Info struct {
			ID string `json:"id"`
		} `json:"node_info"`
		Outbound *bool  `json:"is_outbound"`
		Remote   string `json:"remote_ip"`
	}
	if len(raw) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read the peers: %w", err)
	}
	out := make([]Peer, 0, len(list))
	for _, p := range list {
		x := Peer{ID: p.Info.ID, Address: p.Remote}
		if p.Outbound != nil {
			if x.Way = In; *p.Outbound {
				x.Way = Out
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// Beacon reads the data of /eth/v1/node/peers. Peers that are not connected are left out.
func Beacon(raw json.RawMessage) ([]Peer, error) {
	var list []struct {
		ID        string `json:"peer_id"`
		Address   string `json:"last_seen_p2p_address"`
		State     string `json:"state"`
		Direction string `json:"direction"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read the peers: %w", err)
	}
	out := make([]Peer, 0, len(list))
	for _, p := range list {
		if p.State != "connected" {
			continue
		}
		x := Peer{ID: p.ID, Address: p.Address}
		switch p.Direction {
		case "inbound":
			x.Way = In
		case "outbound":
			x.Way = Out
		}
		out = append(out, x)
	}
	return out, nil
}

func way(inbound *bool) Way {
	switch {
	case inbound == nil:
		return Untold
	case *inbound:
		return In
	}
	return Out
}
