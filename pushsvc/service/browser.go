package service

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"sync"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// ErrReplaced means that the cookie was replaced a moment ago: the browser has a
// new one, or gets it with an answer in transit. If it repeats the post with
// that, the post reaches the right profile.
var ErrReplaced = errors.New("the cookie has just been replaced")

// replacedFor is how long a request with a replaced cookie is refused. Later, its
// sender is a new visitor.
const replacedFor = 30 * time.Second

// maxReplaced limits how many are remembered. If one is forgotten too early,
// requests in transit count for an anonymous visitor.
const maxReplaced = 10_000

// replacements are the devices whose cookies were replaced recently.
type replacements struct {
	mu       sync.Mutex
	byDevice map[pushsvc.DeviceID]replacement
}

type replacement struct {
	batch string
	at    time.Time
}

// begin records that the batch may replace the device's cookie; it returns false
// if another batch just did.
func (r *replacements) begin(device pushsvc.DeviceID, batch string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have, ok := r.byDevice[device]; ok && now.Sub(have.at) < replacedFor {
		return have.batch == batch
	}
	if batch == "" {
		return true
	}
	if r.byDevice == nil {
		r.byDevice = map[pushsvc.DeviceID]replacement{}
	}
	r.makeRoom(now)
	r.byDevice[device] = replacement{batch, now}
	return true
}

// makeRoom checks only a few, so that no request waits long: it removes old ones,
// and one in any case if there are too many.
func (r *replacements) makeRoom(now time.Time) {
	looked := 0
	for d, have := range r.byDevice {
		if looked++; now.Sub(have.at) >= replacedFor || looked == 8 && len(r.byDevice) >= maxReplaced {
			delete(r.byDevice, d)
		}
		if looked == 8 {
			return
		}
	}
}

// undo removes the record: nothing was replaced.
func (r *replacements) undo(device pushsvc.DeviceID, batch string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byDevice[device].batch == batch {
		delete(r.byDevice, device)
	}
}

// Known returns ErrReplaced if the browser's cookie was replaced.
func (s *Service) Known(b pushsvc.Browser) error {
	if b.IsZero() || s.replaced.begin(b.Device(), "", s.Clock()) {
		return nil
	}
	return ErrReplaced
}

// OpenCookies returns the browser of the valid cookie that was issued last.
// Cookies that the server has not made for the site are ignored.
func (s *Service) OpenCookies(ctx context.Context, site string, cookies []string) (found pushsvc.Browser, ok bool, err error) {
	if len(cookies) == 0 {
		return found, false, nil
	}
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return found, false, err
	}
	for _, text := range cookies {
		for _, name := range s.signedFor(site) {
			b, genuine := pushsvc.OpenDeviceCookie(secret, name, text)
			if genuine && (!ok || b.Issued.After(found.Issued)) {
				found, ok = b, true
			}
		}
	}
	return found, ok, nil
}

// NewBrowser makes a browser for the seed. The same seed makes the same one, so
// that a browser that got no answer remains the same when it repeats the post.
// Without a seed it is a new one.
func (s *Service) NewBrowser(ctx context.Context, site, seed string) (pushsvc.Browser, error) {
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return pushsvc.Browser{}, err
	}
	if !pushsvc.IsRandomID(seed) {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails (crypto/rand, Go 1.24)
		seed = base64.RawURLEncoding.EncodeToString(random[:])
	}
	return pushsvc.NewBrowser(secret, site, seed, s.Clock()), nil
}

// NextBrowser returns the browser after the batch has replaced its cookie.
func (s *Service) NextBrowser(ctx context.Context, site string, b pushsvc.Browser, batch string) (pushsvc.Browser, error) {
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return b, err
	}
	return b.Next(secret, site, batch, s.Clock()), nil
}

// Cookie returns the value of the browser's cookie.
func (s *Service) Cookie(ctx context.Context, site string, b pushsvc.Browser) (pushsvc.DeviceCookie, error) {
	secret, err := s.live().Secret(ctx)
	if err != nil {
		return "", err
	}
	return b.Cookie(secret, site), nil
}
