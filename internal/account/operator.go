package account

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// OperatorID names an operator ("opr_…").
type OperatorID string

// Role is what an operator is trusted with.
type Role string

// The roles.
const (
	RoleAdmin   Role = "admin"   // everything
	RoleSupport Role = "support" // reads, and helps customers
	RoleAuditor Role = "auditor" // reads
)

// Duty is a kind of thing that operators do.
type Duty string

// The duties.
const (
	DutyRead       Duty = "read"       // look at anything that is not secret
	DutyAssist     Duty = "assist"     // change what belongs to one customer: suspend, refund, unlock
	DutyAdminister Duty = "administer" // operators, customers' credentials, settings, money that came in, the test clock
)

// May reports whether the role includes d.
func (r Role) May(d Duty) bool {
	switch r {
	case RoleAdmin:
		return d == DutyRead || d == DutyAssist || d == DutyAdminister
	case RoleSupport:
		return d == DutyRead || d == DutyAssist
	case RoleAuditor:
		return d == DutyRead
	}
	return false
}

func (r Role) check() error {
	if !r.May(DutyRead) {
		return invalid("role", "want admin, support or auditor")
	}
	return nil
}

// OperatorState says whether an operator's keys work.
type OperatorState string

// The states of an operator.
const (
	OperatorActive   OperatorState = "active"
	OperatorDisabled OperatorState = "disabled"
)

// Operator runs the installation.
type Operator struct {
	ID        OperatorID
	Name      string
	Role      Role
	State     OperatorState
	CreatedAt time.Time
	ChangedAt time.Time
	// Credential is the key that was presented; empty unless AuthenticateOperator returned it.
	Credential KeyID
}

// Require returns fault.PermissionDenied unless the operator's role includes d.
func (o *Operator) Require(d Duty) error {
	if o.Role.May(d) {
		return nil
	}
	return fault.New(fault.PermissionDenied, "the role %s may not %s", o.Role, d)
}

const maxOperators = 1_000

// NewOperator describes an operator.
type NewOperator struct {
	Name string
	Role Role
	Also storage.Also[Operator]
}

func (n NewOperator) check() (NewOperator, error) {
	var err error
	if n.Name, err = cleanText("name", n.Name, maxName); err != nil {
		return n, err
	}
	return n, n.Role.check()
}

// CreateOperator makes an operator without a key. The first one is made at the command line.
func (s *Service) CreateOperator(ctx context.Context, actor string, n NewOperator) (Operator, error) {
	n, err := n.check()
	if err != nil {
		return Operator{}, err
	}
	var made Operator
	err = s.write(ctx, actor, func(ctx context.Context, c *change) error {
		if made, err = c.createOperator(ctx, n); err != nil {
			return err
		}
		return n.Also.Apply(ctx, c.Tx, made)
	})
	return made, err
}

func (c *change) createOperator(ctx context.Context, n NewOperator) (Operator, error) {
	count, _, err := storage.One(ctx, c, storage.Scalar[int], countOperators)
	if err != nil {
		return Operator{}, err
	}
	if count >= maxOperators {
		return Operator{}, fault.New(fault.QuotaExceeded, "there are %d operators already", count)
	}
	o := Operator{ID: OperatorID(id.New("opr")), Name: n.Name, Role: n.Role, State: OperatorActive, CreatedAt: c.at, ChangedAt: c.at}
	row := []any{string(o.ID), o.Name, string(o.Role), string(o.State), storage.Micros(c.at), storage.Micros(c.at)}
	if err := c.ExecRows(ctx, insertOperator, [][]any{row}); err != nil {
		return Operator{}, err
	}
	return o, c.recordOperator(ctx, "operator.create", &o)
}

func (c *change) recordOperator(ctx context.Context, action string, o *Operator) error {
	detail := map[string]string{"role": string(o.Role), "state": string(o.State)}
	return c.record(ctx, note{action: action, subject: string(o.ID), detail: detail})
}

// FindOperator returns an operator, or fault.NotFound.
func (s *Service) FindOperator(ctx context.Context, operator OperatorID) (Operator, error) {
	return findOperator(ctx, s.db, readOperator, operator)
}

func findOperator(ctx context.Context, q storage.Queryer, read *storage.Statement, operator OperatorID) (Operator, error) {
	found, ok, err := storage.One(ctx, q, scanOperator, read, string(operator))
	if err == nil && !ok {
		err = notFound("operator", clip(string(operator)))
	}
	return found, err
}

// ListOperators returns operators, newest first. An empty list means that the first one is still to be made.
func (s *Service) ListOperators(ctx context.Context, page Page) (List[Operator], error) {
	before, read, err := page.before("opr")
	if err != nil {
		return List[Operator]{}, err
	}
	rows, err := storage.All(ctx, s.db, scanOperator, listOperators, before, read)
	if err != nil {
		return List[Operator]{}, err
	}
	return cut(rows, read, func(o Operator) string { return string(o.ID) }), nil
}

