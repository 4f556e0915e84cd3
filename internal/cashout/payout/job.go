package payout

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// The kinds of jobs.
const (
	jobPay   = "cashout.pay"
	jobBatch = "cashout.batch"
)

// How often there is work besides the jobs.
const (
	balanceEvery   = time.Minute
	reconcileEvery = 10 * time.Minute
	// The longest that a handler may take: a node looks for a way meanwhile.
	handlerTime = 5 * time.Minute
	// retry is the pause after a node did not answer.
	retry = 15 * time.Second
)

// register names the service's work to the queue.
func (s *Service) register() {
	s.Queue.Handle(jobPay, job.Options{Timeout: handlerTime, MaxAttempts: maxAttempts}, func(ctx context.Context, j job.Job) error {
		p, err := s.Find(ctx, ledger.BookID(j.Book), ID(j.Payload))
		if err != nil {
			return err
		}
		again, err := s.Pay(ctx, p)
		return s.later(again, err)
	})
	s.Queue.Handle(jobBatch, job.Options{Timeout: handlerTime, MaxAttempts: maxAttempts, Concurrency: len(realm.All())}, func(ctx context.Context, j job.Job) error {
		err := s.Batch(ctx, j.Realm)
		if err != nil {
			return s.later(0, err)
		}
		again, err := s.gathering(ctx, j.Realm)
		return s.later(again, err)
	})
	s.Queue.Every("cashout.watch_payouts", s.Policy.Chain.Watch, s.each(s.Watch, s.batchWhatIsPayable, s.Revive))
	s.Queue.Every("cashout.check_balances", balanceEvery, s.each(s.CheckBalances))
	s.Queue.Every("cashout.reconcile", reconcileEvery, s.each(s.ReconcileDue))
}

// batchWhatIsPayable is Batch for which a wallet that waits for a block, or for money, is no
// failure: CheckBalances tells the operator of the latter, and tellLeft of who waits for long.
func (s *Service) batchWhatIsPayable(ctx context.Context, r realm.Realm) error {
	err := s.Batch(ctx, r)
	if fault.CodeOf(err) == fault.InsufficientFunds {
		return nil
	}
	return err
}

// maxAttempts are how often a job may fail for reasons of our own. A node that is away
// is no failure of the job's.
const maxAttempts = 100

// later is how a job goes on: after a time, or after the pause that a node gets.
func (s *Service) later(again time.Duration, err error) error {
	switch code := fault.CodeOf(err); {
	case err == nil && again > 0:
		return job.Postpone(again)
	case code == fault.Unavailable, code == fault.Timeout, code == fault.InsufficientFunds:
		return job.Postpone(retry)
	}
	return err
}

// each does some work for all realms that have nodes, and returns the errors of all.
func (s *Service) each(work ...func(context.Context, realm.Realm) error) func(context.Context) error {
	return func(ctx context.Context) error {
		var failed error
		for _, r := range realm.All() {
			if _, ok := s.Nodes[r]; !ok {
				continue
			}
			for _, do := range work {
				failed = errors.Join(failed, do(ctx, r))
			}
		}
		return failed
	}
}

// Revive asks again for every payout over Lightning that is not over to be gone on with: a
// job that was lost, or is among the dead letters, keeps nobody from being paid.
func (s *Service) Revive(ctx context.Context, r realm.Realm) error {
	for _, state := range []State{Held, Sending} {
		for after := ""; ; {
			some, err := storage.All(ctx, s.DB, scanPayout, listOpen, string(r), string(state), after, maxBatches)
			if err != nil {
				return err
			}
			if len(some) == 0 {
				break
			}
			now := s.Clocks.Now(r)
			var effects []storage.Effect
			for _, p := range some {
				after = string(p.ID)
				if now.Sub(p.ChangedAt) > s.Policy.Lightning.Doubt {
					effects = append(effects, p.job(now.Add(s.Policy.Lightning.Poll)))
				}
			}
			if len(effects) > 0 {
				if err := s.apply(ctx, effects...); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Stop keeps new payments from leaving in a realm. What is on its way goes on.
func (s *Service) Stop(ctx context.Context, actor string, r realm.Realm) error {
	return s.turn(ctx, actor, r, true)
}

// Resume lets payments leave again.
func (s *Service) Resume(ctx context.Context, actor string, r realm.Realm) error {
	err := s.turn(ctx, actor, r, false)
	s.Wake()
	return err
}

func (s *Service) turn(ctx context.Context, actor string, r realm.Realm, stopped bool) error {
	w := Switch{Realm: r, Stopped: stopped, Actor: actor, At: s.Clocks.Now(r)}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return w.Turn(ctx, tx, s.Audit) })
}

// Switch says whether payments may leave in a realm.
type Switch struct {
	Realm   realm.Realm
	Stopped bool
	Actor   string
	At      time.Time
}

// Turn is Stop or Resume as a part of a transaction.
func (w *Switch) Turn(ctx context.Context, tx *storage.Tx, log *audit.Log) error {
	action, flag := auditResume, int64(0)
	if w.Stopped {
		action, flag = auditStop, 1
	}
	if err := tx.ExecRows(ctx, upsertSwitch, [][]any{{string(w.Realm), flag, w.Actor, storage.Micros(w.At)}}); err != nil {
		return err
	}
	return log.Append(ctx, tx, audit.Record{Actor: w.Actor, Action: action, Subject: string(w.Realm), At: w.At})
}

// Stopped reports whether an operator has stopped the payouts of a realm.
func (s *Service) Stopped(ctx context.Context, r realm.Realm) (bool, error) {
	n, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], findSwitch, string(r))
	return n == 1, err
}

