package h2push

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// adversity is a server's behaviour towards n requests.
type adversity struct {
	name      string
	settings  []http2.Setting
	n         int // concurrent requests; 1
	body      int // bytes of a request's body; 100
	serve     func(*rawPeer)
	want      string // outcomes as fmt prints the map: "map[201:1]"
	ends      bool   // the connection must end by itself
	violation bool   // because the server violated the protocol
}

func (a adversity) run(t *testing.T) {
	t.Parallel()
	if a.n == 0 {
		a.n = 1
	}
	if a.body == 0 {
		a.body = 100
	}
	c := startRaw(t, testConfig(), a.settings, a.serve)
	got := sendMany(t, c, a.n, a.body)
	if text := fmt.Sprint(got); text != a.want {
		t.Errorf("outcomes %s, want %s; the connection: %v", text, a.want, c.Err())
	}
	total := 0
	for count := range maps.Values(got) {
		total += count
	}
	if total != a.n {
		t.Errorf("%d outcomes for %d requests", total, a.n)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests left", n)
	}
	if a.ends {
		expectDone(t, c)
		if c.Err() == nil {
			t.Error("no error")
		}
		var wrong *ProtocolError
		if errors.As(c.Err(), &wrong) != a.violation {
			t.Errorf("ended by %v", c.Err())
		}
	}
}

func runAdversities(t *testing.T, table []adversity) {
	t.Helper()
	for _, a := range table {
		t.Run(a.name, a.run)
	}
}

// answering reads a request, calls do, and continues reading.
func answering(do func(p *rawPeer, id uint32)) func(*rawPeer) {
	return func(p *rawPeer) {
		if id := p.request(); id != 0 {
			do(p, id)
		}
		p.drain()
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	pad := make([]byte, 200)
	runAdversities(t, []adversity{
		{name: "created", serve: answering(func(p *rawPeer, id uint32) { p.status(id, 201) }), want: "map[201:1]"},
		{name: "early hints", serve: answering(func(p *rawPeer, id uint32) {
			p.header(id, false, ":status", "100")
			p.header(id, false, ":status", "103", "link", "</x>")
			p.status(id, 201)
		}), want: "map[201:1]"},
		{name: "endless hints", serve: answering(func(p *rawPeer, id uint32) {
			for range 100 {
				p.header(id, false, ":status", "103")
			}
			p.status(id, 201)
		}), want: "map[lost:1]"},
		{name: "a hint as the answer", serve: answering(func(p *rawPeer, id uint32) { p.status(id, 100) }), want: "map[lost:1]"},
		{name: "switching protocols", serve: answering(func(p *rawPeer, id uint32) { p.header(id, false, ":status", "101") }), want: "map[lost:1]"},
		{name: "trailers", serve: answering(func(p *rawPeer, id uint32) {
			p.header(id, false, ":status", "201")
			_ = p.WriteData(id, false, []byte("body"))
			p.header(id, true, "x-trailer", "1")
		}), want: "map[201:1]"},
		{name: "trailers that end nothing", serve: answering(func(p *rawPeer, id uint32) {
			p.header(id, false, ":status", "201")
			p.header(id, false, "x-trailer", "1")
		}), want: "map[201:1]"},
		{name: "padding", serve: answering(func(p *rawPeer, id uint32) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(":status", "410"), EndHeaders: true, PadLength: 255})
			_ = p.WriteDataPadded(id, true, []byte("gone"), pad)
		}), want: "map[410:1]"},
		{name: "priorities and unknown frames", serve: answering(func(p *rawPeer, id uint32) {
			_ = p.WriteRawFrame(0xfa, 0xff, id, []byte("?"))
			_ = p.WriteRawFrame(0xfb, 0, 0, nil)
			_ = p.WritePriority(id, http2.PriorityParam{Weight: 3})
			_ = p.WriteHeaders(http2.HeadersFrameParam{
				StreamID: id, BlockFragment: p.block(":status", "201"), EndHeaders: true, EndStream: true,
				Priority: http2.PriorityParam{Weight: 200, StreamDep: 0},
			})
		}), want: "map[201:1]"},
		{name: "a header in pieces", serve: answering(func(p *rawPeer, id uint32) {
			block := p.block(":status", "201", "location", "https://push.example.net/m/1", "x-long", strings.Repeat("y", 300))
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:1], EndStream: true})
			for _, b := range block[1:20] {
				_ = p.WriteContinuation(id, false, []byte{b})
			}
			_ = p.WriteContinuation(id, true, block[20:])
		}), want: "map[201:1]"},
		{name: "a body that drips", serve: answering(func(p *rawPeer, id uint32) {
			p.header(id, false, ":status", "503", "retry-after", "7")
			for range 100 {
				_ = p.WriteData(id, false, []byte("x"))
				time.Sleep(10 * time.Millisecond)
			}
		}), want: "map[503:1]"},
		{name: "reset after the status", serve: answering(func(p *rawPeer, id uint32) {
			p.header(id, false, ":status", "410")
			_ = p.WriteRSTStream(id, http2.ErrCodeInternal)
		}), want: "map[410:1]"},
		{name: "closed after the status", serve: func(p *rawPeer) {
			p.header(p.request(), false, ":status", "410")
		}, want: "map[410:1]", ends: true},
		{name: "answered twice", serve: answering(func(p *rawPeer, id uint32) {
			p.status(id, 201)
			p.status(id, 410)
		}), want: "map[201:1]"},
		{name: "no status", serve: answering(func(p *rawPeer, id uint32) { p.header(id, true, "x", "y") }), want: "map[lost:1]"},
		{name: "no number as status", serve: answering(func(p *rawPeer, id uint32) { p.header(id, true, ":status", "2x1") }), want: "map[lost:1]"},
		{name: "a long number as status", serve: answering(func(p *rawPeer, id uint32) { p.header(id, true, ":status", "2010") }), want: "map[lost:1]"},
		{name: "a body before the header", serve: answering(func(p *rawPeer, id uint32) { _ = p.WriteData(id, true, []byte("x")) }), want: "map[lost:1]"},
	})
}

