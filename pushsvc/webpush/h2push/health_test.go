package h2push

import (
	"errors"
	"testing"
	"time"
)

// Silence and idleness need time, so these tests are not parallel.

// TestSilence: a silent connection gets a PING, and is closed if it does not answer. A second silence soon
// after retires it without a PING.
func TestSilence(t *testing.T) {
	deaf := startRaw(t, testConfig(), nil, func(p *rawPeer) { p.drain() })
	if word := outcome(send(t, deaf, testRequest(1))); word != "timeout" {
		t.Errorf("deaf: %s", word)
	}
	if deaf.Reserve() {
		t.Error("takes requests while it waits for a sign of life")
	}
	expectDone(t, deaf)
	if !errors.Is(deaf.Err(), ErrSilent) {
		t.Errorf("ended by %v", deaf.Err())
	}

	slow := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		for {
			frame := p.next()
			if frame == nil {
				return
			}
			if ping := frame.Header(); ping.Type == 6 && ping.Flags == 0 {
				_ = p.WritePing(true, [8]byte{})
			}
		}
	})
	if word := outcome(send(t, slow, testRequest(1))); word != "timeout" {
		t.Errorf("slow: %s", word)
	}
	waitFor(t, func() bool { return slow.InFlight() == 0 && slow.Reserve() })
	if _, err := slow.RoundTrip(t.Context(), testRequest(1), time.Now().Add(50*time.Millisecond)); outcome(Response{}, err) != "timeout" {
		t.Errorf("slow again: %v", err)
	}
	expectDone(t, slow)
	if !errors.Is(slow.Err(), ErrSilent) {
		t.Errorf("ended by %v", slow.Err())
	}
}

// TestBusy: a request that times out while others are answered does not count against the connection.
func TestBusy(t *testing.T) {
	c := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		p.request()
		for id := p.request(); id != 0; id = p.request() {
			p.status(id, 201)
		}
	})
	lost := make(chan string)
	go func() { lost <- outcome(send(t, c, testRequest(1))) }()
	waitFor(t, func() bool { return c.InFlight() == 1 })
	for range 3 {
		if word := outcome(send(t, c, testRequest(1))); word != "201" {
			t.Error(word)
		}
	}
	if word := <-lost; word != "timeout" {
		t.Error(word)
	}
	if word := outcome(send(t, c, testRequest(1))); word != "201" {
		t.Errorf("afterwards: %s", word)
	}
}

func TestPong(t *testing.T) {
	pongs := make(chan int, 1)
	c := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		for range 5 {
			_ = p.WritePing(false, [8]byte{1, 2, 3})
		}
		p.status(p.request(), 201)
		p.request()
		pongs <- p.pongs
		p.drain()
	})
	for range 2 {
		_, _ = send(t, c, testRequest(1))
	}
	if n := <-pongs; n != 5 {
		t.Errorf("%d of 5 PINGs answered", n)
	}
}

func TestIdle(t *testing.T) {
	config := testConfig()
	config.IdleTimeout = 500 * time.Millisecond
	c := startRaw(t, config, nil, func(p *rawPeer) {
		for id := p.request(); id != 0; id = p.request() {
			p.status(id, 201)
		}
	})
	for range 16 { // used in time, so it stays
		if word := outcome(send(t, c, testRequest(1))); word != "201" {
			t.Error(word)
		}
		time.Sleep(60 * time.Millisecond)
	}
	started := time.Now()
	expectDone(t, c)
	if took := time.Since(started); took > 2*time.Second || !errors.Is(c.Err(), ErrClosed) {
		t.Errorf("%v after %s", c.Err(), took)
	}
}

// TestStuckWriter: a peer that does not read can't hold up senders.
func TestStuckWriter(t *testing.T) {
	config := testConfig()
	config.MaxStreams = 100
	release := make(chan struct{})
	c := startRaw(t, config, nil, func(p *rawPeer) {
		_ = p.WriteSettings(window(1<<31 - 1))
		_ = p.WriteWindowUpdate(0, 1<<30)
		<-release
	})
	defer close(release)
	time.Sleep(50 * time.Millisecond)
	got := sendMany(t, c, 10, 2<<20)
	if got["201"] != 0 || got["again"]+got["lost"]+got["timeout"] != 10 {
		t.Errorf("outcomes %v", got)
	}
	expectDone(t, c)
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(3 * time.Second); !ok(); {
		if time.Now().After(until) {
			t.Fatal("waited in vain")
		}
		time.Sleep(time.Millisecond)
	}
}
