// Package category is the merchant category codes of ISO 18245 by name: each code with
// what its merchants sell, a category for people to choose ("advertising", "groceries")
// and the range of the standard that it stands in ("business_services").
//
// The table is data: mcc.txt, a code, a category and a name a line. Airlines, car rentals
// and hotels have a code for each brand; those that the table does not name are known by
// their range. A code outside the table and those ranges is unknown, not an error.
//
// It must never decide a payment.
package category

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Other is the category of codes that are not known.
const Other = "other"

// Code is one merchant category code.
type Code struct {
	MCC      string // four digits
	Category string // "advertising"
	Group    string // the range of the standard: "business_services"
	Name     string // "Advertising"
}

//go:embed mcc.txt
var text string

// span is a range of codes, both ends included.
type span struct{ first, last, group string }

// spans are the ranges of ISO 18245. What the standard leaves between them belongs to the
// one before.
var spans = []span{
	{"0001", "1499", "agricultural_services"},
	{"1500", "2999", "contracted_services"},
	{"3000", "3350", "airlines"},
	{"3351", "3500", "car_rental"},
	{"3501", "3999", "lodging"},
	{"4000", "4799", "transportation"},
	{"4800", "4999", "utility_services"},
	{"5000", "5599", "retail_outlets"},
	{"5600", "5699", "clothing_stores"},
	{"5700", "7299", "miscellaneous_stores"},
	{"7300", "7999", "business_services"},
	{"8000", "8999", "professional_services"},
	{"9000", "9999", "government_services"},
}

// brands are the groups whose codes each belong to one company.
var brands = map[string]string{"airlines": "Airlines", "car_rental": "Car rental", "lodging": "Hotels and resorts"}

// table is the codes by number, read once.
var table = sync.OnceValue(func() map[string]Code {
	codes := map[string]Code{}
	for line := range strings.Lines(text) {
		mcc, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		category, name, _ := strings.Cut(rest, " ")
		codes[mcc] = Code{MCC: mcc, Category: category, Group: groupOf(mcc), Name: name}
	}
	return codes
})

// names are the categories and groups there are.
var names = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, c := range table() {
		all[c.Category] = true
	}
	for _, s := range spans {
		all[s.group] = true
	}
	return all
})

func groupOf(mcc string) string {
	for _, s := range spans {
		if mcc >= s.first && mcc <= s.last {
			return s.group
		}
	}
	return ""
}

func isCode(text string) bool {
	return len(text) == 4 && strings.Trim(text, "0123456789") == ""
}

// Find returns a code of four digits and whether it is known.
func Find(mcc string) (Code, bool) {
	if c, ok := table()[mcc]; ok {
		return c, true
	}
	if !isCode(mcc) {
		return Code{}, false
	}
	group := groupOf(mcc)
	if name, ok := brands[group]; ok {
		return Code{MCC: mcc, Category: group, Group: group, Name: name}, true
	}
	return Code{}, false
}

// Of returns a code's category, or Other.
func Of(mcc string) string {
	if c, ok := Find(mcc); ok {
		return c.Category
	}
	return Other
}

// MaxAllowed bounds a list of categories.
const MaxAllowed = 100

// Clean returns a list of codes, categories and groups as they are kept: in small
// letters with _ between words, sorted, each once. It returns invalid_request for a name
// that is none, and for too many.
func Clean(allowed []string) ([]string, error) {
	if len(allowed) > MaxAllowed {
		return nil, fault.New(fault.InvalidRequest, "at most %d categories are allowed", MaxAllowed)
	}
	clean := make([]string, 0, len(allowed))
	for _, name := range allowed {
		name = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
		if _, code := Find(name); !code && !names()[name] {
			return nil, fault.New(fault.InvalidRequest, "a category is a merchant category code of four digits, or a name such as advertising or airlines")
		}
		clean = append(clean, name)
	}
	slices.Sort(clean)
	return slices.Compact(clean), nil
}

// Allows reports whether a merchant's code is among the codes, categories and groups
// of a list as Clean returns it. An empty list allows every code, unknown ones too.
func Allows(allowed []string, mcc string) bool {
	if len(allowed) == 0 || slices.Contains(allowed, mcc) {
		return true
	}
	c, ok := Find(mcc)
	return ok && (slices.Contains(allowed, c.Category) || slices.Contains(allowed, c.Group))
}
