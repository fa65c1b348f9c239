package boltstore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// indexModel compares a store with its expected rows, by site and number.
type indexModel struct {
	*testing.T
	s    *Store
	path string
	rows map[string]map[int]pushsvc.Subscription
}

// put stores a subscription; a known one keeps its id.
func (m *indexModel) put(site string, n int, replaces *pushsvc.Proof) {
	m.Helper()
	sub := realistic(n)
	sub.Site = site
	old, known := m.rows[site][n]
	if known {
		sub.Auth = old.Auth
	}
	row, err := m.s.PutSubscription(m.Context(), sub, replaces)
	if err != nil || known && row.ID != old.ID {
		m.Fatalf("%s %d: id %d, want %d, %v", site, n, row.ID, old.ID, err)
	}
	m.rows[site][n] = row
}

// add imports many new ones.
func (m *indexModel) add(site string, first int) {
	m.Helper()
	subs := make([]pushsvc.Subscription, 400)
	for i := range subs {
		subs[i] = realistic(first + i)
	}
	if n, err := m.s.ImportSubscriptions(m.Context(), site, subs); err != nil || n.Added != len(subs) {
		m.Fatalf("%+v, %v", n, err)
	}
	for i, row := range lastRows(m.T, m.s, site, len(subs)) {
		m.rows[site][first+i] = row
	}
}

// some calls fn with a few rows of a site.
func (m *indexModel) some(site string, few int, fn func(n int, row pushsvc.Subscription)) {
	for n, row := range m.rows[site] {
		if few--; few < 0 {
			return
		}
		fn(n, row)
	}
}

// crash continues with the committed data.
func (m *indexModel) crash() {
	m.Helper()
	data, err := os.ReadFile(m.path)
	if err != nil {
		m.Fatal(err)
	}
	if err := m.s.Close(); err != nil {
		m.Fatal(err)
	}
	m.path = writeFile(m.T, data)
	m.s = open(m.T, m.path)
}

// known imports all again: each endpoint leads to its row.
func (m *indexModel) known() (total int) {
	m.Helper()
	for site, rows := range m.rows {
		var subs []pushsvc.Subscription
		for n, row := range rows {
			sub := realistic(n)
			sub.Auth, sub.Seen = row.Auth, row.Seen.Add(-1)
			subs = append(subs, sub)
		}
		if n, err := m.s.ImportSubscriptions(m.Context(), site, subs); err != nil || n.Known != len(rows) {
			m.Errorf("%s has %d: %+v, %v", site, len(rows), n, err)
		}
		total += len(rows)
	}
	return total
}

// TestIndexModel puts, imports, re-keys and deletes at random, with crashes; each
// endpoint always leads to its row.
func TestIndexModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	path := filepath.Join(t.TempDir(), "webpush.db")
	m := &indexModel{T: t, s: open(t, path), path: path, rows: map[string]map[int]pushsvc.Subscription{"a.example": {}, "b.example": {}}}
	for step := range 120 {
		site := []string{"a.example", "b.example"}[r.IntN(2)]
		switch r.IntN(7) {
		case 0, 1:
			m.add(site, 1_000_000+step*1000)
		case 2: // some unsubscribe
			m.some(site, 5, func(n int, row pushsvc.Subscription) {
				if err := m.s.DeleteSubscription(t.Context(), site, row.ID); err != nil {
					t.Fatalf("%s %d: %v", site, n, err)
				}
				delete(m.rows[site], n)
			})
		case 3: // one changes its endpoint
			m.some(site, 1, func(n int, row pushsvc.Subscription) {
				delete(m.rows[site], n)
				m.put(site, 5_000_000+step, &pushsvc.Proof{Endpoint: row.Endpoint, Auth: row.Auth})
				if next := m.rows[site][5_000_000+step]; next.ID != row.ID {
					t.Fatalf("it has id %d, not the former's %d", next.ID, row.ID)
				}
			})
		case 4: // some subscribe again
			m.some(site, 5, func(n int, _ pushsvc.Subscription) { m.put(site, n, nil) })
		case 5:
			m.put(site, r.IntN(100), nil)
		case 6:
			m.crash()
		}
	}
	total := m.known()
	m.crash()
	m.known()
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := CheckFile(t.Context(), m.path)
	if err != nil || c.Damaged != 0 || c.Subscriptions != total || total < 5*leastWaiting {
		t.Errorf("%+v, %v; want %d", c, err, total)
	}
}

