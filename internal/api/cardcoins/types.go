package cardcoins

import (
	"errors"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/core/pan"
)

type envelope struct {
	Message string `json:"message"`
	Data    any    `json:"data"`
}

// Requests. Numbers and truth values may be sent as strings.

type newOrder struct {
	Amount      *wire.LooseInt `json:"amount" wire:"required"`
	Currency    string         `json:"currency" wire:"required,max=32"`
	PhoneNumber *string        `json:"phone_number"`
	Address     *string        `json:"address"`
	LNInvoice   *string        `json:"ln_invoice"`
}

type orderPath struct {
	OrderID pan.Secret `path:"order_id" json:"-"`
}

type orderChange struct {
	orderPath
	PhoneNumber *string `json:"phone_number"`
	Address     *string `json:"address"`
	LNInvoice   *string `json:"ln_invoice"`
}

type codeRequest struct {
	OrderID           pan.Secret     `query:"order_id" json:"-" wire:"required"`
	PhoneNumber       string         `json:"phone_number" wire:"required,max=32"`
	Call              wire.LooseBool `json:"call"`
	RecaptchaResponse string         `json:"recaptcha_response" wire:"required,max=8192"`
}

type codeEntry struct {
	OrderID           pan.Secret `query:"order_id" json:"-" wire:"required"`
	PhoneNumber       string     `json:"phone_number" wire:"required,max=32"`
	VerificationCode  digits     `json:"verification_code" wire:"required"`
	RecaptchaResponse string     `json:"recaptcha_response" wire:"max=8192"`
}

// digits are a code that may also be sent as a number: then the zeros at its beginning,
// which no number has, are put back.
type digits struct{ pan.Secret }

// WireType implements wire.Typed.
func (digits) WireType() string { return "string|integer" }

// UnmarshalJSON reads a string, without the space that was copied with it, or a number of at most as many digits as codes have.
func (d *digits) UnmarshalJSON(value []byte) error {
	text := string(value)
	switch {
	case text[0] == '"' || text == "null":
		var plain string
		if err := wire.Unmarshal(value, &plain); err != nil {
			return err
		}
		d.Secret = pan.NewSecret(strings.TrimSpace(plain))
	case len(text) <= phone.Digits && strings.Trim(text, "0123456789") == "":
		d.Secret = pan.NewSecret(strings.Repeat("0", phone.Digits-len(text)) + text)
	default:
		return errDigits
	}
	return nil
}

var errDigits = errors.New("not a code")

type paymentDetails struct {
	orderPath
	Address           *string `json:"address"`
	LNInvoice         *string `json:"ln_invoice"`
	FirstName         string  `json:"first_name" wire:"max=64"`
	LastName          string  `json:"last_name" wire:"max=64"`
	RecaptchaResponse string  `json:"recaptcha_response" wire:"max=8192"`
}

type newImage struct {
	orderPath
	ImageType string        `path:"image_type" json:"-"`
	FileName  string        `json:"file_name" wire:"required,max=255"`
	FileSize  wire.LooseInt `json:"file_size" wire:"required"`
}

// Answers.

type tickersAnswer struct {
	Currencies      []currency      `json:"currencies"`
	LastUpdatedAt   wire.TimeMillis `json:"last_updated_at"`
	UpdateFrequency int64           `json:"update_frequency"`
}

type currency struct {
	Name     string `json:"name"`
	Symbol   string `json:"symbol"`
	PriceUSD int64  `json:"price_usd"`
	Enabled  bool   `json:"enabled"`
}

type limitsAnswer struct {
	SmallestOrder int64 `json:"smallest_order"`
	LargestOrder  int64 `json:"largest_order"`
	WindowDays    int64 `json:"window_days"`
	NamesAbove    int64 `json:"names_above"`
	IDAbove       int64 `json:"id_above"`
	Most          int64 `json:"most"`
}

type createdAnswer struct {
	OrderID string `json:"order_id"`
}

type orderAnswer struct {
	Status         string          `json:"status"`
	Order          orderView       `json:"order"`
	Ticker         tickerView      `json:"ticker"`
	RequiredImages []requiredImage `json:"required_images,omitzero"`
	// PriceLockedUntil is absent where the price is not locked, or nothing is left to do for it.
	PriceLockedUntil wire.TimeMillis `json:"price_locked_until,omitzero"`
	Limits           *customerLimits `json:"limits,omitzero"`
	TxID             string          `json:"txid,omitzero"`
	Preimage         string          `json:"preimage,omitzero"`
	PaymentProblem   string          `json:"payment_problem,omitzero"`
}

type orderView struct {
	CurrencySymbol     string          `json:"currency_symbol"`
	BaseCurrency       string          `json:"base_currency"`
	BaseCurrencyAmount int64           `json:"base_currency_amount"`
	CreatedAt          wire.TimeMillis `json:"created_at"`
	Currency           string          `json:"currency"`
	CurrencyPriceUSD   int64           `json:"currency_price_usd"`
	CurrencyAmount     int64           `json:"currency_amount"`
}

type tickerView struct {
	LastUpdatedAt   wire.TimeMillis `json:"last_updated_at"`
	UpdateFrequency int64           `json:"update_frequency"`
}

type requiredImage struct {
	ImageType   string `json:"image_type"`
	Description string `json:"description"`
	Uploaded    bool   `json:"uploaded"`
	Feedback    string `json:"feedback"`
}

type customerLimits struct {
	Used          int64 `json:"used"`
	Left          int64 `json:"left"`
	NamesAbove    int64 `json:"names_above"`
	IDAbove       int64 `json:"id_above"`
	NamesRequired bool  `json:"names_required"`
	IDRequired    bool  `json:"id_required"`
}

type uploadForm struct {
	URL    string       `json:"url"`
	Fields uploadFields `json:"fields"`
}

type uploadFields struct {
	Key           string `json:"key"`
	ACL           string `json:"acl"`
	ContentType   string `json:"Content-Type"`
	SuccessStatus string `json:"success_action_status"`
	Bucket        string `json:"bucket"`
	Algorithm     string `json:"X-Amz-Algorithm"`
	Credential    string `json:"X-Amz-Credential"`
	Date          string `json:"X-Amz-Date"`
	Policy        string `json:"Policy"`
	Signature     string `json:"X-Amz-Signature"`
}
