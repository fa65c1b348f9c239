package boltstore

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// TestVerify breaks each page of a store in the ways that would end a process in
// bbolt.
func TestVerify(t *testing.T) {
	good, _ := sample(t)
	good = good[:used(t, good)]
	pages := len(good) / 4096
	check := func(data []byte) error {
		return verify(bytes.NewReader(data), 4096, func(err error) { t.Errorf("reported %v", err) })
	}
	if err := check(good); err != nil {
		t.Fatalf("a good file: %v", err)
	}
	at := func(data []byte, id int) []byte { return data[id*4096:][:4096] }
	breaks := []struct {
		name  string
		want  string
		least int // number of pages on which it must be detected
		edit  func(page []byte, id int) bool
	}{
		{"endless page", "claims to be", 30, func(p []byte, _ int) bool { p[15] ^= 0x80; return true }},
		{"page over its neighbour", "used twice|claims to be", 30, func(p []byte, _ int) bool { p[12]++; return true }},
		{"branch that is its own child", "used twice", 1, func(p []byte, id int) bool {
			binary.NativeEndian.PutUint64(p[pageHeader+8:], uint64(id))
			return binary.NativeEndian.Uint16(p[8:]) == flagBranch
		}},
		{"child beyond the end", "is referred to", 1, func(p []byte, _ int) bool {
			p[pageHeader+8+4] ^= 1
			return binary.NativeEndian.Uint16(p[8:]) == flagBranch
		}},
		{"key beyond the page", "lies outside", 20, func(p []byte, _ int) bool {
			p[pageHeader+8+3] ^= 0x40
			return binary.NativeEndian.Uint16(p[8:]) == flagLeaf
		}},
		{"free page in use", "used twice", 1, func(p []byte, _ int) bool {
			binary.NativeEndian.PutUint64(p[pageHeader:], binary.NativeEndian.Uint64(p[pageHeader+8:]))
			return binary.NativeEndian.Uint16(p[8:]) == flagFreelist && binary.NativeEndian.Uint16(p[10:]) > 1
		}},
		{"free page beyond the end", "is free, and the last is", 1, func(p []byte, _ int) bool {
			p[pageHeader+5] ^= 1
			return binary.NativeEndian.Uint16(p[8:]) == flagFreelist && binary.NativeEndian.Uint16(p[10:]) > 1
		}},
		{"too many elements", "lies outside|cut short", 30, func(p []byte, _ int) bool { p[10], p[11] = 0xfe, 0xff; return true }},
	}
	for _, b := range breaks {
		t.Run(b.name, func(t *testing.T) {
			noticed := 0
			for id := 2; id < pages; id++ {
				data := bytes.Clone(good)
				if !b.edit(at(data, id), id) {
					continue
				}
				err := check(data) // nil where the page is not in use
				if err == nil {
					continue
				}
				noticed++
				fits := false
				for want := range strings.SplitSeq(b.want, "|") {
					fits = fits || strings.Contains(err.Error(), want)
				}
				if !fits {
					t.Errorf("page %d: error %q, want %q in it", id, err, b.want)
				}
			}
			if noticed < b.least {
				t.Errorf("noticed on %d pages, want at least %d", noticed, b.least)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	page := make([]byte, 4*4096)
	f.Add(page)
	for i := range 2 {
		p := page[i*4096+pageHeader:]
		binary.NativeEndian.PutUint64(p[16:], 3)
		binary.NativeEndian.PutUint64(p[32:], 2)
		binary.NativeEndian.PutUint64(p[40:], 4)
	}
	f.Add(page)
	f.Fuzz(func(t *testing.T, data []byte) {
		// Random bytes never have a checksum: skip the meta page.
		v := &verifier{file: bytes.NewReader(data), size: 512, pages: uint64(len(data) / 512), damage: func(error) {}}
		v.seen = make([]uint64, v.pages/64+1)
		_ = v.tree(2, 0)
		_ = v.freelist(3)
	})
}

// BenchmarkOpen opens a store of 200,000 subscriptions.
func BenchmarkOpen(b *testing.B) {
	path := b.TempDir() + "/webpush.db"
	s := open(b, path)
	fillStore(b, s, 200_000)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		s, err := Open(b.Context(), path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
