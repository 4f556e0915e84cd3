package supply

import (
	"context"
	"io"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// site is where a configuration leads, and as whom it asks there; empty for a kind that does not
// say so.
type site struct{ location, account string }

func siteOf(supplier Supplier) (at site) {
	if located, ok := supplier.(Located); ok {
		at.location = located.Location()
	}
	if identified, ok := supplier.(Identified); ok {
		at.account = identified.Account()
	}
	return at
}

// site opens a configuration to look where it leads.
func (s *Service) site(kind string, config []byte) (site, error) {
	supplier, err := s.open(kind, config)
	if err != nil {
		return site{}, err
	}
	if closer, ok := supplier.(io.Closer); ok {
		defer func() { _ = closer.Close() }() // it was opened to be looked at
	}
	return siteOf(supplier), nil
}

// moved returns invalid_state where a change leads elsewhere than the supplier is, or to others'
// orders there, or nobody can tell: what is open there would be asked for by a number that is
// somebody else's, or bought twice. It opens both, and is not for use in a transaction.
func (s *Service) moved(was *supplierRow, setup *Setup) error {
	if was.Kind == KindGiftcard {
		return nil
	}
	var from, to site
	config, err := s.Vault.Unseal(purposeConfig, was.sealedAs(), was.config)
	if err == nil {
		from, err = s.site(was.Kind, config)
	}
	switch to = from; {
	case len(setup.Config) > 0 && err != nil:
		return fault.Wrap(err, fault.InvalidState, "something is open there, and nobody can tell whether this leads elsewhere, since what there is cannot be opened: "+
			"bring its files back under their names, or add another supplier and make this one inactive").At("config")
	case err != nil:
		return nil // it stays what it is
	case len(setup.Config) > 0:
		to, err = s.site(was.Kind, setup.Config)
	}
	if err != nil || from.location != to.location {
		return fault.New(fault.InvalidState, "what is open there could not be asked for elsewhere: add another supplier, and make this one inactive").At("config")
	}
	// Its files may hold others by now than those that this process has open.
	if c := s.find(key{was.Realm, was.ID}); c != nil && c.account() != "" {
		from.account = c.account()
	}
	if from.account != to.account && !setup.SameAccount {
		return fault.New(fault.InvalidState, "something is open there, and these are other credentials: another account has other orders under the same numbers, and what was "+
			"bought would be bought again. Say that they are of the same account, or add another supplier and make this one inactive").At("config")
	}
	return nil
}

// account is as whom a connection asks; empty where that is not known, or it was not opened.
func (c *connection) account() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == nil || c.opened.supplier == nil {
		return ""
	}
	return siteOf(c.opened.supplier).account
}

// noticed has whoever opens a connection in the place of another be told where it asks as
// somebody else while something is open, which is asked for with that. Whether whoever changed
// it said that the account is the same, other processes do not know.
func (s *Service) noticed(ctx context.Context, c *connection) error {
	old := s.find(key{c.Realm, c.ID})
	if old == nil || c.open == nil || old.account() == "" {
		return nil
	}
	asked, _, err := storage.One(ctx, s.DB, storage.Scalar[int], countOpen, string(c.Realm), c.ID)
	if err != nil || asked == 0 {
		return err
	}
	before, open := old.account(), c.open
	c.open = func() (Supplier, error) {
		supplier, err := open()
		if err == nil && siteOf(supplier).account != before {
			s.Logger.WarnContext(ctx, "supplier is asked with other credentials from now on, while something is open: unless they are of the same account, "+
				"as may have been said, they would buy that again", "realm", string(c.Realm), "supplier", c.ID)
		}
		return supplier, err
	}
	return nil
}
