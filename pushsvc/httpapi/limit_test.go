package httpapi_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc/httpapi"
)

func TestClientLimit(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := httpapi.NewClientLimit(6)
	take := func(client string) bool {
		addr, _ := netip.ParseAddr(client)
		wait, ok := l.Take(addr, now, 1)
		if ok == (wait > 0) || wait > 10*time.Second {
			t.Errorf("%s: %t, wait %v", client, ok, wait)
		}
		return ok
	}
	for range 6 {
		if !take("192.0.2.1") {
			t.Fatal("refused at once")
		}
	}
	if take("192.0.2.1") || take("::ffff:192.0.2.1") {
		t.Error("the seventh was taken")
	}
	if !take("192.0.2.2") {
		t.Error("another client is refused")
	}
	for i := range 6 {
		if !take("2001:db8::" + strconv.Itoa(i+1)) {
			t.Error("refused at once")
		}
	}
	if take("2001:db8::ffff:1") || take("2001:db8::1%eth0") {
		t.Error("an address of the same network is another client")
	}
	if !take("2001:db8:0:1::1") {
		t.Error("another network is the same client")
	}
	now = now.Add(10 * time.Second)
	if !take("192.0.2.1") || take("192.0.2.1") {
		t.Error("in ten seconds there is one more")
	}
	now = now.Add(-time.Hour)
	if take("192.0.2.1") {
		t.Error("a clock set back adds posts")
	}
	now = now.Add(3 * time.Hour)
	for range 6 {
		if !take("192.0.2.1") {
			t.Error("an hour fills no more than the bucket")
		}
	}
	if take("192.0.2.1") {
		t.Error("an hour fills more than the bucket")
	}
	for i := range 7 {
		if take("") != (i < 6) {
			t.Error("clients without an address are not one")
		}
	}
}

// TestClientLimitWide: a client with a network of many networks does not count as that many
// clients.
func TestClientLimitWide(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := httpapi.NewClientLimit(6)
	taken := 0
	for i := range 1000 {
		addr := netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i))
		if _, ok := l.Take(addr, now, 1); ok {
			taken++
		}
	}
	if taken != 16*6 {
		t.Errorf("a network of 48 bits posts %d times at once; want %d", taken, 16*6)
	}
	if _, ok := l.Take(netip.MustParseAddr("2001:db8:2::1"), now, 1); !ok {
		t.Error("another network is refused")
	}
}

// TestClientLimitTakeover: clients that come meanwhile don't give a full bucket to one that has
// spent everything.
func TestClientLimitTakeover(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := httpapi.NewClientLimit(100)
	busy, taken := netip.MustParseAddr("192.0.2.1"), 0
	for i := range 100_000 {
		if _, ok := l.Take(busy, now, 1); ok {
			taken++
		}
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], uint32(i))
		l.Take(netip.AddrFrom4(a), now, 1)
	}
	if taken != 100 {
		t.Errorf("one client posts %d times at once between 100,000 others; want 100", taken)
	}
}

// TestClientLimitBounded: a million clients need no memory of their own, and clients hardly ever
// cause each other's refusal.
func TestClientLimitBounded(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := httpapi.NewClientLimit(1)
	refused := 0
	allocated := testing.AllocsPerRun(1, func() {
		for i := range 1_000_000 {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], uint32(i))
			if _, ok := l.Take(netip.AddrFrom4(a), now, 1); !ok {
				refused++
			}
		}
	})
	// The function runs twice, so each client comes again; by then others have replaced it.
	if allocated > 10 || refused > 100_000 {
		t.Errorf("%v allocations, %d refused", allocated, refused)
	}
}

