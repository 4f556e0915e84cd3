package gatepay

import "github.com/scripcards/scrip/internal/api/wire"

// Requests. All values are strings; an empty string is an absent value.

type createRequest struct {
	Title      string `json:"title" wire:"required,max=128"`
	TemplateID string `json:"templateId" wire:"required"`
	Currency   string `json:"currency" wire:"required"`
	Amount     string `json:"amount" wire:"required"`
	// MerchantTradeNo makes the call repeatable. An extension.
	MerchantTradeNo string `json:"merchantTradeNo" wire:"max=64"`
}

// lookup names a card: in the query of a GET, in the body of the alias that is a POST.
type lookup struct {
	CardNumber string `json:"cardNumber" query:"cardNumber"`
	Key        string `json:"key" query:"key"`
}

type spendRequest struct {
	CardNumber      string `json:"cardNumber"`
	Key             string `json:"key"`
	Amount          string `json:"amount" wire:"required"`
	Currency        string `json:"currency" wire:"required"`
	MerchantTradeNo string `json:"merchantTradeNo" wire:"required,max=64"`
}

type holdRequest struct {
	spendRequest
	// ExpireSeconds shortens the operator's rule.
	ExpireSeconds string `json:"expireSeconds"`
}

type refundRequest struct {
	OriginalMerchantTradeNo string `json:"originalMerchantTradeNo" wire:"required,max=64"`
	Amount                  string `json:"amount" wire:"required"`
	Currency                string `json:"currency" wire:"required"`
	MerchantTradeNo         string `json:"merchantTradeNo" wire:"required,max=64"`
}

type captureRequest struct {
	HoldID string `json:"holdId" wire:"required"`
	// Amount and Currency may be left out together: everything that is left.
	Amount          string `json:"amount"`
	Currency        string `json:"currency"`
	MerchantTradeNo string `json:"merchantTradeNo" wire:"required,max=64"`
	// Final is "true" to free what this capture does not take.
	Final string `json:"final"`
}

type voidRequest struct {
	HoldID          string `json:"holdId" wire:"required"`
	MerchantTradeNo string `json:"merchantTradeNo" wire:"required,max=64"`
}

type cancelRequest struct {
	CardNumber string `json:"cardNumber"`
	Key        string `json:"key"`
	Reason     string `json:"reason" wire:"max=200"`
}

// batchRequest has operations that are read each as the request of its action.
type batchRequest struct {
	Operations []wire.Raw `json:"operations" wire:"required"`
}

type batchOperation struct {
	Action string `json:"action" wire:"required"`
}

type coverRequest struct {
	TemplateID string `json:"-" path:"templateId"`
}

// Responses.

type envelope struct {
	Status       string `json:"status"`
	Code         string `json:"code"`
	Label        string `json:"label"`
	ErrorMessage string `json:"errorMessage"`
	Data         any    `json:"data"`
}

type created struct {
	CardNumber string `json:"cardNumber"`
	Key        string `json:"key"`
	Status     string `json:"status"`
}

type template struct {
	TemplateID   string `json:"templateId"`
	TemplateName string `json:"templateName"`
	CoverURL     string `json:"coverUrl"`
	Status       string `json:"status"`
}

type balance struct {
	CardNumber    string `json:"cardNumber"`
	Currency      string `json:"currency"`
	Balance       string `json:"balance"`
	InitialAmount string `json:"initialAmount"`
	Status        string `json:"status"`
}

type details struct {
	CardNumber string `json:"cardNumber"`
	// Key is there only when the card was looked up by it.
	Key          string        `json:"key,omitzero"`
	Title        string        `json:"title"`
	TemplateID   string        `json:"templateId"`
	CoverURL     string        `json:"coverUrl"`
	Currency     string        `json:"currency"`
	Amount       string        `json:"amount"`
	Balance      string        `json:"balance"`
	Status       string        `json:"status"`
	CreateTime   int64         `json:"createTime"`
	ExpireTime   int64         `json:"expireTime"`
	RedeemTime   *int64        `json:"redeemTime"`
	Transactions []transaction `json:"transactions"`
}

type transaction struct {
	TransactionID string `json:"transactionId"`
	Type          string `json:"type"`
	Amount        string `json:"amount"`
	BalanceAfter  string `json:"balanceAfter"`
	CreateTime    int64  `json:"createTime"`
}

type movement struct {
	TransactionID   string `json:"transactionId"`
	MerchantTradeNo string `json:"merchantTradeNo,omitzero"`
	// CardNumber is there when the request named the card by it.
	CardNumber string `json:"cardNumber,omitzero"`
	HoldID     string `json:"holdId,omitzero"`
	Amount     string `json:"amount"`
	Currency   string `json:"currency"`
	Balance    string `json:"balance"`
	Status     string `json:"status"`
	CreateTime int64  `json:"createTime"`
}

// batchResult holds, in the order of the request, what each operation's own call would have answered.
type batchResult struct {
	Results []wire.Raw `json:"results"`
}
