package checkedbolt

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// model is the expected content of a bucket.
type model struct {
	rows    map[string]string
	buckets map[string]*model
}

func newModel() *model { return &model{map[string]string{}, map[string]*model{}} }

func (m *model) keys() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for k := range maps.Keys(m.rows) {
			if !yield(k) {
				return
			}
		}
		for k := range maps.Keys(m.buckets) {
			if !yield(k) {
				return
			}
		}
	})
}

// TestLikeAMap: random writes, deletions and reads have the same results as in a
// map, and no valid page counts as damaged.
func TestLikeAMap(t *testing.T) {
	commits := 400
	if n, err := strconv.Atoi(os.Getenv("BOLTSTORE_TEST_COMMITS")); err == nil {
		commits = n
	}
	r := rand.New(rand.NewPCG(3, uint64(commits)))
	db, err := Open(filepath.Join(t.TempDir(), "test.db"), 0o600, &Options{Timeout: time.Second, FreelistType: FreelistMapType})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.NoSync = true
	root := newModel()
	for n := range commits {
		if err := db.Update(func(tx *Tx) error { return move(r, tx, root) }); err != nil {
			t.Fatalf("moving after %d commits: %v", n, err)
		}
		// Phases of growing and of shrinking, so that pages split and merge.
		deletes := []int{5, 30, 70, 95}[n/20%4]
		err := db.Update(func(tx *Tx) error {
			for range 1 + r.IntN(4) {
				if err := change(r, tx.root(), root, 0, deletes); err != nil {
					return err
				}
			}
			if n%7 == 0 {
				same(t, r, tx.root(), root, n)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("commit %d: %v", n, err)
		}
		if n%10 == 0 || n == commits-1 {
			_ = db.View(func(tx *Tx) error { same(t, r, tx.root(), root, n); return nil })
		}
		if t.Failed() {
			return
		}
	}
}

func name(r *rand.Rand, n int) string { return fmt.Sprintf("%0*d", 1+r.IntN(12), r.IntN(n)) }

// change makes some changes of a bucket at one depth.
func change(r *rand.Rand, b *Bucket, m *model, depth, deletes int) error {
	if depth < 3 && (depth == 0 || r.IntN(2) == 0) {
		k := fmt.Sprintf("bucket%d", r.IntN(6))
		if m.buckets[k] == nil {
			m.buckets[k] = newModel()
		} else if r.IntN(60) == 0 {
			delete(m.buckets, k)
			return b.DeleteBucket([]byte(k))
		}
		in, err := b.CreateBucketIfNotExists([]byte(k))
		if err != nil {
			return err
		}
		return change(r, in, m.buckets[k], depth+1, deletes)
	}
	if r.IntN(3) == 0 {
		b.Fill(0.98)
	}
	if _, err := b.NextSequence(); err != nil {
		return err
	}
	keys := m.keys()
	for range r.IntN(200) {
		if r.IntN(100) < deletes && len(keys) > 0 {
			at := r.IntN(len(keys))
			for _, k := range keys[at:min(at+r.IntN(120), len(keys))] {
				if _, ok := m.rows[k]; !ok {
					continue
				}
				delete(m.rows, k)
				if err := b.Delete([]byte(k)); err != nil {
					return err
				}
			}
			continue
		}
		k, v := name(r, 1<<20), bytes.Repeat([]byte{byte(r.Uint32())}, []int{0, 8, 60, 300, 6000}[min(r.IntN(40), 4)%5])
		if r.IntN(40) > 0 && len(v) > 300 {
			v = v[:100]
		}
		m.rows[k] = string(v)
		if err := b.Put([]byte(k), v); err != nil {
			return err
		}
		if got := b.Get([]byte(k)); string(got) != string(v) {
			return fmt.Errorf("%q is %d bytes, want %d", k, len(got), len(v))
		}
	}
	return nil
}

// move sometimes moves a bucket into another, in its own transaction: bbolt loses
// changes that the same one has made in the bucket.
func move(r *rand.Rand, tx *Tx, m *model) error {
	from, name, to := fmt.Sprintf("bucket%d", r.IntN(6)), fmt.Sprintf("bucket%d", r.IntN(6)), fmt.Sprintf("bucket%d", r.IntN(6))
	source, target := m.buckets[from], m.buckets[to]
	if r.IntN(5) > 0 || from == to || source == nil || source.buckets[name] == nil || target == nil || target.buckets[name] != nil {
		return nil
	}
	target.buckets[name] = source.buckets[name]
	delete(source.buckets, name)
	return tx.Bucket([]byte(from)).MoveBucket([]byte(name), tx.Bucket([]byte(to)))
}

// same compares a bucket with its model, forwards, backwards and by seeking.
func same(t *testing.T, r *rand.Rand, b *Bucket, m *model, n int) {
	t.Helper()
	want := m.keys()
	var got, back []string
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		got = append(got, string(k))
		if row, ok := m.rows[string(k)]; ok != (v != nil) || row != string(v) {
			t.Errorf("after %d commits: %q is %d bytes, want %d", n, k, len(v), len(row))
		}
	}
	for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
		back = append(back, string(k))
	}
	slices.Reverse(back)
	if !slices.Equal(got, want) || !slices.Equal(back, want) {
		t.Errorf("after %d commits: %d keys forwards, %d backwards, want %d", n, len(got), len(back), len(want))
	}
	for range 20 {
		key := name(r, 1<<20)
		at, _ := slices.BinarySearch(want, key)
		k, _ := c.Seek([]byte(key))
		if at == len(want) != (k == nil) || k != nil && string(k) != want[at] {
			t.Errorf("after %d commits: sought %q, found %q", n, key, k)
		}
		if k, _ := c.Prev(); at > 0 && string(k) != want[at-1] {
			t.Errorf("after %d commits: before %q is %q", n, key, k)
		}
		if _, there := m.rows[key]; (b.Get([]byte(key)) != nil) != there {
			t.Errorf("after %d commits: %q is there: %v", n, key, !there)
		}
	}
	for k, in := range m.buckets {
		if inner := b.Bucket([]byte(k)); inner == nil {
			t.Errorf("after %d commits: no bucket %q", n, k)
		} else {
			same(t, r, inner, in, n)
		}
	}
}

// TestLastOfNone: bbolt's own Last loops for ever here.
func TestLastOfNone(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "test.db"), 0o600, &Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.NoSync = true
	err = db.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		for n := 0; n < 1000 && err == nil; n++ {
			err = b.Put(fmt.Appendf(nil, "%05d", n), make([]byte, 50))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	hangs := time.AfterFunc(20*time.Second, func() { panic("it does not end") })
	defer hangs.Stop()
	err = db.Update(func(tx *Tx) error {
		b := tx.Bucket([]byte("b"))
		for n := range 1000 {
			if k, _ := b.Cursor().Last(); string(k) != "00999" && n < 999 {
				t.Fatalf("without %d rows the last is %q", n, k)
			}
			if err := b.Delete(fmt.Appendf(nil, "%05d", n)); err != nil {
				return err
			}
		}
		if k, _ := b.Cursor().Last(); k != nil {
			t.Errorf("of no rows the last is %q", k)
		}
		if err := b.Put([]byte("00000"), nil); err != nil {
			return err
		}
		if k, _ := b.Cursor().Last(); string(k) != "00000" {
			t.Errorf("of one row the last is %q", k)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
