package keep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// ErrSaved is returned for bytes that no table of this kind was saved as.
var ErrSaved = errors.New("keep: not a saved table, or a damaged one")

const placeSize = 8 + 4 + 4

// Layout says how entries of a type lie in memory: saved tables are for the same layout
// alone. Types with pointers have none.
func Layout[T any]() string {
	one := uint16(1)
	order := *(*byte)(unsafe.Pointer(&one)) // 1 where the low byte comes first
	return fmt.Sprint(order, layoutOf(reflect.TypeFor[T]()))
}

func layoutOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		text := fmt.Sprint("{", t.Size())
		for i := range t.NumField() {
			f := t.Field(i)
			text += fmt.Sprint(" ", f.Name, "@", f.Offset, layoutOf(f.Type))
		}
		return text + "}"
	case reflect.Array:
		return fmt.Sprint("[", t.Len(), "]", layoutOf(t.Elem()))
	default:
		return t.Kind().String()
	}
}

// Append appends all that the table has. Nobody uses the table meanwhile.
func (t *Table[T]) Append(to []byte) []byte {
	for i := range t.shards {
		s := &t.shards[i]
		to = binary.LittleEndian.AppendUint32(to, uint32(s.used))
		to = binary.LittleEndian.AppendUint32(to, uint32(s.hand))
		for at := range s.used {
			p := s.place(at)
			to = binary.LittleEndian.AppendUint64(to, uint64(p.key))
			to = binary.LittleEndian.AppendUint32(to, uint32(p.seen))
			to = binary.LittleEndian.AppendUint32(to, p.heat)
			to = append(to, raw(&s.pages[at/pageSize].entries[at%pageSize])...)
		}
	}
	return to
}

// raw is an entry as it lies in memory.
func raw[T any](entry *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(entry)), unsafe.Sizeof(*entry))
}

// Load fills an empty table with what Append wrote, and returns what follows it. Where
// there is less room than there was, what comes last is left out.
func (t *Table[T]) Load(from []byte) ([]byte, error) {
	var entry T
	size := placeSize + int(unsafe.Sizeof(entry))
	for i := range t.shards {
		s := &t.shards[i]
		if len(from) < 8 {
			return nil, ErrSaved
		}
		used, hand := int(binary.LittleEndian.Uint32(from)), int32(binary.LittleEndian.Uint32(from[4:]))
		if from = from[8:]; used > maxEntries || used*size > len(from) {
			return nil, ErrSaved
		}
		for range used {
			s.load(from[:size])
			from = from[size:]
		}
		if hand >= 0 && hand < s.most && hand%sample == 0 {
			s.hand = hand
		}
	}
	return from, nil
}

func (s *Shard[T]) load(saved []byte) {
	k := Key(binary.LittleEndian.Uint64(saved))
	if _, known := s.index[k]; known || s.used >= s.most {
		return
	}
	at, _ := s.room(0, 1) // there is room
	p := s.place(at)
	p.key, p.seen, p.heat = k, Second(binary.LittleEndian.Uint32(saved[8:])), min(binary.LittleEndian.Uint32(saved[12:]), maxHeat)
	copy(raw(&s.pages[at/pageSize].entries[at%pageSize]), saved[placeSize:])
	s.index[k] = at
}
