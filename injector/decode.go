package injector

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// codec is a content coding that we decode (RFC 9110 8.4.1, 8878, 7932).
type codec uint8

const (
	codecNone codec = iota
	codecGzip
	codecZstd
	codecBrotli
)

// Bounds of one page's cost. A body is decoded as a stream, so they bound time and traffic; the window bounds
// memory.
const (
	maxDecoded = 128 << 20 // bytes of a decoded body
	maxRatio   = 500       // decoded to encoded, once ratioFrom bytes are decoded
	ratioFrom  = 4 << 20
	maxWindow  = 8 << 20   // RFC 9659 3 for zstd; the same for brotli, which can have 16
	maxRaw     = 160 << 10 // encoded bytes kept before the decision; a block of zstd has 128 KiB
)

var (
	errTooLarge = errors.New("decodes to too much")
	errWindow   = errors.New("needs too large a window")
	errStopped  = errors.New("the request has ended")
)

// codecOf returns the only coding of a body, if it is one that we support.
func codecOf(h http.Header) codec {
	values := h["Content-Encoding"]
	if len(values) != 1 {
		return codecNone
	}
	switch strings.ToLower(strings.Trim(values[0], " \t")) {
	case "gzip", "x-gzip":
		return codecGzip
	case "zstd":
		return codecZstd
	case "br":
		return codecBrotli
	}
	return codecNone
}

// decoder decodes a body that is pushed to it in pieces. The codecs pull, so they run in a coroutine, which
// pauses when it needs input. It returns the decodable part of a piece at once, so flushes still work.
type decoder struct {
	mu      sync.Mutex // held while running: the request may end at any time
	next    func() ([]byte, bool)
	stop    func()
	pool    *sync.Pool        // of *zstd.Decoder
	yield   func([]byte) bool // in the coroutine; nil asks for input
	unhook  func() bool
	in      []byte // the rest of the current piece
	inLen   int64
	outLen  int64
	err     error // why decoding ended, unless at the body's end
	eof     bool  // no more input will come
	over    bool
	stopped bool

	raw    []byte // written and not yet decided on, encoded
	first  []byte // the same, decoded
	length int64  // of the encoded body, once decided; else 0 or less
}

// newDecoder returns a decoder that ends with ctx at the latest.
func (in *Injector) newDecoder(ctx context.Context, c codec) *decoder {
	d := &decoder{pool: &in.zstd}
	d.next, d.stop = iter.Pull(func(yield func([]byte) bool) {
		d.yield = yield
		d.err = d.run(c)
	})
	d.unhook = context.AfterFunc(ctx, d.close)
	return d
}

// close ends the coroutine.
func (d *decoder) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	d.unhook()
	d.stop()
}

// feed decodes a piece, or the end if it is nil, and passes the output to emit. An error of emit ends the
// decoding.
func (d *decoder) feed(p []byte, emit func([]byte) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in, d.eof = p, p == nil
	d.inLen += int64(len(p))
	for !d.over && !d.stopped {
		chunk, ok := d.next()
		if !ok {
			d.over = true
			break
		}
		if chunk == nil {
			return nil
		}
		if err := emit(chunk); err != nil {
			d.over = true
			return err
		}
	}
	if d.stopped {
		return errStopped
	}
	return d.err
}

// Read is the codec's input.
func (d *decoder) Read(p []byte) (int, error) {
	for len(d.in) == 0 {
		if d.eof {
			return 0, io.EOF
		}
		if !d.yield(nil) {
			return 0, errStopped
		}
	}
	n := copy(p, d.in)
	d.in = d.in[n:]
	return n, nil
}

// Write is the codec's output.
func (d *decoder) Write(p []byte) (int, error) {
	d.outLen += int64(len(p))
	if d.outLen > maxDecoded || d.outLen > ratioFrom && d.outLen > maxRatio*d.inLen {
		return 0, errTooLarge
	}
	if len(p) > 0 && !d.yield(p) {
		return 0, errStopped
	}
	return len(p), nil
}

// run decodes to the end of the input. A codec's panic counts as a decoding error: it must not fail the
// request.
func (d *decoder) run(c codec) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder panicked: %v", r)
		}
	}()
	switch c {
	case codecGzip:
		return d.gunzip()
	case codecZstd:
		return d.unzstd()
	default:
		return d.unbrotli()
	}
}

// gunzip decodes all members (RFC 1952 2.2). Like browsers, it ignores data after the last member.
func (d *decoder) gunzip() error {
	in := bufio.NewReader(d)
	z, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("reading the gzip header: %w", err)
	}
	buf := make([]byte, readSize)
	for {
		z.Multistream(false)
		if err := d.copy(z, buf); err != nil {
			return fmt.Errorf("reading gzip: %w", err)
		}
		switch err := z.Reset(in); {
		case err == io.EOF, errors.Is(err, gzip.ErrHeader):
			return nil
		case err != nil:
			return fmt.Errorf("reading the next gzip header: %w", err)
		}
	}
}

// unzstd decodes all frames, and outputs each block before it reads the next.
func (d *decoder) unzstd() error {
	z, err := d.newZstd()
	if err != nil {
		return fmt.Errorf("making a zstd decoder: %w", err)
	}
	if _, err := z.WriteTo(d); err != nil {
		z.Close()
		return fmt.Errorf("reading zstd: %w", err)
	}
	if z.Reset(nil) == nil {
		d.pool.Put(z)
	}
	return nil
}

// newZstd takes a codec from the pool or makes one: its window, usually of the maximum size, costs more than
// decoding a page.
func (d *decoder) newZstd() (*zstd.Decoder, error) {
	if z, ok := d.pool.Get().(*zstd.Decoder); ok {
		return z, z.Reset(d)
	}
	return zstd.NewReader(d, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

// unbrotli decodes a stream whose window isn't the largest (RFC 7932 9.1, WBITS).
func (d *decoder) unbrotli() error {
	in := bufio.NewReader(d)
	b, err := in.Peek(1)
	if err != nil {
		return fmt.Errorf("reading the brotli header: %w", err)
	}
	if b[0]&0xf == 0xf {
		return errWindow
	}
	err = d.copy(brotli.NewReader(in), make([]byte, readSize))
	if err != nil && err.Error() != excessiveInput {
		return fmt.Errorf("reading brotli: %w", err)
	}
	return nil
}

// excessiveInput is the codec's error after the whole stream if more data follows, which is ignored as for
// gzip, and by mistake (v1.2.8) if the stream's end came in small pieces.
const excessiveInput = "brotli: excessive input"

// copy reads z to its end.
func (d *decoder) copy(z io.Reader, buf []byte) error {
	for {
		n, err := z.Read(buf)
		if _, err := d.Write(buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