// The actions of the audit log.
const (
	auditStop    = "payout.stop"
	auditResume  = "payout.resume"
	auditLow     = "payout.balance_low"
	auditEnough  = "payout.balance_enough"
	auditDiffers = "payout.differs"
	auditCancel  = "payout.cancel"
	auditAdopt   = "payout.adopt"
	auditLeft    = "payout.holds_back"
)

// CheckBalances tells the operator, once each, of a node of a realm that has less than the
// policy wants, or less than what waits to be paid, on-chain with the fee of a transaction: in
// the audit log and in the program's, as payout.balance_low, and payout.balance_enough when it
// has again. It returns unavailable when a node does not answer.
func (s *Service) CheckBalances(ctx context.Context, r realm.Realm) error {
	held, _, err := storage.One(ctx, s.DB, func(row storage.Row) (n [2]int64, err error) {
		err = row.Scan(&n[0], &n[1])
		return n, err
	}, sumHeld, string(r))
	if err != nil {
		return err
	}
	nodes := s.Nodes[r]
	if nodes.Wallet != nil {
		err = s.checkWallet(ctx, r, held[0])
	}
	if nodes.Lightning != nil {
		lightning, second := nodes.Lightning.Balance(ctx)
		if second == nil {
			second = s.tell(ctx, level{r, "lightning", lightning, max(s.Policy.Lightning.Low.Minor, held[1])})
		}
		err = errors.Join(err, second)
	}
	return err
}

// checkWallet is CheckBalances for the chain, where so many satoshis wait to be paid.
func (s *Service) checkWallet(ctx context.Context, r realm.Realm, held int64) error {
	chain, _, err := s.Nodes[r].Wallet.Balance(ctx)
	if err != nil {
		return err
	}
	if held > 0 {
		rate, err := s.rate(ctx, r)
		if err != nil {
			return err
		}
		held += plainSize * rate / 1000
	}
	return s.tell(ctx, level{r, "chain", chain, max(s.Policy.Chain.Low.Minor, held)})
}

// plainSize is that of a transaction with one coin, one payment and change, in virtual bytes.
const plainSize = 150

// tellLeft tells the operator, once, of a payout that has waited for so long for a wallet that
// cannot pay it that nothing younger is paid before it.
func (s *Service) tellLeft(ctx context.Context, p Payout) error {
	now, told := s.Clocks.Now(p.Realm), false
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, addLevel, string(p.Realm), string(p.ID), storage.Micros(now))
		if told = n == 1; err != nil || !told {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: "system", Action: auditLeft, Subject: string(p.ID), At: now,
			Detail: map[string]string{"realm": string(p.Realm), "satoshi": strconv.FormatInt(p.Amount.Minor, 10)}})
	})
	if err == nil && told {
		s.Logger.ErrorContext(ctx, "a payout has waited for too long for bitcoin, and younger ones wait behind it: fund the node",
			"realm", string(p.Realm), "payout", string(p.ID), "satoshi", p.Amount.Minor)
	}
	return err
}

// The levels of a balance.
const (
	levelLow    = "low"
	levelEnough = "enough"
)

// level is what a node has, and what it should have at the least, in satoshis.
type level struct {
	realm      realm.Realm
	subject    string
	has, least int64
}

// tell tells of a balance that is low, or is not any more, once.
func (s *Service) tell(ctx context.Context, l level) error {
	now, is, action := s.Clocks.Now(l.realm), levelEnough, auditEnough
	if l.has < l.least {
		is, action = levelLow, auditLow
	}
	told := false
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, addLevel, string(l.realm), l.subject, storage.Micros(now)); err != nil {
			return err
		}
		before, _, err := storage.One(ctx, tx, storage.Scalar[string], lockLevel, string(l.realm), l.subject)
		if told = before != is; err != nil {
			return err
		}
		if !told {
			_, err = tx.Exec(ctx, saveBalance, string(l.realm), l.subject, l.has, storage.Micros(now))
			return err
		}
		if _, err := tx.Exec(ctx, saveLevel, string(l.realm), l.subject, is, l.has, storage.Micros(now), storage.Micros(now)); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: "system", Action: action, Subject: l.subject, At: now,
			Detail: map[string]string{"realm": string(l.realm), "satoshi": strconv.FormatInt(l.has, 10), "least": strconv.FormatInt(l.least, 10)}})
	})
	if err == nil && told && is == levelLow {
		s.Logger.ErrorContext(ctx, "payouts run out of bitcoin: fund the node", "realm", string(l.realm), "node", l.subject, "satoshi", l.has, "least", l.least)
	}
	return err
}
