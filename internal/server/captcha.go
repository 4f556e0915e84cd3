package server

import (
	"fmt"
	"path/filepath"

	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/captcha"
	portalpage "github.com/scripcards/scrip/internal/web/portal"
)

// Captcha is an account with a captcha service.
type Captcha struct {
	// Kind is recaptcha, hcaptcha or turnstile; empty: there is no account.
	Kind, SiteKey string
	// SecretFile holds the secret.
	SecretFile string
	// Endpoint is where answers are verified; empty: the service's own address.
	Endpoint string
}

// open returns the account; nil where there is none. It calls nobody.
func (c *Captcha) open() (*captcha.Captcha, error) {
	if c.Kind == "" {
		return nil, nil
	}
	if c.SiteKey == "" || c.SecretFile == "" {
		return nil, fmt.Errorf("captcha %s: captcha_site_key and captcha_secret_file are required, the key and a file with the secret of your account there", c.Kind)
	}
	path, err := filepath.Abs(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("secret of the captcha: %w", err)
	}
	secret, err := keyfile.Folder("").Secret(path)
	if err != nil {
		return nil, fmt.Errorf("secret of the captcha: %w", err)
	}
	return captcha.Open(captcha.Config{Kind: captcha.Kind(c.Kind), SiteKey: c.SiteKey, Secret: secret, Endpoint: c.Endpoint})
}

// driver challenges portals' visitors; nil stands for a proof of work.
func (c *Captcha) driver() (portalpage.Driver, error) {
	account, err := c.open()
	if err != nil || account == nil {
		return nil, err
	}
	return portalpage.NewCaptcha(account, portalpage.Widget(account.Widget())), nil
}
