package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/people"
)

// TestRemoveSiteInUse removes a site again and again while visitors use it and
// another: the other keeps all its rows, the file stays valid, and after the last
// removal and Compact the file has no bytes of the site.
func TestRemoveSiteInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	const removed, kept = "removed.example", "kept.example"
	var writers sync.WaitGroup
	stop := make(chan struct{})
	var stored [4]int
	for w := range stored {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					stored[w] = n
					return
				default:
				}
				for _, site := range []string{removed, kept} {
					sub := pushsvc.Subscription{
						Site: site, Endpoint: fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%s-%d-%d", site, w, n),
						Created: time.Unix(1, 0), Seen: time.Unix(1, 0), Device: pushsvc.DeviceID{byte(w), byte(n), byte(n >> 8), 1},
					}
					if _, err := s.PutSubscription(t.Context(), sub, nil); err != nil {
						t.Errorf("storing: %v", err)
					}
					b := people.Batch{Device: sub.Device, At: time.Unix(1, 0), Entries: []people.Entry{{Kind: people.EntryEvent, Name: "E", Time: time.Unix(1, 0)}}}
					if _, err := s.Track(t.Context(), site, b); err != nil {
						t.Errorf("storing: %v", err)
					}
				}
			}
		})
	}
	for range 40 {
		time.Sleep(5 * time.Millisecond)
		if err := s.RemoveSite(t.Context(), removed); err != nil && !errors.Is(err, pushsvc.ErrNotFound) {
			t.Error(err)
		}
		if _, err := s.Sweep(t.Context(), 50); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	writers.Wait()
	if err := s.RemoveSite(t.Context(), removed); err != nil && !errors.Is(err, pushsvc.ErrNotFound) {
		t.Error(err)
	}
	want := stored[0] + stored[1] + stored[2] + stored[3]
	if sum, err := s.Site(t.Context(), kept); err != nil || sum.Subscriptions != int64(want) {
		t.Errorf("%+v, %v; want %d", sum, err, want)
	}
	if _, _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := CheckFile(t.Context(), path)
	if err != nil || c.Damaged > 0 || c.Sites != 1 || c.Subscriptions != want {
		t.Errorf("%+v, %v; want %d subscriptions", c, err, want)
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, []byte(removed)) {
		t.Errorf("the file has the removed site's bytes, %v", err)
	}
	if s = open(t, path); s != nil {
		defer s.Close()
	}
	if n, err := s.Sweep(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("%d rows to be swept after Compact, %v", n, err)
	}
}
