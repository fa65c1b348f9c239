package h2push

import (
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func window(n uint32) http2.Setting { return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n} }

// TestFlow: the peer's windows, and ours.
func TestFlow(t *testing.T) {
	t.Parallel()
	// rest reads the body of a request whose head was read.
	readBody := func(p *rawPeer, id uint32, want int) {
		n := 0
		for {
			switch f := p.next().(type) {
			case nil:
				p.t.Errorf("%d bytes of %d", n, want)
				return
			case *http2.DataFrame:
				if n += len(f.Data()); !f.StreamEnded() {
					continue
				}
				if n != want {
					p.t.Errorf("%d bytes, want %d", n, want)
				}
				p.status(id, 201)
				return
			}
		}
	}
	runAdversities(t, []adversity{
		{name: "closed, then opened", settings: []http2.Setting{window(0)}, serve: func(p *rawPeer) {
			id := p.head()
			time.Sleep(50 * time.Millisecond)
			_ = p.WriteWindowUpdate(id, 60)
			_ = p.WriteWindowUpdate(id, 40)
			readBody(p, id, 100)
			p.drain()
		}, want: "map[201:1]"},
		{name: "closed, then opened by SETTINGS", n: 2, settings: []http2.Setting{window(0)}, serve: func(p *rawPeer) {
			first, second := p.head(), p.head()
			_ = p.WriteSettings(window(1000))
			p.status(first, 201)
			p.status(second, 201)
			p.drain()
		}, want: "map[201:2]"},
		{name: "closed for good", n: 2, settings: []http2.Setting{window(0)}, serve: func(p *rawPeer) { p.drain() }, want: "map[again:2]"},
		{name: "shrunk below what was sent", settings: []http2.Setting{window(60)}, serve: func(p *rawPeer) {
			id := p.head()
			_ = p.WriteSettings(window(10)) // minus 50 is left
			_ = p.WriteWindowUpdate(id, 40)
			time.Sleep(30 * time.Millisecond)
			_ = p.WriteWindowUpdate(id, 50)
			readBody(p, id, 100)
			p.drain()
		}, want: "map[201:1]"},
		{name: "connection's used up", body: 100_000, settings: []http2.Setting{window(1 << 20)}, serve: func(p *rawPeer) {
			id := p.head()
			_ = p.WriteWindowUpdate(0, 100_000)
			readBody(p, id, 100_000)
			p.drain()
		}, want: "map[201:1]"},
		{name: "opened too far", serve: func(p *rawPeer) {
			id := p.request()
			_ = p.WriteWindowUpdate(id, 1<<31-1)
			p.drain()
		}, want: "map[lost:1]"},
		{name: "opened too far by SETTINGS", serve: func(p *rawPeer) {
			id := p.request()
			_ = p.WriteWindowUpdate(id, 1<<30)
			_ = p.WriteSettings(window(1<<31 - 1))
			p.drain()
		}, want: "map[lost:1]", ends: true, violation: true},
		{name: "opened by nothing", serve: func(p *rawPeer) {
			_ = p.WriteWindowUpdate(p.request(), 0)
			p.drain()
		}, want: "map[lost:1]"},
		{name: "refused in the middle", body: 100_000, serve: func(p *rawPeer) {
			p.status(p.head(), 413)
			p.drain()
			if len(p.resets) != 1 || p.resets[0] != http2.ErrCodeCancel {
				p.t.Errorf("resets %v", p.resets)
			}
		}, want: "map[413:1]"},
		{name: "ours ignored", n: 20, serve: func(p *rawPeer) {
			for range 20 {
				p.header(p.request(), false, ":status", "500")
			}
			go p.drain()
			for i := range 100 {
				_ = p.WriteData(uint32(i%20*2+1), false, make([]byte, 16384))
			}
			time.Sleep(100 * time.Millisecond)
		}, want: "map[500:20]"},
	})
}

// TestCredit: the connection's window is opened again, whatever the size of the answers.
func TestCredit(t *testing.T) {
	t.Parallel()
	const requests, size = 600, 4000 // twice the window
	credit := 0
	c := startRaw(t, testConfig(), nil, func(p *rawPeer) {
		credit = 65535
		for range requests {
			var id uint32
			for id == 0 {
				switch f := p.next().(type) {
				case nil:
					return
				case *http2.WindowUpdateFrame:
					credit += int(f.Increment)
				case *http2.DataFrame:
					id = f.StreamID
				}
			}
			if credit -= size; credit < 0 {
				p.t.Error("no credit left")
			}
			p.header(id, false, ":status", "404")
			_ = p.WriteData(id, true, make([]byte, size))
		}
		p.drain()
	})
	for range requests {
		if response, err := send(t, c, testRequest(1)); err != nil || len(response.Body) != size {
			t.Fatalf("%d bytes, %v", len(response.Body), err)
		}
	}
}
