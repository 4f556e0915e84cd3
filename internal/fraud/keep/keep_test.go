package keep

import (
	"testing"

	"pgregory.net/rapid"
)

// A table never holds more than its bound, finds what it holds under its own key, and forgets no entry that is hot.
func TestTableAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const life = 100
		table := New[Key](shardCount*sample, life)
		now := Second(1000)
		heated := map[Key]Second{} // when what is hot was last so
		for range rapid.IntRange(1, 400).Draw(t, "events") {
			now += Second(rapid.IntRange(0, 2).Draw(t, "gap"))
			k := Key(rapid.Uint64Range(1, 60).Draw(t, "key"))
			s := table.Open(Key(1)) // one shard for all of them
			was := s.Find(k)
			e := table.Touch(s, Touch{k, now, uint32(rapid.SampledFrom([]int{1, 1, 1, 20}).Draw(t, "heat"))})
			if was != nil && was != e || *e != 0 && *e != k {
				t.Fatalf("key %d found the entry of %d", k, *e)
			}
			*e = k
			if int(s.used) != len(s.index) || s.used > s.most {
				t.Fatalf("%d used of %d, %d indexed", s.used, s.most, len(s.index))
			}
			for hotKey, last := range heated {
				if now-last < life && s.Find(hotKey) == nil {
					t.Fatalf("%d was hot and is forgotten", hotKey)
				}
			}
			if at, ok := s.index[k]; ok && s.place(at).heat >= Hot {
				heated[k] = now
			}
			s.Close()
		}
	})
}

// Heat halves for each life without an event; a table full of hot entries takes newcomers again when they have cooled.
func TestHeatGoes(t *testing.T) {
	table := New[int](1, 100)
	s := table.Open(1)
	defer s.Close()
	for k := range Key(sample) {
		*table.Touch(s, Touch{k + 1, 1000, Hot + uint32(k)}) = 1
	}
	if e := table.Touch(s, Touch{99, 1100 - 1, 1}); *e != 0 || s.Find(99) != nil {
		t.Errorf("a newcomer pushed out what is hot")
	}
	for _, k := range []Key{99, 98} {
		table.Touch(s, Touch{k, 1100, 1})
		if s.Find(k) == nil {
			t.Errorf("no room for %d after a life", k)
		}
	}
	if s.Find(1) != nil || s.Find(sample) == nil || s.Find(99) != nil {
		t.Error("not the coldest went")
	}
}
