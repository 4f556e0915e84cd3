package captcha

// Widget is what a page needs in order to show the captcha.
type Widget struct {
	// Script is the address of the service's script. It fills the elements of Class that
	// have the site key in data-sitekey, and gives their form a field with the answer.
	Script, Class, SiteKey, Field string
	// The sources that a Content-Security-Policy has to let in.
	Scripts, Styles, Frames, Connects []string
}

// Widget returns what a page needs.
func (c *Captcha) Widget() Widget {
	w := c.service.widget
	w.SiteKey = c.siteKey
	return w
}

type service struct {
	kind     Kind
	endpoint string
	widget   Widget
}

// services are as their documentation says: of reCAPTCHA "Verifying the user's response"
// and the FAQ on policies, of hCaptcha "Verify the User Response Server Side" and "Content
// Security Policy Settings", of Turnstile "Server-side validation" and "Content Security
// Policy".
var services = map[Kind]service{
	ReCAPTCHA: {ReCAPTCHA, "https://www.google.com/recaptcha/api/siteverify", Widget{
		Script: "https://www.google.com/recaptcha/api.js", Class: "g-recaptcha", Field: "g-recaptcha-response",
		Scripts:  []string{"https://www.google.com/recaptcha/", "https://www.gstatic.com/recaptcha/"},
		Frames:   []string{"https://www.google.com/recaptcha/", "https://recaptcha.google.com/recaptcha/"},
		Connects: []string{"https://www.google.com/recaptcha/"},
	}},
	HCaptcha: {HCaptcha, "https://api.hcaptcha.com/siteverify", Widget{
		Script: "https://js.hcaptcha.com/1/api.js?recaptchacompat=off", Class: "h-captcha", Field: "h-captcha-response",
		Scripts: hCaptchaHosts, Styles: hCaptchaHosts, Frames: hCaptchaHosts, Connects: hCaptchaHosts,
	}},
	Turnstile: {Turnstile, "https://challenges.cloudflare.com/turnstile/v0/siteverify", Widget{
		Script: "https://challenges.cloudflare.com/turnstile/v0/api.js", Class: "cf-turnstile", Field: "cf-turnstile-response",
		Scripts: []string{"https://challenges.cloudflare.com"}, Frames: []string{"https://challenges.cloudflare.com"},
		Connects: []string{"https://challenges.cloudflare.com"},
	}},
}

var hCaptchaHosts = []string{"https://hcaptcha.com", "https://*.hcaptcha.com"}