// TestClientLimitCost: a large post takes more, is never refused for its size alone, and is paid
// for by waiting.
func TestClientLimitCost(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := httpapi.NewClientLimit(6) // one in ten seconds
	client := netip.MustParseAddr("192.0.2.1")
	if _, ok := l.Take(client, now, 16); !ok {
		t.Fatal("one that is larger than all of a minute's is never taken")
	}
	wait, ok := l.Take(client, now, 1)
	if ok || wait != 110*time.Second {
		t.Errorf("%t, %v to wait; want 11 times ten seconds", ok, wait)
	}
	if _, ok := l.Take(client, now.Add(109*time.Second), 1); ok {
		t.Error("taken a second early")
	}
	if _, ok := l.Take(client, now.Add(110*time.Second), 1); !ok {
		t.Error("not taken in time")
	}
}

// TestEventLimitBytes: large batches of events count as several.
func TestEventLimitBytes(t *testing.T) {
	f := newFixture(t)
	refused := 0
	f.limit(httpapi.NewClientLimit(20), &refused)
	large := `{"batch":"%s","events":[{"type":"event","name":"x"}` + strings.Repeat(`,{"type":"event","name":"`+strings.Repeat("y", 500)+`"}`, 110) + `]}`
	var got []int
	for n := range 4 {
		a := f.post(siteA, "events", fmt.Sprintf(large, random(n)))
		got = append(got, a.status)
	}
	if len(large) < 50<<10 || !slices.Equal(got, []int{204, 204, 429, 429}) || refused != 2 {
		t.Errorf("batches of %d bytes: %v", len(large), got)
	}
}

func TestSubscribeLimit(t *testing.T) {
	f := newFixture(t)
	limited := 0
	f.public.Close()
	f.public = httptest.NewServer(f.handler(&httpapi.Public{
		Service: f.service, Logger: f.logger(), Limit: httpapi.NewClientLimit(3), Limited: func() { limited++ },
	}))
	t.Cleanup(f.public.Close)
	for i := range 5 {
		a := f.post(siteA, "subscribe", newBrowser(t, i).json(""))
		if i < 3 {
			f.subscribed(a)
			continue
		}
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		if a.status != http.StatusTooManyRequests || a.problem(t).Detail == "" || err != nil || wait < 1 || wait > 21 {
			t.Errorf("%d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if limited != 2 || f.count(siteA) != 3 {
		t.Errorf("%d reported, %d stored", limited, f.count(siteA))
	}
	// Other requests are not limited.
	if a := f.post(siteA, "unsubscribe", newBrowser(t, 1).proof()); a.status != http.StatusNoContent {
		t.Errorf("unsubscribe: %d %s", a.status, a.body)
	}
}

// TestClientLimitCharge: a cost beyond what was known at first is paid for by waiting.
func TestClientLimitCharge(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := httpapi.NewClientLimit(60)
	for _, client := range []string{"192.0.2.1", "2001:db8::1"} {
		addr := netip.MustParseAddr(client)
		l.Charge(addr, now, 90)
		if wait, ok := l.Take(addr, now, 1); ok || wait < 30*time.Second || wait > 32*time.Second {
			t.Errorf("%s: %v, %t", client, wait, ok)
		}
	}
}

// TestEventLimitOps: a client pays for what its batches cost the store, not for their
// bytes.
func TestEventLimitOps(t *testing.T) {
	f := newFixture(t)
	refused := 0
	f.limit(httpapi.NewClientLimit(3000), &refused)
	ones := "[" + strings.Repeat("1,", 99) + "1]"
	v := &visit{fixture: f, site: siteA}
	if a := v.send(`{"type":"profile","set":{"A":[` + strings.Repeat(ones+",", 99) + ones + `]}}`); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	heavy := `{"type":"profile","ops":[` + strings.Repeat(`{"op":"add","key":"A","value":1},`, 99) + `{"op":"add","key":"A","value":1}]}`
	taken := 0
	for range 200 {
		start := time.Now()
		a := v.send(slices.Repeat([]string{heavy}, 10)...)
		if a.status == http.StatusTooManyRequests {
			break
		}
		if taken++; a.status != http.StatusNoContent {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Fatalf("a batch took %v", took)
		}
	}
	if taken == 0 || taken > 60 {
		t.Errorf("%d batches of 1,000 operations were taken of one client within a minute; each costs as much as 50 to 100 others", taken)
	}
}