// lastRows returns the newest n rows of a site.
func lastRows(t *testing.T, s *Store, site string, n int) []pushsvc.Subscription {
	t.Helper()
	rows, err := s.SubscriptionPage(t.Context(), site, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return rows[len(rows)-n:]
}

// TestIndexWaits: entries wait in memory, not too many, and not for ever.
func TestIndexWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	const n = 20_000
	if err := storeMessage(s, "m", n); err != nil {
		t.Fatal(err)
	}
	stored := func() uint64 {
		n, err := read(t.Context(), s, func(tx *bolt.Tx) (uint64, error) {
			st, _ := openSite(tx, noteSite)
			return st.count(siteIndex), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	have := stored()
	if have == n || have < n-n/8-n/256*2 {
		t.Errorf("%d of %d are in the bucket", have, n)
	}
	waiting, err := write(t.Context(), s, func(w *writeTx) (n uint64, err error) { // in the committer, which owns the entries
		for _, entries := range w.s.recent.sites[noteSite].bins {
			n += uint64(len(entries))
		}
		if n != uint64(w.s.recent.count) {
			t.Errorf("%d wait, and %d are counted", n, w.s.recent.count)
		}
		return n, nil
	})
	if err != nil || waiting != n-have {
		t.Errorf("%d wait, %v; want the %d that are not in the bucket", waiting, err, n-have)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if have := stored(); have != n {
		t.Errorf("%d of %d are in the bucket after a start", have, n)
	}
}

// TestIndexDamaged: a page of the index that can't be written fails only the
// calls that need it.
func TestIndexDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	const n = 30_000
	if err := storeMessage(s, "m", n); err != nil {
		t.Fatal(err)
	}
	// A crash, so that the page's entries are rebuilt.
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	path = writeFile(t, data)
	zeroIndexLeaf(t, path)
	s, err = Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	failed := 0
	results := make(chan error, 1000)
	atOnce := make(chan struct{}, 100) // a slow disk takes no more within a visitor's limit
	for i := range cap(results) {
		go func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			_, err := s.PutSubscription(t.Context(), realistic(n+i), nil)
			results <- err
		}()
	}
	for range cap(results) {
		var damage *DamageError
		if err := <-results; errors.As(err, &damage) {
			failed++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if failed == 0 || failed > 60 {
		t.Errorf("%d of %d failed", failed, cap(results))
	}
	subs := make([]pushsvc.Subscription, 0, 25_000)
	_, err = read(t.Context(), s, func(tx *bolt.Tx) (int, error) { // those with a readable place
		st, _ := openSite(tx, noteSite)
		for i := range cap(subs) {
			sub := realistic(100_000 + i)
			h := indexKey(sub.Endpoint)
			if catch(func() error { st.b.Bucket([]byte(siteIndex)).Get(h[:]); return nil }) == nil {
				subs = append(subs, sub)
			}
		}
		return 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(subs) == cap(subs) {
		t.Error("all have a place: the test tests nothing")
	}
	for len(subs) > 0 { // enough for each bin to have its turn
		k := min(1000, len(subs))
		if got, err := s.ImportSubscriptions(t.Context(), noteSite, subs[:k]); err != nil || got.Added != k {
			t.Fatalf("%+v, %v", got, err)
		}
		subs = subs[k:]
	}
	if len(s.recent.stuck) == 0 {
		t.Error("no bin is stuck: the test tests nothing")
	}
}

// zeroIndexLeaf clears a page in the middle of the index.
func zeroIndexLeaf(t *testing.T, path string) {
	t.Helper()
	var page int64
	edit(t, path, func(tx *bolt.Tx) error {
		st, _ := openSite(tx, noteSite)
		index := st.b.Bucket([]byte(siteIndex))
		k, _ := index.Cursor().Seek([]byte{0x80})
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for at := int64(2 * 4096); at < int64(len(data)); at += 4096 {
			p := data[at:][:4096]
			if p[8] == flagLeaf && p[9] == 0 && bytes.Contains(p, k) {
				page = at
			}
		}
		return nil
	})
	if page == 0 {
		t.Fatal("no page of the index was found")
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 4096), page); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
