package watch

import "github.com/tocsin-ops/tocsin/internal/chain"

// AllSeries is the one table of every sample name the watchers produce. Values of address, asset, view and feed are the names of the settings.
var AllSeries = []chain.Series{
	{Name: "tocsin_watch_height", Unit: "blocks", Labels: "chain,node", Help: "newest block whose events were read"},
	{Name: "tocsin_watch_state_height", Unit: "blocks", Labels: "chain,node", Help: "block at which balances, views and feeds were read"},
	{Name: "tocsin_watch_balance", Unit: "units of the asset", Labels: "chain,node,address,asset", Help: "what a watched address holds"},
	{Name: "tocsin_watch_balance_since_start", Unit: "units of the asset", Labels: "chain,node,address,asset", Help: "Bitcoin without a scan: what came since the watch began and was not spent"},
	{Name: "tocsin_watch_view", Unit: "as the contract", Labels: "chain,node,view", Help: "what a view function answers"},
	{Name: "tocsin_feed_answer", Unit: "as the feed", Labels: "chain,node,feed", Help: "newest answer of an oracle feed, at each round"},
	{Name: "tocsin_feed_age_seconds", Unit: "seconds", Labels: "chain,node,feed", Help: "time since the feed's newest answer"},
	{Name: "tocsin_watch_pool_transactions", Unit: "transactions", Labels: "chain,node,address", Help: "waiting transactions of a watched sender (Bitcoin: of all watched addresses, without address)"},
	{Name: "tocsin_watch_pool_unread", Unit: "transactions", Labels: "chain,node", Help: "Bitcoin: waiting transactions not looked at yet"},
	{Name: "tocsin_watch_blocks_waiting", Unit: "blocks", Labels: "chain,node", Help: "blocks whose events could not be had or trusted yet"},
	{Name: "tocsin_watch_blocks_lost", Unit: "blocks", Labels: "chain,node", Help: "blocks given up since the start"},
	{Name: "tocsin_watch_owners_unknown", Unit: "inputs", Labels: "chain,node", Help: "Bitcoin: inputs of transactions told of whose owner the node did not show, since the start"},
	{Name: "tocsin_watch_followed", Unit: "addresses", Labels: "chain,node", Help: "addresses of open incidents whose transfers are followed; on Bitcoin those of which it is known what they held before"},
	{Name: "tocsin_watch_answers_untrusted", Unit: "answers", Labels: "chain,node", Help: "answers that were not believed since the start"},
}
