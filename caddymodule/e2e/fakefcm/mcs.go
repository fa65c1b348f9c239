package fakefcm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// mcsVersion is the first byte that each side sends on an MCS connection.
const mcsVersion = 41

// tag is the kind of an MCS message: one byte before its length and protobuf.
type tag byte

const (
	tagHeartbeatPing tag = 0
	tagHeartbeatAck  tag = 1
	tagLoginRequest  tag = 2
	tagLoginResponse tag = 3
	tagClose         tag = 4
	tagIQ            tag = 7
	tagData          tag = 8
)

// extensionStreamAck is the IqStanza extension that acknowledges everything
// received so far.
const extensionStreamAck = 13

// maxStanza bounds a stanza from the browser; real ones have some hundred bytes.
const maxStanza = 1 << 20

// readStanza reads one framed MCS message: tag, varint length, protobuf.
func readStanza(r *bufio.Reader) (tag, []byte, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return 0, nil, fmt.Errorf("reading an MCS tag: %w", err)
	}
	length, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, fmt.Errorf("reading an MCS length: %w", err)
	}
	if length > maxStanza {
		return 0, nil, fmt.Errorf("MCS message of %d bytes", length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, fmt.Errorf("reading an MCS message: %w", err)
	}
	return tag(kind), body, nil
}

// appendStanza appends one framed MCS message.
func appendStanza(b []byte, kind tag, body []byte) []byte {
	b = append(b, byte(kind))
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

// fields calls number, for varints and fixed-width numbers, or text, for
// length-delimited values, for each field of a protobuf message.
func fields(b []byte, number func(protowire.Number, uint64), text func(protowire.Number, []byte)) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("protobuf tag: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(b); n >= 0 {
				number(field, v)
			}
		case protowire.Fixed64Type:
			var v uint64
			if v, n = protowire.ConsumeFixed64(b); n >= 0 {
				number(field, v)
			}
		case protowire.BytesType:
			var v []byte
			if v, n = protowire.ConsumeBytes(b); n >= 0 {
				text(field, v)
			}
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return fmt.Errorf("protobuf field %d: %w", field, protowire.ParseError(n))
		}
		b = b[n:]
	}
	return nil
}

func ignoreNumber(protowire.Number, uint64) {}
func ignoreText(protowire.Number, []byte)   {}

// checkin has the fields of an AndroidCheckinRequest that the fake needs.
type checkin struct {
	id       uint64 // 2: 0 for a new device
	security uint64 // 13
}

func parseCheckin(b []byte) (checkin, error) {
	var c checkin
	err := fields(b, func(field protowire.Number, v uint64) {
		switch field {
		case 2:
			c.id = v
		case 13:
			c.security = v
		}
	}, ignoreText)
	return c, err
}

// appendCheckinResponse makes an AndroidCheckinResponse.
func appendCheckinResponse(b []byte, c checkin, unixMilli int64) []byte {
	b = appendNumber(b, 1, 1) // stats_ok
	b = appendNumber(b, 3, uint64(unixMilli))
	b = protowire.AppendFixed64(protowire.AppendTag(b, 7, protowire.Fixed64Type), c.id)
	b = protowire.AppendFixed64(protowire.AppendTag(b, 8, protowire.Fixed64Type), c.security)
	return appendNumber(b, 9, 0) // settings_diff
}

// login has the fields of a LoginRequest that the fake needs.
type login struct {
	user     string   // 3: the device's id in decimal
	received []string // 10: persistent ids that the browser has already
}

func parseLogin(b []byte) (login, error) {
	var l login
	err := fields(b, ignoreNumber, func(field protowire.Number, v []byte) {
		switch field {
		case 3:
			l.user = string(v)
		case 10:
			l.received = append(l.received, string(v))
		}
	})
	if err == nil && l.user == "" {
		err = errors.New("login without user")
	}
	return l, err
}

// acknowledgment has the fields that the fake needs of any message from the
// browser.
type acknowledgment struct {
	stream    uint64 // how many of our messages it has received on this connection
	streamAck bool   // the message is a StreamAck
}

// parseIQ reads an IqStanza.
func parseIQ(b []byte) (acknowledgment, error) {
	var a acknowledgment
	var extension []byte
	err := fields(b, func(field protowire.Number, v uint64) {
		if field == 10 { // last_stream_id_received
			a.stream = v
		}
	}, func(field protowire.Number, v []byte) {
		if field == 7 {
			extension = v
		}
	})
	if err != nil {
		return a, fmt.Errorf("IqStanza: %w", err)
	}
	err = fields(extension, func(field protowire.Number, v uint64) {
		a.streamAck = a.streamAck || field == 1 && v == extensionStreamAck
	}, ignoreText)
	if err != nil {
		return a, fmt.Errorf("IqStanza extension: %w", err)
	}
	return a, nil
}

// parsePing reads a HeartbeatPing, which acknowledges too.
func parsePing(b []byte) (acknowledgment, error) {
	var a acknowledgment
	err := fields(b, func(field protowire.Number, v uint64) {
		if field == 2 {
			a.stream, a.streamAck = v, true
		}
	}, ignoreText)
	return a, err
}

func loginResponse(id string, unixMilli int64) []byte {
	b := appendText(nil, 1, id)
	b = appendNumber(b, 5, 1) // stream_id
	b = appendNumber(b, 6, 1) // last_stream_id_received
	return appendNumber(b, 8, uint64(unixMilli))
}

func heartbeatAck() []byte { return appendNumber(nil, 2, 1) }

// dataMessage makes a DataMessageStanza for one push message.
func dataMessage(m queued) []byte {
	b := appendText(nil, 2, m.id)
	b = appendText(b, 3, m.to.sender) // Chromium finds the keys by app id and from
	b = appendText(b, 5, m.to.app)
	if m.topic != "" {
		b = appendText(b, 6, m.topic)
	}
	b = appendData(b, "subtype", m.to.subtype)
	if m.body != nil {
		b = appendData(b, "content-encoding", "aes128gcm")
	}
	b = appendText(b, 9, m.id)
	b = appendNumber(b, 17, uint64(m.ttl.Seconds()))
	b = appendNumber(b, 18, uint64(m.sent.UnixMilli()))
	if m.body != nil {
		b = protowire.AppendBytes(protowire.AppendTag(b, 21, protowire.BytesType), m.body)
	}
	return appendNumber(b, 24, 1) // immediate_ack
}

func appendData(b []byte, key, value string) []byte {
	entry := appendText(appendText(nil, 1, key), 2, value)
	return protowire.AppendBytes(protowire.AppendTag(b, 7, protowire.BytesType), entry)
}

func appendNumber(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendText(b []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}
