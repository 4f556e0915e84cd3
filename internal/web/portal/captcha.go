package portal

import (
	"context"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Widget is somebody else's challenge on a page.
type Widget struct {
	// Script is the https address of a script that fills elements of Class with the site
	// key in data-sitekey, and gives their form a field called Field with the answer.
	Script, Class, SiteKey, Field string
	// The sources that the page's policy lets in while the widget is on it.
	Scripts, Styles, Frames, Connects []string
}

// Verifier asks whoever made a widget whether a person gave an answer.
type Verifier interface {
	// Verify returns nil when that is so, and a fault of the kind invalid when it is not.
	// address is the visitor's IP address. An answer passes once.
	Verify(ctx context.Context, answer, address string) error
}

// NewCaptcha returns the driver that shows a widget and has its answers verified. When
// nobody says whether an answer is good, nobody passes.
func NewCaptcha(v Verifier, w Widget) Driver { return &captcha{verifier: v, widget: w} }

type captcha struct {
	verifier Verifier
	widget   Widget
}

func (c *captcha) Field() string { return c.widget.Field }

// Pose shows the widget; how hard it is, is up to its makers.
func (c *captcha) Pose(context.Context, Visitor, int) (Challenge, error) {
	return Challenge{Widget: &c.widget}, nil
}

func (c *captcha) Judge(ctx context.Context, v Visitor, a Answer) (Verdict, error) {
	if a.Proof == "" {
		return Failed, nil
	}
	err := c.verifier.Verify(ctx, a.Proof, v.Address)
	switch {
	case err == nil:
		return Passed, nil
	case fault.CodeOf(err).Kind() == fault.KindInvalid:
		return Failed, nil
	}
	return Failed, err
}
