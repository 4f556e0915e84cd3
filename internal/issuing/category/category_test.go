package category

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Every line of the table is a code of four digits, once and in order, with a category
// and a name, in a group of the standard.
func TestTable(t *testing.T) {
	line := regexp.MustCompile(`^\d{4} [a-z][a-z_]*[a-z] \S.*\S$`)
	last, count := "", 0
	for row := range strings.Lines(text) {
		row = strings.TrimSuffix(row, "\n")
		if !line.MatchString(row) || row[:4] <= last {
			t.Errorf("line %q after %s", row, last)
		}
		last, count = row[:4], count+1
	}
	all := list()
	if len(all) != count || count < 750 {
		t.Errorf("%d codes of %d lines", len(all), count)
	}
	for _, c := range all {
		if c.Group == "" || c.Category == "" || c.Name == "" || c.Category == Other {
			t.Errorf("%+v", c)
		}
	}
}

// The ranges of the standard follow each other without a gap, and every one has codes;
// all categories are used, and the brands' groups are categories of their own.
func TestCoverage(t *testing.T) {
	for i, s := range spans {
		if i > 0 && !adjacent(spans[i-1].last, s.first) {
			t.Errorf("%s does not follow %s", s.first, spans[i-1].last)
		}
		if !slices.ContainsFunc(list(), func(c Code) bool { return c.Group == s.group }) {
			t.Errorf("no code in %s", s.group)
		}
	}
	// One of each division that card networks bill by, from their published lists.
	for mcc, want := range map[string]Code{
		"0742": {"0742", "veterinary", "agricultural_services", "Veterinarians"},
		"1520": {"1520", "construction", "contracted_services", "General building contractors"},
		"3000": {"3000", "airlines", "airlines", "United Airlines"},
		"3003": {"3003", "airlines", "airlines", "Eurofly"},
		"3019": {"3019", "airlines", "airlines", "Airlines"},
		"3350": {"3350", "airlines", "airlines", "Airlines"},
		"3351": {"3351", "car_rental", "car_rental", "Affiliated Auto Rental"},
		"3500": {"3500", "car_rental", "car_rental", "Car rental"},
		"3504": {"3504", "lodging", "lodging", "Hilton Hotels"},
		"3999": {"3999", "lodging", "lodging", "Hotels and resorts"},
		"4121": {"4121", "taxi", "transportation", "Taxis and limousines"},
		"4900": {"4900", "utilities", "utility_services", "Electricity, gas, heating, water and waste"},
		"5411": {"5411", "groceries", "retail_outlets", "Supermarkets and grocers"},
		"5621": {"5621", "clothing", "clothing_stores", "Womenswear"},
		"5812": {"5812", "restaurants", "miscellaneous_stores", "Restaurants"},
		"7311": {"7311", "advertising", "business_services", "Advertising"},
		"8011": {"8011", "medical", "professional_services", "Doctors"},
		"9311": {"9311", "taxes", "government_services", "Taxes"},
	} {
		if got, ok := Find(mcc); !ok || got != want {
			t.Errorf("%s is %+v, %t; want %+v", mcc, got, ok, want)
		}
	}
	for _, mcc := range []string{"", "0000", "1234", "731", "73111", "731a", "９３１１", "9999"} {
		if c, ok := Find(mcc); ok || Of(mcc) != Other {
			t.Errorf("%q is %+v", mcc, c)
		}
	}
}

func adjacent(a, b string) bool {
	n := func(s string) (n int) {
		for _, c := range s {
			n = n*10 + int(c-'0')
		}
		return n
	}
	return n(a)+1 == n(b)
}

// Lists are kept in one spelling, and what is no category is refused.
func TestClean(t *testing.T) {
	got, err := Clean([]string{"Software", " 7311", "fast-food", "advertising", "Car Rental", "software", "3019"})
	if diff := cmp.Diff([]string{"3019", "7311", "advertising", "car_rental", "fast_food", "software"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, wrong := range []string{"", "other", "sofware", "0000", "73", "a b"} {
		if got, err := Clean([]string{wrong}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %v, %v", wrong, got, err)
		}
	}
	if _, err := Clean(make([]string, MaxAllowed+1)); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("too many: %v", err)
	}
}

// A code is allowed by itself, by its category and by its group, and by nothing else.
func TestAllows(t *testing.T) {
	all := slices.Sorted(maps.Keys(names()))
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom(list()).Draw(t, "code")
		for _, own := range []string{code.MCC, code.Category, code.Group} {
			if clean, err := Clean([]string{own}); err != nil || !Allows(clean, code.MCC) {
				t.Fatalf("%s does not allow %+v: %v", own, code, err)
			}
		}
		other := rapid.SampledFrom(all).Draw(t, "other")
		if Allows([]string{other}, code.MCC) != (other == code.Category || other == code.Group) {
			t.Fatalf("%s and %+v", other, code)
		}
	})
	for _, mcc := range []string{"7311", "0000", "", "abcd"} {
		if !Allows(nil, mcc) {
			t.Errorf("an empty list does not allow %q", mcc)
		}
	}
	if Allows([]string{"advertising"}, "0000") || Allows([]string{"airlines"}, "3351") || !Allows([]string{"airlines"}, "3333") {
		t.Error("unknown codes and brands without a row")
	}
}

// FuzzClean: whatever is clean stays as it is when it is cleaned again, and allows itself
// if it is a code.
func FuzzClean(f *testing.F) {
	f.Add("Software")
	f.Add("7311")
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := Clean([]string{name})
		if err != nil {
			return
		}
		again, err := Clean(clean)
		if err != nil || !slices.Equal(clean, again) {
			t.Fatalf("%q, then %q, %v", clean, again, err)
		}
		if isCode(clean[0]) && !Allows(clean, clean[0]) {
			t.Fatalf("%s does not allow itself", clean[0])
		}
	})
}

// list is the table in the order of its codes.
func list() []Code {
	return slices.SortedFunc(maps.Values(table()), func(a, b Code) int { return strings.Compare(a.MCC, b.MCC) })
}
