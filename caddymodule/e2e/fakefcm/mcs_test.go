package fakefcm

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestStanzaFraming(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 300) // length of two varint bytes
	b := appendStanza(appendStanza(nil, tagData, big), tagHeartbeatPing, nil)
	r := bufio.NewReader(bytes.NewReader(b))
	kind, body, err := readStanza(r)
	if err != nil || kind != tagData || !bytes.Equal(body, big) {
		t.Fatalf("got %d, %d bytes, %v", kind, len(body), err)
	}
	if kind, body, err = readStanza(r); err != nil || kind != tagHeartbeatPing || len(body) != 0 {
		t.Fatalf("got %d, %d bytes, %v", kind, len(body), err)
	}
	if _, _, err = readStanza(r); err == nil {
		t.Error("read a stanza after the end")
	}
}

func TestReadStanzaRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"length cut off":  {7, 0x80},
		"body cut off":    {7, 5, 1, 2},
		"absurd length":   {7, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"varint overflow": {7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := readStanza(bufio.NewReader(bytes.NewReader(b))); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestParseIQ(t *testing.T) {
	streamAck := protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType),
		appendText(appendNumber(nil, 1, extensionStreamAck), 2, ""))
	other := protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), appendNumber(nil, 1, 12))
	tests := []struct {
		name string
		b    []byte
		want acknowledgment
	}{
		{"stream ack", appendNumber(streamAck, 10, 3), acknowledgment{stream: 3, streamAck: true}},
		{"another extension", appendNumber(other, 10, 3), acknowledgment{stream: 3}},
		{"empty", nil, acknowledgment{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseIQ(test.b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(acknowledgment{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(appendCheckinResponse(nil, checkin{1, 2}, 3))
	f.Add(appendStanza(nil, tagIQ, appendNumber(nil, 10, 3)))
	f.Add(dataMessage(queued{id: "id", to: registration{"app", "wp:#", "key"}, body: []byte("body"), topic: "t"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Each must end without a panic; errors are fine.
		if _, body, err := readStanza(bufio.NewReader(bytes.NewReader(b))); err == nil && len(body) > len(b) {
			t.Errorf("read %d bytes out of %d", len(body), len(b))
		}
		_, _ = parseCheckin(b)
		_, _ = parsePing(b)
		_, _ = parseIQ(b)
		if l, err := parseLogin(b); err == nil && l.user == "" {
			t.Error("accepted a login without user")
		}
	})
}