// ChangeOperator replaces the name and the role by what edit makes of them. The same ones
// again change nothing.
func (s *Service) ChangeOperator(ctx context.Context, actor string, operator OperatorID, edit Edit[NewOperator]) (Operator, error) {
	return s.changeOperator(ctx, actor, operator, func(ctx context.Context, c *change, o *Operator) error {
		to, err := edit(NewOperator{Name: o.Name, Role: o.Role})
		if err != nil {
			return err
		}
		if to, err = to.check(); err != nil {
			return err
		}
		if to.Name == o.Name && to.Role == o.Role {
			return to.Also.Apply(ctx, c.Tx, *o)
		}
		o.Name, o.Role, o.ChangedAt = to.Name, to.Role, c.at
		return to.Also.Apply(ctx, c.Tx, *o)
	})
}

// SetOperatorState enables or disables an operator with every key. The same state again
// changes nothing.
func (s *Service) SetOperatorState(ctx context.Context, actor string, operator OperatorID, to OperatorState) (Operator, error) {
	if to != OperatorActive && to != OperatorDisabled {
		return Operator{}, invalid("state", "want active or disabled")
	}
	return s.changeOperator(ctx, actor, operator, func(_ context.Context, c *change, o *Operator) error {
		if o.State != to {
			o.State, o.ChangedAt = to, c.at
		}
		return nil
	})
}

func (s *Service) changeOperator(ctx context.Context, actor string, operator OperatorID, edit func(context.Context, *change, *Operator) error) (Operator, error) {
	var changed Operator
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		o, err := findOperator(ctx, c, lockOperator, operator)
		if err != nil {
			return err
		}
		changed = o
		if err := edit(ctx, c, &changed); err != nil || changed == o {
			return err
		}
		write := updateOperator.With(string(o.ID), changed.Name, string(changed.Role), string(changed.State), storage.Micros(changed.ChangedAt))
		if err := c.Apply(ctx, []storage.Effect{write.Exactly(1)}); err != nil {
			return err
		}
		return c.recordOperator(ctx, "operator.change", &changed)
	})
	s.operators.Forget(func(g *operatorGrant) bool { return g.operator.ID == operator })
	return changed, err
}

// OperatorKeyRef names a key of an operator.
type OperatorKeyRef struct {
	Operator OperatorID
	ID       KeyID
}

// OperatorKey is an operator's key without its secret.
type OperatorKey struct {
	OperatorKeyRef
	Life
	Name     string
	Networks Networks // empty: works from everywhere
	Last4    string
}

// NewOperatorKey describes an operator's key.
type NewOperatorKey struct {
	Operator  OperatorID
	Name      string
	Networks  Networks
	ExpiresAt time.Time // zero: never
	Also      storage.Also[IssuedOperatorKey]
}

// IssuedOperatorKey is an operator's key with its secret, which nothing returns again.
type IssuedOperatorKey struct {
	OperatorKey
	Secret pan.Secret
}

// CreateOperatorKey makes a key for an operator. It returns fault.QuotaExceeded when there are 100 active ones.
func (s *Service) CreateOperatorKey(ctx context.Context, actor string, n NewOperatorKey) (IssuedOperatorKey, error) {
	name, err := cleanText("name", n.Name, maxName)
	if err != nil {
		return IssuedOperatorKey{}, err
	}
	if err := n.Networks.check(); err != nil {
		return IssuedOperatorKey{}, err
	}
	n.Name = name
	var issued IssuedOperatorKey
	err = s.write(ctx, actor, func(ctx context.Context, c *change) error {
		if err := checkExpiry(n.ExpiresAt, c.at); err != nil {
			return err
		}
		if _, err := findOperator(ctx, c, lockOperator, n.Operator); err != nil {
			return err
		}
		if issued, err = s.insertOperatorKey(ctx, c, n, s.mint(operatorKeyPrefix)); err != nil {
			return err
		}
		return n.Also.Apply(ctx, c.Tx, issued)
	})
	return issued, err
}

// insertOperatorKey stores a key under secret. The operator's row is locked.
func (s *Service) insertOperatorKey(ctx context.Context, c *change, n NewOperatorKey, secret string) (IssuedOperatorKey, error) {
	active, _, err := storage.One(ctx, c, storage.Scalar[int], countOperatorKeys, string(n.Operator), storage.Micros(c.at))
	if err != nil {
		return IssuedOperatorKey{}, err
	}
	if active >= maxKeys {
		return IssuedOperatorKey{}, fault.New(fault.QuotaExceeded, "there are %d active keys already", active)
	}
	key := OperatorKey{
		OperatorKeyRef: OperatorKeyRef{n.Operator, KeyID(id.New("key"))}, Name: n.Name, Networks: n.Networks,
		Last4: last4(secret), Life: Life{CreatedAt: c.at, ExpiresAt: n.ExpiresAt},
	}
	err = c.Apply(ctx, []storage.Effect{
		insertOperatorKey.Row(string(key.Operator), string(key.ID), key.Name, key.Networks.String(), key.Last4,
			storage.Micros(c.at), storage.NullMicros(key.ExpiresAt)),
		insertOperatorHash.Row(s.vault.Hash(purposeOperatorHash, secret), string(key.Operator), string(key.ID)),
	})
	if err != nil {
		return IssuedOperatorKey{}, err
	}
	return IssuedOperatorKey{key, pan.NewSecret(secret)}, c.recordOperatorKey(ctx, "operator_key.create", key)
}