// TestResets: the meaning of each RST_STREAM for the request.
func TestResets(t *testing.T) {
	t.Parallel()
	for code := http2.ErrCode(0); code <= 0x0f; code++ {
		want := "map[lost:1]"
		if code == http2.ErrCodeRefusedStream || code == http2.ErrCodeHTTP11Required {
			want = "map[again:1]"
		}
		t.Run(code.String(), adversity{serve: answering(func(p *rawPeer, id uint32) { _ = p.WriteRSTStream(id, code) }), want: want}.run)
	}
}

func TestGoAway(t *testing.T) {
	t.Parallel()
	// all reads n requests and then does what do does.
	all := func(n int, do func(p *rawPeer)) func(*rawPeer) {
		return func(p *rawPeer) {
			for range n {
				p.request()
			}
			do(p)
			p.drain()
		}
	}
	runAdversities(t, []adversity{
		{name: "in the middle", n: 5, serve: all(5, func(p *rawPeer) {
			_ = p.WriteGoAway(5, http2.ErrCodeNo, nil)
			for _, id := range []uint32{5, 1, 3} {
				p.status(id, 201)
			}
		}), want: "map[201:3 again:2]", ends: true},
		{name: "in two steps", n: 3, serve: all(3, func(p *rawPeer) {
			_ = p.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)
			p.status(1, 201)
			_ = p.WriteGoAway(3, http2.ErrCodeNo, nil)
			p.status(3, 201)
		}), want: "map[201:2 again:1]", ends: true},
		{name: "that takes back what it said", n: 2, serve: all(2, func(p *rawPeer) {
			_ = p.WriteGoAway(1, http2.ErrCodeNo, nil)
			_ = p.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)
			p.status(1, 201)
			p.status(3, 201)
		}), want: "map[201:1 again:1]", ends: true},
		{name: "with a reproach", n: 3, serve: all(3, func(p *rawPeer) {
			_ = p.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("exceeded_max_concurrent_streams"))
		}), want: "map[again:3]", ends: true},
		{name: "and gone", n: 3, serve: func(p *rawPeer) {
			for range 3 {
				p.request()
			}
			_ = p.WriteGoAway(3, http2.ErrCodeInternal, nil)
		}, want: "map[again:1 lost:2]", ends: true},
		{name: "and silent", n: 3, serve: all(3, func(p *rawPeer) {
			_ = p.WriteGoAway(3, http2.ErrCodeNo, nil)
		}), want: "map[again:1 timeout:2]", ends: true},
	})
}

