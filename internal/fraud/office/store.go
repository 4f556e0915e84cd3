package office

import "github.com/scripcards/scrip/internal/platform/storage"

const (
	decisionColumns = `book_id, decision_id, realm, kind, network, score, rules_score, model_score, shadow_score, model, challenger, rule, action,
		reasons, event, label, label_at, decided_at`
	modelColumns = `model_id, kind, name, sha256, info, state, before_id, actor, created_at, changed_at`
	ruleColumns  = `r.rule_id, r.version, r.name, r.condition, r.action, r.at_least, r.backtest, r.state, r.actor, r.created_at, r.changed_at`
)

// Models and rules.
var (
	advanceChange = storage.SQL("fraud.advance_change", `INSERT INTO fraud_state (name, position) VALUES ('change', 1)
		ON CONFLICT (name) DO UPDATE SET position = fraud_state.position + 1`)
	findChange = storage.SQL("fraud.find_change", `SELECT position FROM fraud_state WHERE name = 'change'`)

	insertModel = storage.Insert("fraud.insert_model", "fraud_models", "model_id", "kind", "name", "sha256", "info", "data", "state", "before_id", "actor",
		"created_at", "changed_at")
	listModels   = storage.SQL("fraud.list_models", `SELECT `+modelColumns+` FROM fraud_models ORDER BY model_id DESC LIMIT $1`)
	findModel    = storage.SQL("fraud.find_model", `SELECT `+modelColumns+` FROM fraud_models WHERE model_id = $1`)
	findModelSum = storage.SQL("fraud.find_model_sum", `SELECT `+modelColumns+` FROM fraud_models WHERE sha256 = $1 ORDER BY model_id LIMIT 1`)
	findInUse    = storage.SQL("fraud.find_in_use", `SELECT `+modelColumns+` FROM fraud_models WHERE state = $1 AND kind = $2 ORDER BY model_id LIMIT 1`)
	readModel    = storage.SQL("fraud.read_model", `SELECT data FROM fraud_models WHERE model_id = $1`)
	retire       = storage.SQL("fraud.retire", `UPDATE fraud_models SET state = 'kept', changed_at = $3 WHERE state = $1 AND kind = $2`)
	putInUse     = storage.SQL("fraud.put_in_use", `UPDATE fraud_models SET state = $2, before_id = $3, changed_at = $4 WHERE model_id = $1`)

	insertRule = storage.Insert("fraud.insert_rule", "fraud_rules", "rule_id", "version", "name", "condition", "action", "at_least", "backtest",
		"state", "actor", "created_at", "changed_at")
	listRules = storage.SQL("fraud.list_rules", `SELECT `+ruleColumns+` FROM fraud_rules r
		WHERE r.version = (SELECT MAX(o.version) FROM fraud_rules o WHERE o.rule_id = r.rule_id) ORDER BY r.rule_id LIMIT $1`)
	countRules = storage.SQL("fraud.count_rules", `SELECT COUNT(*) FROM fraud_rules WHERE version = 1`)
	findRule   = storage.SQL("fraud.find_rule", `SELECT `+ruleColumns+` FROM fraud_rules r WHERE r.rule_id = $1 ORDER BY r.version DESC LIMIT 1`)
	setTest    = storage.SQL("fraud.set_backtest", `UPDATE fraud_rules SET backtest = $3, changed_at = $4 WHERE rule_id = $1 AND version = $2`)
	setState   = storage.SQL("fraud.set_rule_state", `UPDATE fraud_rules SET state = $3, changed_at = $4 WHERE rule_id = $1 AND version = $2`)
)

// Decisions.
var (
	insertDecision = storage.Insert("fraud.insert_decision", "fraud_decisions", "book_id", "decision_id", "realm", "kind", "network", "score", "rules_score",
		"model_score", "shadow_score", "model", "challenger", "rule", "action", "reasons", "numbers", "event", "label", "label_at", "decided_at")
	findDecision  = storage.SQL("fraud.find_decision", `SELECT `+decisionColumns+`, numbers FROM fraud_decisions WHERE decision_id = $1`)
	listDecisions = storage.SQL("fraud.list_decisions", `SELECT `+decisionColumns+` FROM fraud_decisions
		WHERE decision_id < $1 AND decision_id >= $2 AND realm = $3 AND score >= $4 AND ($5 = '' OR book_id = $5) ORDER BY decision_id DESC LIMIT $6`)
	// endDecisions tells where a number of decisions ends, whatever they are.
	endDecisions   = storage.SQL("fraud.end_decisions", `SELECT decision_id FROM fraud_decisions WHERE decision_id < $1 ORDER BY decision_id DESC LIMIT 1 OFFSET $2`)
	labelDecision  = storage.SQL("fraud.label_decision", `UPDATE fraud_decisions SET label = $3, label_at = $4 WHERE book_id = $1 AND decision_id = $2`)
	listHistory    = storage.SQL("fraud.list_history", `SELECT `+decisionColumns+`, numbers FROM fraud_decisions WHERE decision_id < $1 ORDER BY decision_id DESC LIMIT $2`)
	purgeDecisions = storage.SQL("fraud.purge_decisions", `DELETE FROM fraud_decisions WHERE decision_id IN (
		SELECT d.decision_id FROM fraud_decisions d WHERE d.realm = $1 AND d.decided_at < $2 ORDER BY d.decided_at LIMIT $3)`)
)
