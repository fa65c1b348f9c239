package h2push

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestHeaderEncoder decodes what it encodes, for all changes between requests, and checks the size.
func TestHeaderEncoder(t *testing.T) {
	t.Parallel()
	var h headerEncoder
	h.encoder = hpack.NewEncoder(&h.block)
	decoder := hpack.NewDecoder(maxTable, nil)
	encode := func(r *Request) int {
		t.Helper()
		block := h.encode(r)
		fields, err := decoder.DecodeFull(block)
		if err != nil {
			t.Fatal(err)
		}
		want := []Field{{":method", "POST"}, {":scheme", "https"}, {":authority", r.Authority}, {":path", r.Path}}
		want = append(append(want, r.Header...), Field{"content-length", fmt.Sprint(len(r.Body))})
		for i, f := range fields {
			if i >= len(want) || f.Name != want[i].Name || f.Value != want[i].Value || f.Sensitive != (f.Name == ":path") {
				t.Fatalf("%+v, want %v", fields, want)
			}
		}
		if len(fields) != len(want) {
			t.Fatalf("%d fields, want %d", len(fields), len(want))
		}
		return len(block)
	}
	base := *testRequest(231)
	base.Header = append(base.Header, Field{"authorization", "vapid t=" + strings.Repeat("x", 300)})
	least := len(base.Path) + 15
	first := encode(&base)
	if second := encode(&base); first < 200 || second > least {
		t.Errorf("%d bytes, then %d", first, second)
	}
	for i := range 200 { // through evictions
		r := base
		r.Path = fmt.Sprintf("/%d", i)
		r.Header = append(r.Header[:2:2], Field{"authorization", fmt.Sprint("vapid t=", i/3, strings.Repeat("y", 300))})
		if i%7 == 0 {
			r.Header = append(r.Header, Field{"topic", fmt.Sprint(i)})
		}
		encode(&r)
		encode(&r)
		if again := encode(&r); again > least {
			t.Errorf("%d bytes for the third of its kind", again)
		}
	}
	for _, size := range []uint32{0, 4096, 64, 1 << 20, 400} {
		h.resize(size)
		decoder.SetMaxDynamicTableSize(min(size, maxTable))
		encode(&base)
		encode(&base)
	}
}

// TestTableSize: the peer shrinks its table between requests.
func TestTableSize(t *testing.T) {
	t.Parallel()
	changed := make(chan struct{}, 10)
	config := testConfig()
	config.OnChange = func() { changed <- struct{}{} }
	c := startRaw(t, config, nil, func(p *rawPeer) {
		for i := range 6 {
			p.status(p.request(), 201)
			if i == 2 {
				_ = p.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
				p.decoder.SetMaxDynamicTableSize(0)
			}
		}
		p.drain()
	})
	<-changed
	for i := range 6 {
		if word := outcome(send(t, c, testRequest(1))); word != "201" {
			t.Errorf("request %d: %s", i, word)
		}
		if i == 2 {
			<-changed
		}
	}
}

// TestBodyTimeout: a slow body does not hold the sender once the status is known.
func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	c := startRaw(t, testConfig(), nil, answering(func(p *rawPeer, id uint32) {
		p.header(id, false, ":status", "503")
	}))
	if !c.Reserve() {
		t.Fatal("full")
	}
	started := time.Now()
	response, err := c.RoundTrip(t.Context(), testRequest(1), time.Now().Add(20*time.Second))
	if took := time.Since(started); outcome(response, err) != "503" || took > 10*time.Second {
		t.Errorf("%d, %v after %s", response.Status, err, took)
	}
}