// TestCuts: connections that break in the middle.
func TestCuts(t *testing.T) {
	t.Parallel()
	runAdversities(t, []adversity{
		{name: "close", n: 2, serve: func(p *rawPeer) { p.request(); p.request() }, want: "map[lost:2]", ends: true},
		{name: "half close", serve: func(p *rawPeer) {
			p.request()
			_ = p.conn.CloseWrite()
			p.drain()
		}, want: "map[lost:1]", ends: true},
		{name: "TCP reset", serve: func(p *rawPeer) {
			p.request()
			_ = p.conn.SetLinger(0)
		}, want: "map[lost:1]", ends: true},
		{name: "in the middle of a frame", serve: func(p *rawPeer) {
			p.request()
			_, _ = p.conn.Write([]byte{0, 0, 100, 1})
		}, want: "map[lost:1]", ends: true},
		{name: "in the middle of a request", body: 200_000, serve: func(p *rawPeer) { p.head() }, want: "map[again:1]", ends: true},
		{name: "hang", n: 3, serve: func(p *rawPeer) { p.drain() }, want: "map[timeout:3]"},
		{name: "slow loris", n: 2, serve: func(p *rawPeer) {
			p.request()
			for _, b := range []byte{0, 0, 100, 1, 4, 0, 0, 0, 1, 0x88, 0x88} {
				_, _ = p.conn.Write([]byte{b})
				time.Sleep(300 * time.Millisecond)
			}
		}, want: "map[timeout:2]", ends: true},
	})
}

