package catalog

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"unicode"

	"github.com/scripcards/scrip/internal/core/money"
)

// index finds active products without looking at each of them. A product is known by its
// place in the order of codes.
type index struct {
	products []*Product
	// fields has, by field and folded value, the places that have it.
	fields map[term]places
	// words are the words of names, brands and codes, sorted, said at the places beside.
	words []string
	said  []places
	// orders are the places in the order of a sort; ByCode needs none.
	orders map[Sort][]uint32
	// updated are the places by when they changed.
	updated []uint32
	// ranges are the places of products with a range of values.
	ranges []uint32
	values []Value // by place, the least
}

// term is a value of a field that is searched for as a whole.
type term struct {
	field field
	value string
}

type field byte

const (
	fieldBrand field = iota
	fieldCategory
	fieldRegion
	fieldCurrency
	fieldDelivery
	fieldCountry
)

// anywhere is the country of products without one.
const anywhere = ""

// newIndex indexes the active ones of some products that are sorted by code.
func newIndex(all []*Product) *index {
	x := &index{fields: map[term]places{}, orders: map[Sort][]uint32{}}
	for _, p := range all {
		if p.State == Active {
			x.products = append(x.products, p)
		}
	}
	fields, words := map[term][]uint32{}, map[string][]uint32{}
	n := len(x.products)
	brands, categories, updates := make([]string, n), make([]string, n), make([]int64, n)
	x.values = make([]Value, n)
	for i, p := range x.products {
		place := uint32(i)
		brands[i], categories[i], x.values[i], updates[i] = fold(p.Brand), fold(p.Category), valueOf(p.Face), p.UpdatedAt.UnixMicro()
		for _, t := range p.terms(brands[i], categories[i]) {
			fields[t] = append(fields[t], place)
		}
		if p.IsRange() {
			x.ranges = append(x.ranges, place)
		}
		for _, text := range []string{p.Name, p.Brand, string(p.Code)} {
			eachWord(text, func(word string) { words[word] = appendOnce(words[word], place) })
		}
	}
	x.setWords(words)
	for t, list := range fields {
		x.fields[t] = newPlaces(list, n)
	}
	x.orders[ByBrand], x.orders[ByCategory], x.orders[ByValue], x.updated = order(brands), order(categories), order(x.values), order(updates)
	return x
}

// terms returns what a product is found by as a whole.
func (p *Product) terms(brand, category string) []term {
	all := []term{{fieldBrand, brand}, {fieldCategory, category}, {fieldRegion, p.Region},
		{fieldCurrency, p.Face.Currency.String()}, {fieldDelivery, string(p.Delivery)}}
	if len(p.Countries) == 0 {
		return append(all, term{fieldCountry, anywhere})
	}
	for _, country := range p.Countries {
		all = append(all, term{fieldCountry, country})
	}
	return all
}

func appendOnce(places []uint32, place uint32) []uint32 {
	if len(places) > 0 && places[len(places)-1] == place {
		return places
	}
	return append(places, place)
}

func (x *index) setWords(words map[string][]uint32) {
	x.words = make([]string, 0, len(words))
	for word := range words {
		x.words = append(x.words, word)
	}
	slices.Sort(x.words)
	x.said = make([]places, len(x.words))
	for i, word := range x.words {
		x.said[i] = newPlaces(words[word], len(x.products))
	}
}

// order returns the places by their keys, equal ones by place.
func order[K cmp.Ordered](keys []K) []uint32 {
	distinct := slices.Clone(keys)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	rank := make(map[K]uint64, len(distinct))
	for i, key := range distinct {
		rank[key] = uint64(i)
	}
	packed := make([]uint64, len(keys))
	for i, key := range keys {
		packed[i] = rank[key]<<32 | uint64(i)
	}
	slices.Sort(packed)
	places := make([]uint32, len(keys))
	for i, p := range packed {
		places[i] = uint32(p)
	}
	return places
}

func fold(text string) string { return strings.ToLower(text) }

// eachWord calls fn for every run of letters and digits, folded.
func eachWord(text string, fn func(word string)) {
	for word := range strings.FieldsFuncSeq(fold(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		fn(word)
	}
}

// Value is a face value without its currency, in hundred-millionths.
type Value int64

// valueDigits is how fine a Value is: as fine as the finest currency.
const valueDigits = 8

// ParseValue reads a decimal number such as "5" or "12.50", with at most eight decimals,
// or returns one of money's errors.
func ParseValue(text string) (Value, error) {
	amount, err := money.ParseAmount(text, money.BTC)
	return Value(amount.Minor), err
}

// Below reports whether a number is less than an amount, whatever its currency.
func (v Value) Below(a money.Amount) bool { return a.CmpNumber(money.New(int64(v), money.BTC)) > 0 }

func valueOf(f Face) Value {
	v := Value(f.Minor)
	for range valueDigits - f.Currency.Digits() {
		v *= 10
	}
	return v
}

// set is a set of places; nil is all of them.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

// put adds places.
func (s set) put(list []uint32) {
	for _, p := range list {
		s[p/64] |= 1 << (p % 64)
	}
}

// places are those that have something in common, as whatever is smaller.
type places struct {
	few  []uint32 // rising
	many set
}

func newPlaces(list []uint32, n int) places {
	if len(list) <= n/32 {
		return places{few: list}
	}
	s := newSet(n)
	s.put(list)
	return places{many: s}
}

// putAll adds places.
func (s set) putAll(p places) {
	s.put(p.few)
	for i, word := range p.many {
		s[i] |= word
	}
}

func (s set) has(place uint32) bool { return s == nil || s[place/64]&(1<<(place%64)) != 0 }

// and keeps what is in both, and returns it.
func (s set) and(other set) set {
	if s == nil {
		return other
	}
	for i := range s {
		s[i] &= other[i]
	}
	return s
}

func (s set) count() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}
