package id

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// Ids rise strictly, are well formed and keep their prefix, even when the clock stands still or goes back.
func TestNewRisesStrictly(t *testing.T) {
	last := ""
	for range 10_000 {
		got := New("txn")
		if !Valid("txn", got) {
			t.Fatalf("Valid(%q) = false", got)
		}
		if got <= last {
			t.Fatalf("%s does not sort after %s", got, last)
		}
		last = got
	}
	g := &generator{used: len(generator{}.block)}
	before := encode("x", g.next(2_000))
	for range 5_000 { // more than one millisecond's counter
		after := encode("x", g.next(1_000))
		if after <= before {
			t.Fatalf("clock went back: %s does not sort after %s", after, before)
		}
		before = after
	}
	if g.latest() != 2_001 {
		t.Errorf("the clock stood at 2000, and the newest id is of %d", g.latest())
	}
}

// The version and variant bits are those of a UUIDv7, the first 48 bits are the time, and 73
// bits are random in the first id of a millisecond: each of them is set in some and not in others.
func TestLayout(t *testing.T) {
	g := &generator{used: len(generator{}.block)}
	var set, unset uint64
	var setCount, unsetCount uint16
	seen := map[uint64]bool{}
	for milli := uint64(0x0123456789ab); milli < 0x0123456789ab+1000; milli++ {
		u := g.next(int64(milli))
		count, random := binary.BigEndian.Uint16(u[6:]), binary.BigEndian.Uint64(u[8:])
		if count>>12 != 7 || random>>62 != 2 || binary.BigEndian.Uint64(u[:])>>16 != milli {
			t.Fatalf("%x: version %x, variant %x", u, count>>12, random>>62)
		}
		set, unset, seen[random] = set|random, unset|^random, true
		setCount, unsetCount = setCount|count, unsetCount|^count
	}
	const free = 1<<62 - 1
	if set&free != free || unset&free != free || len(seen) != 1000 {
		t.Errorf("random bits that were set: %x, and not: %x; %d are different", set, unset, len(seen))
	}
	if setCount&0xfff != 0x7ff || unsetCount&0xfff != 0xfff {
		t.Errorf("bits of the counter that were set: %x, and not: %x", setCount, unsetCount)
	}
}

// A numbered id is a valid id that gives its number back, and rises like any other.
func TestNumbered(t *testing.T) {
	for _, n := range []uint64{0, 1, 31, 32, 1 << 20, MaxNumber} {
		text := Numbered("txn", n)
		if got, ok := Number("txn", text); !ok || got != n {
			t.Errorf("Number(%s) = %d, %t, want %d", text, got, ok, n)
		}
	}
	if Numbered("txn", 9) >= Numbered("txn", 1) {
		t.Error("a later id sorts before an earlier one")
	}
	if _, ok := Number("txn", "txn_short"); ok {
		t.Error("a text that is no id has a number")
	}
}

// Valid refuses other prefixes, lengths and alphabets.
func TestValid(t *testing.T) {
	good := New("gc")
	for _, bad := range []string{"", "gc_", good[:len(good)-1], good + "0", "xx" + good[2:], strings.Replace(good, "_", "-", 1),
		good[:len(good)-1] + "u", strings.ToUpper(good), "gc_8" + strings.Repeat("0", bodyLen-1)} {
		if Valid("gc", bad) {
			t.Errorf("Valid(%q) = true", bad)
		}
	}
	if largest := "gc_7" + strings.Repeat("z", bodyLen-1); !Valid("gc", largest) {
		t.Errorf("Valid(%q) = false", largest)
	}
}

// FuzzValid: whatever is accepted has the length of an id.
func FuzzValid(f *testing.F) {
	f.Add("gc", New("gc"))
	f.Fuzz(func(t *testing.T, prefix, text string) {
		if Valid(prefix, text) && len(text) != len(prefix)+1+bodyLen {
			t.Fatalf("accepted %q", text)
		}
	})
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New("txn")
	}
}

// What was made less than so long ago sorts behind, and what is older before.
func TestAgo(t *testing.T) {
	before, made, after := Ago("evt", time.Minute), New("evt"), Ago("evt", -time.Minute)
	if !Valid("evt", before) || !Valid("evt", after) || before >= made || made >= after {
		t.Errorf("%s, %s, %s", before, made, after)
	}
}
