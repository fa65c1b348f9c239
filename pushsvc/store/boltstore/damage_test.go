package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// written holds every row of every file of this process. A flipped bit of an
// offset may lead bbolt into another file's memory map; a row found there is
// valid too.
var written sync.Map

// sample makes a closed store with subscriptions of two sites, messages and keys,
// and returns its bytes and its subscriptions.
func sample(t *testing.T) ([]byte, map[string]pushsvc.Subscription) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	rows := map[string]pushsvc.Subscription{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n := range 400 {
		wg.Go(func() {
			sub := realistic(n)
			if n%4 == 0 {
				sub.Site = "other.example"
			}
			if n%3 == 0 {
				sub.Topics = []string{"deals", "news"}
			}
			row, err := s.PutSubscription(t.Context(), sub, nil)
			if err != nil {
				t.Error(err)
			}
			written.Store(fmt.Sprintf("%+v", row), true)
			mu.Lock()
			defer mu.Unlock()
			rows[row.Endpoint] = row
		})
	}
	wg.Wait()
	for n := range 5 {
		m := pushsvc.Message{ID: fmt.Sprintf("01935a%02d", n), Site: "shop.example.com", Content: pushsvc.Content{Title: "Title"}}
		if _, _, err := s.CreateMessage(t.Context(), m, pushsvc.Idempotency{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ImportKey(t.Context(), pushsvc.Key{ID: "id", Public: "public", Private: "private"}, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data, rows
}

// writeFile writes bytes to a new file.
func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webpush.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOpenRefuses: each of these files causes a helpful error, and stays
// unchanged.
func TestOpenRefuses(t *testing.T) {
	good, _ := sample(t)
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	cases := []struct {
		name string
		data []byte
		want string
	}{
		{"text", []byte("shop.example.com {\n\twebpush\n}\n"), "damaged"},
		{"noise", noise, "damaged"},
		{"zeros", make([]byte, 1<<16), "damaged"},
		{"one page", good[:4096], "cut short|too small"},
		{"first pages", good[:4*4096], "cut short"},
		{"all but a page", good[:used(t, good)-4096], "cut short"},
		{"both meta pages zeroed", append(make([]byte, 2*4096), good[2*4096:]...), "damaged"},
		{"endless page", endless(t, good), "claims to be"},
		{"newer format", newer(t, good), fmt.Sprintf("format %d, this program knows formats up to %d", formatVersion+1, formatVersion)},
		{"another program's", foreign(t), "another program"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, c.data)
			s, err := Open(t.Context(), path, Options{Timeout: time.Second})
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			found := false
			for want := range strings.SplitSeq(c.want, "|") {
				found = found || strings.Contains(err.Error(), want)
			}
			if !found {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(after, c.data) {
				t.Errorf("the file was changed, %v", err)
			}
			// The lock is free again: a valid file in its place opens.
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			_ = open(t, path).Close()
		})
	}
}

// edit changes a store's file through bbolt.
func edit(t *testing.T, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// used returns the size of the part of the file that holds pages.
func used(t *testing.T, data []byte) (size int64) {
	t.Helper()
	edit(t, writeFile(t, data), func(tx *bolt.Tx) error {
		size = tx.Size()
		return nil
	})
	return size
}

// endless damages the length of a page in use.
func endless(t *testing.T, good []byte) []byte {
	t.Helper()
	for id := 2; id < len(good)/4096; id++ {
		data := bytes.Clone(good)
		data[id*4096+15] ^= 0x80
		if verify(bytes.NewReader(data), 4096, func(error) {}) != nil {
			return data
		}
	}
	t.Fatal("no page is in use")
	return nil
}

func newer(t *testing.T, good []byte) []byte {
	t.Helper()
	path := writeFile(t, good)
	edit(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(metaFormat), binary.BigEndian.AppendUint32(nil, formatVersion+1))
	})
	return readFile(t, path)
}

func foreign(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "foreign.db")
	edit(t, path, func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("things"))
		return err
	})
	return readFile(t, path)
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDamagedRow flips one bit of one row.
func TestDamagedRow(t *testing.T) {
	good, rows := sample(t)
	victim := rows[realistic(1).Endpoint]
	at := bytes.LastIndex(good, []byte(victim.Endpoint[len(endpointPrefixes[1]):]))
	if at < 0 {
		t.Fatal("the row is not in the file")
	}
	// Damage every copy, because the file still has pages of earlier
	// transactions.
	for i := bytes.Index(good, good[at:at+100]); i >= 0 && i <= at; {
		good[i+20] ^= 0x10
		next := bytes.Index(good[i+1:], []byte(victim.Endpoint[len(endpointPrefixes[1]):]))
		if next < 0 {
			break
		}
		i += 1 + next
	}
	var reported []error
	s, err := Open(t.Context(), writeFile(t, good), Options{OnDamage: func(err error) { reported = append(reported, err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	page, err := s.SubscriptionPage(t.Context(), victim.Site, 0, 1000)
	if err != nil || len(page) != 299 {
		t.Errorf("%d rows are readable, %v; want 299", len(page), err)
	}
	if page, err := s.SubscriptionPage(t.Context(), victim.Site, victim.ID-1, 1); err != nil || len(page) != 1 || page[0].ID <= victim.ID {
		t.Errorf("the page that begins with the damaged row has %d rows, %v", len(page), err)
	}
	want := fmt.Sprintf(`bucket "subscriptions" of site "shop.example.com", id %d:`, victim.ID)
	for _, err := range reported {
		var damage *DamageError
		if !errors.As(err, &damage) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "fcm") {
			t.Errorf("reported %q, want %q in it and no endpoint", err, want)
		}
	}
	if len(reported) != 2 {
		t.Errorf("%d reports, want 2", len(reported))
	}
	if ok, err := s.DeleteProven(t.Context(), victim.Site, pushsvc.Proof{Endpoint: victim.Endpoint, Auth: victim.Auth}); ok || err == nil {
		t.Errorf("a proof of a damaged row: %v, %v; want an error", ok, err)
	}
	// The browser subscribes again: the row is repaired and keeps its id.
	healed, err := s.PutSubscription(t.Context(), victim, nil)
	if err != nil || !reflect.DeepEqual(healed, victim) {
		t.Errorf("healed %v, %v", healed.ID, err)
	}
	if sum, err := s.Site(t.Context(), victim.Site); err != nil || sum.Subscriptions != 300 {
		t.Errorf("the site counts %d, %v; want 300", sum.Subscriptions, err)
	}
}

// TestDamagedCounts: damaged numbers are counted again, and a damaged row can be
// removed by its id.
func TestDamagedCounts(t *testing.T) {
	good, rows := sample(t)
	path := writeFile(t, good)
	victim := rows[realistic(1).Endpoint]
	edit(t, path, func(tx *bolt.Tx) error {
		st, _ := openSite(tx, victim.Site)
		v := append([]byte(nil), st.b.Get([]byte(siteCounts))...)
		v[12] ^= 1
		subs := st.b.Bucket([]byte(siteSubs))
		row := append([]byte(nil), subs.Get(idKey(victim.ID))...)
		row[50] ^= 1
		return errors.Join(st.b.Put([]byte(siteCounts), v), subs.Put(idKey(victim.ID), row))
	})
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if sum, err := s.Site(t.Context(), victim.Site); err != nil || sum.Subscriptions != 300 || sum.Messages != 5 {
		t.Errorf("%+v, %v; want 300, 5", sum, err)
	}
	if err := s.DeleteSubscription(t.Context(), victim.Site, victim.ID); err != nil {
		t.Errorf("deleting the damaged row: %v", err)
	}
	if sum, err := s.Site(t.Context(), victim.Site); err != nil || sum.Subscriptions != 299 {
		t.Errorf("%+v, %v; want 299", sum, err)
	}
}

// TestRandomDamage damages a store in many ways. Nothing may panic or hang, and
// every row that is read must have been written.
func TestRandomDamage(t *testing.T) {
	const trials = 160
	good, rows := sample(t)
	pages := int(used(t, good)) // after them is spare room, which is never read
	r := rand.New(rand.NewPCG(7, 11))
	var mu sync.Mutex
	var wg sync.WaitGroup
	opened, detected := 0, 0
	slots := make(chan struct{}, 8)
	for trial := range trials {
		data := bytes.Clone(good)
		kind := damageAt(r, data[:pages], trial%4)
		path := writeFile(t, data)
		slots <- struct{}{}
		wg.Go(func() {
			hangs := time.AfterFunc(20*time.Second, func() { panic(fmt.Sprintf("trial %d (%s) hangs", trial, kind)) })
			ok, errs := useDamaged(t, path, rows)
			hangs.Stop()
			<-slots
			mu.Lock()
			defer mu.Unlock()
			if ok {
				opened++
			}
			if errs > 0 {
				detected++
			}
		})
	}
	wg.Wait()
	t.Logf("of %d damaged files %d opened, %d gave errors", trials, opened, detected)
	if opened == 0 || detected == 0 {
		t.Error("no file opened, or no damage was noticed: the test tests nothing")
	}
}

func damageAt(r *rand.Rand, data []byte, kind int) string {
	page := data[r.IntN(len(data)/4096)*4096:][:4096]
	switch kind {
	case 0:
		for range 1 + r.IntN(50) {
			data[r.IntN(len(data))] ^= 1 << r.IntN(8)
		}
		return "bits"
	case 1:
		for i := range page {
			page[i] = byte(r.Uint32())
		}
		return "noise"
	case 2:
		clear(page)
		return "zeros"
	default:
		copy(page, data[r.IntN(len(data)/4096)*4096:][:4096])
		return "another page"
	}
}

// useDamaged calls every method and returns whether the file opened, and the
// number of errors.
func useDamaged(t *testing.T, path string, rows map[string]pushsvc.Subscription) (opened bool, errs int) {
	ctx := context.Background()
	count := func(err error) {
		if err != nil && !errors.Is(err, pushsvc.ErrNotFound) {
			errs++
			if strings.Contains(err.Error(), "APA91b") {
				t.Errorf("an error shows an endpoint: %.300v", err)
			}
		}
	}
	var mu sync.Mutex
	s, err := Open(ctx, path, Options{Timeout: time.Second, OnDamage: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		count(err)
	}})
	if err != nil {
		count(err)
		return false, errs
	}
	for _, site := range []string{"shop.example.com", "other.example"} {
		page, err := s.SubscriptionPage(ctx, site, 0, 1000)
		count(err)
		for _, row := range page {
			if _, ok := written.Load(fmt.Sprintf("%+v", row)); !ok {
				t.Errorf("a row was read that was never written: site %s, id %d\n%s", row.Site, row.ID, cmp.Diff(rows[row.Endpoint], row))
			}
		}
		_, err = s.Site(ctx, site)
		count(err)
		_, err = s.MessagePage(ctx, site, "", 100)
		count(err)
	}
	_, err = s.at(time.Unix(1, 0)).Unfinished(ctx, "", 100)
	count(err)
	_, err = s.Keys(ctx)
	count(err)
	_, err = s.Secret(ctx)
	count(err)
	for n := range 6 {
		sub := realistic(n * 67)
		row, err := s.PutSubscription(ctx, sub, nil)
		written.Store(fmt.Sprintf("%+v", row), true)
		count(err)
		count(s.DeleteSubscription(ctx, sub.Site, pushsvc.SubscriptionID(1+n*41)))
	}
	_, _, err = s.at(time.Unix(1, 0)).Claim(ctx, "shop.example.com", "01935a01", "x", time.Second)
	count(err)
	count(s.Close())
	return true, errs
}

// TestDamageTexts: a name or id from a damaged page may be any bytes.
func TestDamageTexts(t *testing.T) {
	secret := "https://fcm.googleapis.com/fcm/send/abc:APA91b" + strings.Repeat("x", 100)
	for _, c := range []struct{ site, bucket, key, want string }{
		{"a.example", siteMessages, "01935a00-0001-7000-8000-000000000000", `of site "a.example", id 01935a00-0001-7000-8000-000000000000:`},
		{"a.example", siteMessages, secret, `of site "a.example", id (unprintable):`},
		{"a.example", siteMessages, "a\x00b", `of site "a.example", id (unprintable):`},
		{secret, siteMessages, "1", "of a site whose name is damaged, id 1:"},
		{"a.example", siteSubs, "\x00\x00\x00\x00\x00\x00\x01\x00", `of site "a.example", id 256:`},
		{"a.example", siteSubs, secret, `of site "a.example", one row:`},
		{"a.example", siteIdem, secret, `of site "a.example", one row:`},
	} {
		err := site{name: c.site}.damage(c.bucket, []byte(c.key), errors.New("fault"))
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "APA91b") {
			t.Errorf("%q, want %q in it", err, c.want)
		}
	}
}
