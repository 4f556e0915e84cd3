package fraud

// signals are the rules. docs/fraud-signals.md explains them, and a test holds it to
// this table.
var signals = [...]signal{
	{name: "velocity_anomaly", rules: []rule{
		{of: caller, count: asked, window: minute, threshold: 300, full: 3000, low: 2, high: 8},
		{of: caller, count: asked, window: hour, threshold: 5000, full: 50_000, low: 2, high: 8},
		{of: address, count: asked, window: minute, threshold: 60, full: 600, low: 3, high: 12},
		{of: address, count: asked, window: hour, threshold: 1200, full: 12_000, low: 3, high: 12},
		{of: net, count: asked, window: hour, threshold: 2400, full: 24_000, low: 3, high: 12},
		{of: address, from: pages, count: asked, window: minute, threshold: 10, full: 60, low: 8, high: 29},
		{of: address, from: pages, count: asked, window: hour, threshold: 30, full: 300, low: 8, high: 29},
	}},
	{name: "card_spread_anomaly", rules: []rule{
		{of: caller, count: cards, window: hour, threshold: 2500, full: 25_000, low: 2, high: 8},
		{of: address, count: cards, window: hour, threshold: 600, full: 6000, low: 2, high: 10},
		{of: net, count: cards, window: hour, threshold: 1200, full: 12_000, low: 2, high: 10},
		{of: address, from: pages, count: cards, window: hour, threshold: 8, full: 40, low: 6, high: 20},
		{of: address, from: pages, count: cards, window: day, threshold: 20, full: 100, low: 6, high: 20},
	}},
	{name: "hit_rate_anomaly", rules: []rule{
		{of: caller, from: keys, count: missed, among: found, least: 8, window: hour, threshold: 70, full: 100, low: 10, high: 50},
		{of: caller, from: keys, count: missed, among: found, least: 20, window: hour, threshold: 50, full: 90, low: 20, high: 80},
		{of: caller, from: keys, count: missed, among: found, least: 20, window: day, threshold: 60, full: 90, low: 20, high: 80},
		{of: caller, from: pages, count: missed, among: found, least: 50, window: hour, threshold: 50, full: 90, low: 5, high: 15},
		{of: address, count: missed, among: found, least: 8, window: hour, threshold: 70, full: 100, low: 10, high: 50},
		{of: address, count: missed, among: found, least: 20, window: hour, threshold: 50, full: 90, low: 20, high: 80},
		{of: address, count: missed, among: found, least: 20, window: day, threshold: 60, full: 90, low: 20, high: 80},
		{of: net, count: missed, among: found, least: 30, window: day, threshold: 60, full: 90, low: 20, high: 80},
	}},
	{name: "sequential_pan_pattern", rules: []rule{
		{of: caller, from: keys, count: runs, window: hour, threshold: 10, full: 100, low: 4, high: 15},
		{of: caller, from: keys, count: empties, among: strays, least: 4, window: hour, threshold: 50, full: 100, low: 15, high: 35},
		{of: caller, from: keys, count: empties, among: strays, least: 8, window: hour, threshold: 40, full: 80, low: 20, high: 45},
		{of: caller, from: keys, count: empties, among: strays, least: 8, window: day, threshold: 40, full: 80, low: 20, high: 45},
		{of: address, count: runs, window: hour, threshold: 10, full: 100, low: 4, high: 15},
		{of: address, count: empties, among: strays, least: 4, window: hour, threshold: 50, full: 100, low: 15, high: 35},
		{of: address, count: empties, among: strays, least: 8, window: hour, threshold: 40, full: 80, low: 20, high: 45},
		{of: address, count: empties, among: strays, least: 8, window: day, threshold: 40, full: 80, low: 20, high: 45},
		{of: net, count: empties, among: strays, least: 8, window: day, threshold: 40, full: 80, low: 20, high: 45},
	}},
	{name: "proxy_ip_detected", rules: []rule{
		{of: address, count: listed, window: always, threshold: 1, full: 1, low: 15, high: 15},
	}},
	{name: "fraud_label_detected", rules: []rule{
		{of: caller, from: keys, count: labels, window: week, threshold: 2, full: 4, low: 15, high: 45},
		{of: address, count: labels, window: week, threshold: 1, full: 3, low: 30, high: 60},
		{of: net, count: labels, window: week, threshold: 2, full: 4, low: 15, high: 40},
	}},
	{name: "pan_range_pattern", telling: true, rules: []rule{
		{of: block, unproven: true, count: missed, window: day, threshold: 6, full: 30, low: 15, high: 50},
		{of: block, unproven: true, count: missed, among: found, least: 15, window: day, threshold: 80, full: 95, low: 30, high: 80},
	}},
	{name: "pin_guessing_pattern", telling: true, rules: []rule{
		{of: card, count: wrong, window: hour, threshold: 4, full: 8, low: 12, high: 60},
		{of: card, count: wrong, window: day, threshold: 6, full: 15, low: 25, high: 70},
		{of: caller, from: keys, count: wrong, among: found, least: 6, window: hour, threshold: 50, full: 90, low: 15, high: 45},
		{of: caller, from: keys, count: wrong, among: found, least: 20, window: day, threshold: 40, full: 90, low: 20, high: 60},
		{of: address, count: wrong, among: found, least: 6, window: hour, threshold: 50, full: 90, low: 15, high: 45},
		{of: address, count: wrong, among: found, least: 20, window: day, threshold: 40, full: 90, low: 20, high: 60},
	}},
	{name: "card_velocity_anomaly", telling: true, rules: []rule{
		{of: card, count: asked, window: hour, threshold: 8, full: 30, low: 4, high: 29},
		{of: card, count: asked, window: day, threshold: 20, full: 100, low: 4, high: 29},
	}},
	{name: "new_ip_detected", telling: true, rules: []rule{
		{of: card, count: nets, window: month, threshold: 1, full: 4, low: 4, high: 10},
	}},
	{name: "dormant_card_detected", telling: true, rules: []rule{
		{of: card, count: idle, window: day, threshold: 90, full: 365, low: 4, high: 8},
	}},
	{name: "labelled_card_detected", telling: true, rules: []rule{
		{of: card, count: labels, window: week, threshold: 1, full: 1, low: 30, high: 30},
	}},
}