func (c *change) recordOperatorKey(ctx context.Context, action string, key OperatorKey) error {
	detail := map[string]string{"operator": string(key.Operator)}
	key.Networks.note(detail)
	return c.record(ctx, note{action: action, subject: string(key.ID), detail: detail})
}

// ListOperatorKeys returns the keys of an operator, revoked and expired ones too, newest first.
func (s *Service) ListOperatorKeys(ctx context.Context, operator OperatorID, page Page) (List[OperatorKey], error) {
	before, read, err := page.before("key")
	if err != nil {
		return List[OperatorKey]{}, err
	}
	rows, err := storage.All(ctx, s.db, scanOperatorKey, listOperatorKeys, string(operator), before, read)
	if err != nil {
		return List[OperatorKey]{}, err
	}
	return cut(rows, read, func(k OperatorKey) string { return string(k.ID) }), nil
}

// RevokeOperatorKey ends a key for good. Revoking it twice changes nothing.
func (s *Service) RevokeOperatorKey(ctx context.Context, actor string, ref OperatorKeyRef) error {
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		key, ok, err := storage.One(ctx, c, scanOperatorKey, lockOperatorKey, string(ref.Operator), string(ref.ID))
		switch {
		case err != nil:
			return err
		case !ok:
			return notFound("key", clip(string(ref.ID)))
		case !key.RevokedAt.IsZero():
			return nil
		}
		write := revokeOperatorKey.With(string(ref.Operator), string(ref.ID), storage.Micros(c.at))
		if err := c.Apply(ctx, []storage.Effect{write.Exactly(1)}); err != nil {
			return err
		}
		return c.recordOperatorKey(ctx, "operator_key.revoke", key)
	})
	s.operators.Forget(func(g *operatorGrant) bool { return g.operator.Credential == ref.ID })
	return err
}

// operatorGrant is what memory keeps of an operator's key.
type operatorGrant struct {
	operator  Operator
	networks  Networks
	expiresAt time.Time
	use       use
}

// AuthenticateOperator says whose key the bearer is. Whatever is wrong with it, or
// with the operator, is fault.CredentialsInvalid; a right key from an address that
// its networks do not list is fault.PermissionDenied.
func (s *Service) AuthenticateOperator(ctx context.Context, bearer string, from netip.Addr) (Operator, error) {
	if len(bearer) > maxPresented {
		return Operator{}, errCredentials()
	}
	now := s.now()
	load := func(ctx context.Context) (*operatorGrant, bool, error) { return s.loadOperator(ctx, bearer, now) }
	g, ok, err := s.operators.Find(ctx, memo.Query{Key: digest(bearer), Now: now}, load)
	switch {
	case err != nil:
		return Operator{}, fmt.Errorf("authenticate operator: %w", err)
	case !ok || isOver(g.expiresAt, now):
		return Operator{}, errCredentials()
	case !g.networks.Allows(from):
		return Operator{}, errAddress()
	}
	s.used.note(&g.use, now)
	return g.operator, nil
}

func (s *Service) loadOperator(ctx context.Context, bearer string, now time.Time) (*operatorGrant, bool, error) {
	if !s.genuine(operatorKeyPrefix, bearer) && !s.isDemoOperatorKey(bearer) {
		return nil, false, nil
	}
	ref, ok, err := storage.One(ctx, s.db, scanOperatorKeyRef, readOperatorHash, s.vault.Hash(purposeOperatorHash, bearer))
	if err != nil || !ok {
		return nil, false, err
	}
	key, ok, err := storage.One(ctx, s.db, scanOperatorKey, readOperatorKey, string(ref.Operator), string(ref.ID))
	if err != nil || !ok || key.State(now) != KeyActive {
		return nil, false, err
	}
	o, ok, err := storage.One(ctx, s.db, scanOperator, readOperator, string(ref.Operator))
	if err != nil || !ok || o.State != OperatorActive {
		return nil, false, err
	}
	o.Credential = key.ID
	return &operatorGrant{
		operator: o, networks: key.Networks, expiresAt: key.ExpiresAt,
		use: use{used: used{useOperator, string(ref.Operator), string(ref.ID)}},
	}, true, nil
}
