package h2push

import (
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// maxTable is the maximum size of both sides' compression tables, the protocol's initial value (RFC 9113
// §6.5.2).
const maxTable = 4096

// Representations of RFC 7541 §6.2 whose names are in the static table
// (appendix A).
const (
	pathNeverIndexed = 0x10 | 4
	indexedBit       = 0x80
)

// block is a header block under construction.
type block struct{ b []byte }

// Write implements io.Writer for the encoder; it never fails.
func (b *block) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

// headerEncoder writes header blocks. Requests to a push service mostly differ only in the path, so the last
// header's encoding is kept, in two parts around the path, and reused as long as it is valid.
type headerEncoder struct {
	encoder *hpack.Encoder
	block   block

	kept       bool
	authority  string
	fields     []Field
	head, tail []byte
}

// encode returns the header block of r, which is valid until the next call.
func (h *headerEncoder) encode(r *Request) []byte {
	h.block.b = h.block.b[:0]
	if h.kept && h.authority == r.Authority && slices.Equal(h.fields, r.Header) {
		h.block.b = append(h.block.b, h.head...)
		h.path(r.Path)
		h.block.b = append(h.block.b, h.tail...)
	} else {
		h.encodeFull(r)
	}
	h.contentLength(len(r.Body))
	return h.block.b
}

// encodeFull uses the compression table. If that did not change the table, the same bytes mean the same
// fields until something else changes it.
func (h *headerEncoder) encodeFull(r *Request) {
	unchanged := h.field(":method", "POST")
	unchanged = h.field(":scheme", "https") && unchanged
	unchanged = h.field(":authority", r.Authority) && unchanged
	head := len(h.block.b)
	h.path(r.Path)
	tail := len(h.block.b)
	for _, f := range r.Header {
		unchanged = h.field(f.Name, f.Value) && unchanged
	}
	if h.kept = unchanged; !unchanged {
		return
	}
	h.authority = r.Authority
	h.fields = append(h.fields[:0], r.Header...)
	h.head = append(h.head[:0], h.block.b[:head]...)
	h.tail = append(h.tail[:0], h.block.b[tail:]...)
}

// field encodes a field and reports whether the table is unchanged: the encoding is then an index (RFC 7541
// §6.1).
func (h *headerEncoder) field(name, value string) bool {
	start := len(h.block.b)
	_ = h.encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	return h.block.b[start]&indexedBit != 0
}

// path encodes the path as a literal that is never indexed (RFC 7541 §6.2.3).
func (h *headerEncoder) path(path string) {
	h.block.b = append(h.block.b, pathNeverIndexed)
	if n := hpack.HuffmanEncodeLength(path); n < uint64(len(path)) {
		h.block.b = appendInteger(h.block.b, 0x80, 7, n)
		h.block.b = hpack.AppendHuffmanString(h.block.b, path)
		return
	}
	h.block.b = appendInteger(h.block.b, 0, 7, uint64(len(path)))
	h.block.b = append(h.block.b, path...)
}

// contentLength encodes content-length (static table index 28) as a literal
// without indexing.
func (h *headerEncoder) contentLength(n int) {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], int64(n), 10)
	h.block.b = appendInteger(h.block.b, 0, 4, 28)
	h.block.b = append(h.block.b, byte(len(text)))
	h.block.b = append(h.block.b, text...)
}

// appendInteger encodes an integer (RFC 7541 §5.1) with a prefix of the given number of bits.
func appendInteger(dst []byte, first byte, bits uint, n uint64) []byte {
	limit := uint64(1)<<bits - 1
	if n < limit {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// resize obeys the peer's SETTINGS_HEADER_TABLE_SIZE.
func (h *headerEncoder) resize(size uint32) {
	h.encoder.SetMaxDynamicTableSizeLimit(size)
	h.encoder.SetMaxDynamicTableSize(min(size, maxTable))
	h.kept = false
}

// answerReader decodes the header blocks of answers, fragment by fragment.
type answerReader struct {
	decoder *hpack.Decoder
	limit   int

	stream    uint32 // of the current block; 0 between blocks
	endStream bool
	wire      int // bytes of the block
	fragments int
	size      int // bytes kept, by RFC 9113 §10.5.1

	status int
	header http.Header
}

func (a *answerReader) init(limit int) {
	a.limit = limit
	a.decoder = hpack.NewDecoder(maxTable, a.emit)
	a.decoder.SetMaxStringLength(limit)
}

// begin starts a block.
func (a *answerReader) begin(stream uint32, endStream bool) {
	a.stream, a.endStream = stream, endStream
	a.wire, a.fragments, a.size, a.status, a.header = 0, 0, 0, 0, nil
	a.decoder.SetEmitEnabled(true)
}

// emit receives a field. Once the rest of a header is not needed, the decoder need not make strings of it.
func (a *answerReader) emit(f hpack.HeaderField) {
	if f.Name == ":status" {
		a.status = parseStatus(f.Value)
		if a.status/100 == 2 {
			a.decoder.SetEmitEnabled(false)
		}
		return
	}
	if a.size += int(f.Size()); a.size > a.limit || f.IsPseudo() {
		a.decoder.SetEmitEnabled(a.size <= a.limit)
		return
	}
	if a.header == nil {
		a.header = make(http.Header)
	}
	a.header.Add(f.Name, f.Value)
}

// parseStatus parses three digits; 0 if they are invalid.
func parseStatus(text string) int {
	if len(text) != 3 {
		return 0
	}
	status, err := strconv.ParseUint(text, 10, 16)
	if err != nil || status < 100 {
		return 0
	}
	return int(status)
}