// TestBreaches: each violation of the protocol ends the connection and its requests.
func TestBreaches(t *testing.T) {
	t.Parallel()
	raw := func(typ http2.FrameType, flags http2.Flags, stream uint32, payload ...byte) func(*rawPeer) {
		return answering(func(p *rawPeer, _ uint32) { _ = p.WriteRawFrame(typ, flags, stream, payload) })
	}
	setting := func(id http2.SettingID, value uint32) func(*rawPeer) {
		return answering(func(p *rawPeer, _ uint32) {
			payload := binary.BigEndian.AppendUint16(nil, uint16(id))
			_ = p.WriteRawFrame(http2.FrameSettings, 0, 0, binary.BigEndian.AppendUint32(payload, value))
		})
	}
	flood := func(n int, do func(p *rawPeer, i int)) func(*rawPeer) {
		return func(p *rawPeer) {
			p.request()
			heard := make(chan struct{})
			go func() { // or both sides would wait for each other
				p.drain()
				close(heard)
			}()
			for i := range n {
				do(p, i)
			}
			<-heard
		}
	}
	const max31 = 1<<31 - 1
	for _, a := range []adversity{
		{name: "push promise", serve: answering(func(p *rawPeer, id uint32) {
			_ = p.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: p.block(":path", "/"), EndHeaders: true})
		})},
		{name: "bad index", serve: raw(http2.FrameHeaders, 5, 1, 0xff, 0xff, 0x7f)},
		{name: "index 0", serve: raw(http2.FrameHeaders, 5, 1, 0x80)},
		{name: "truncated field", serve: raw(http2.FrameHeaders, 5, 1, 0x88, 0x40)},
		{name: "bad Huffman code", serve: raw(http2.FrameHeaders, 5, 1, 0x40, 0x84, 0xff, 0xff, 0xff, 0xff)},
		{name: "table larger than allowed", serve: raw(http2.FrameHeaders, 5, 1, 0x3f, 0xe1, 0xff, 0x03, 0x88)},
		{name: "HEADERS on stream 0", serve: raw(http2.FrameHeaders, 5, 0, 0x88)},
		{name: "HEADERS on a stream of its own", serve: raw(http2.FrameHeaders, 5, 2, 0x88)},
		{name: "HEADERS on a stream to come", serve: raw(http2.FrameHeaders, 5, 99, 0x88)},
		{name: "DATA on stream 0", serve: raw(http2.FrameData, 0, 0, 'x')},
		{name: "DATA on a stream to come", serve: raw(http2.FrameData, 0, 99, 'x')},
		{name: "RST_STREAM on a stream to come", serve: raw(http2.FrameRSTStream, 0, 99, 0, 0, 0, 8)},
		{name: "short RST_STREAM", serve: raw(http2.FrameRSTStream, 0, 1, 8)},
		{name: "WINDOW_UPDATE on a stream to come", serve: raw(http2.FrameWindowUpdate, 0, 99, 0, 0, 0, 8)},
		{name: "WINDOW_UPDATE of 0", serve: raw(http2.FrameWindowUpdate, 0, 0, 0, 0, 0, 0)},
		{name: "window too large", serve: raw(http2.FrameWindowUpdate, 0, 0, 0x7f, 0xff, 0xff, 0xff)},
		{name: "short PING", serve: raw(http2.FramePing, 0, 0, 1, 2)},
		{name: "PING on a stream", serve: raw(http2.FramePing, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8)},
		{name: "uneven SETTINGS", serve: raw(http2.FrameSettings, 0, 0, 1)},
		{name: "SETTINGS ACK with payload", serve: raw(http2.FrameSettings, 1, 0, 0, 1, 0, 0, 0, 0)},
		{name: "padding longer than the frame", serve: raw(http2.FrameData, 8, 1, 200, 'x')},
		{name: "CONTINUATION of nothing", serve: raw(http2.FrameContinuation, 4, 1, 0x88)},
		{name: "frame too large", serve: raw(http2.FrameData, 0, 1, make([]byte, 16385)...)},
		{name: "frame between header pieces", serve: answering(func(p *rawPeer, id uint32) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x88}})
			_ = p.WritePing(false, [8]byte{})
		})},
		{name: "push offered", serve: setting(http2.SettingEnablePush, 1)},
		{name: "push neither on nor off", serve: setting(http2.SettingEnablePush, 2)},
		{name: "window setting out of range", serve: setting(http2.SettingInitialWindowSize, max31+1)},
		{name: "frame size setting too small", serve: setting(http2.SettingMaxFrameSize, 100)},
		{name: "frame size setting too large", serve: setting(http2.SettingMaxFrameSize, 1<<24)},
		{name: "endless CONTINUATION", serve: flood(10_000, func(p *rawPeer, i int) {
			if i == 0 {
				_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}})
			}
			_ = p.WriteContinuation(1, false, nil)
		})},
		{name: "header of 1 MB", serve: flood(100, func(p *rawPeer, i int) {
			if i == 0 {
				_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}})
			}
			_ = p.WriteContinuation(1, false, p.block("x", strings.Repeat("\x00", 2500)))
		})},
		{name: "PING flood", serve: flood(20_000, func(p *rawPeer, _ int) { _ = p.WritePing(false, [8]byte{}) })},
		{name: "SETTINGS flood", serve: flood(20_000, func(p *rawPeer, _ int) { _ = p.WriteSettings() })},
		{name: "unknown flood", serve: flood(20_000, func(p *rawPeer, _ int) { _ = p.WriteRawFrame(0xfa, 0, 0, nil) })},
		{name: "DATA flood", serve: flood(20_000, func(p *rawPeer, _ int) { _ = p.WriteData(1, false, nil) })},
		{name: "header flood", serve: flood(20_000, func(p *rawPeer, _ int) { p.header(1, true, ":status", "999", "x", "y") }), want: "map[999:1]"},
		{name: "WINDOW_UPDATE flood", serve: flood(20_000, func(p *rawPeer, _ int) { _ = p.WriteWindowUpdate(1, 1) })},
	} {
		a.ends, a.violation, a.want = true, true, cmp.Or(a.want, "map[lost:1]")
		t.Run(a.name, a.run)
	}
}
