package caddymodule_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// misdeeds returns all cases of TestUpstreamMisbehaves.
func misdeeds() []misdeed {
	return slices.Concat(lengthMisdeeds(), endMisdeeds(), statusMisdeeds(), headMisdeeds(), headerMisdeeds(),
		typeMisdeeds(), codingMisdeeds(), pageMisdeeds())
}

// html returns a complete answer of one page.
func html(header, page string) func(net.Conn) { return say(okHTML + header + sized(page)) }

// chunks returns an answer with a page in pieces that arrive one by one.
func chunks(header string, pieces ...string) func(net.Conn) {
	return say(chunkParts(okHTML+header, pieces...)...)
}

func chunkParts(head string, pieces ...string) []string {
	parts := []string{head + "Transfer-Encoding: chunked\r\n\r\n"}
	for _, p := range pieces {
		parts = append(parts, chunk(p))
	}
	return append(parts, "0\r\n\r\n")
}

var (
	// bigHead has a script of 2 MB in the head.
	bigHead = "<!DOCTYPE html><head><meta charset=utf-8><script>" + strings.Repeat("x('</head>');\n", 2<<20/14) + "</script></head><body>text"
	// longPage has a body that takes several reads.
	longPage = strings.Replace(pageHTML, "hello", strings.Repeat("<p>hello\n", 20_000), 1)
)

// lengthMisdeeds have odd body lengths and chunks.
func lengthMisdeeds() []misdeed {
	head, tail, _ := strings.Cut(pageHTML, "</head>")
	slow := 50 * time.Millisecond
	ended := okHTML + "Transfer-Encoding: chunked\r\n\r\n" + chunk(pageHTML)
	return []misdeed{
		{name: "well-behaved", want: injected, status: 200, do: html("", pageHTML)},
		{name: "long page", want: injected, do: html("", longPage)},
		{name: "long page in chunks", want: injected, do: chunks("", letters(longPage, 30_000)...)},
		{name: "chunks of one byte", want: injected, do: say(okHTML+chunked+"\r\n", bytewise(pageHTML), "0\r\n\r\n")},
		{name: "border of chunks in the end tag", want: injected, do: chunks("", head+"</he", "ad>"+tail)},
		{name: "length and pieces", want: either, do: say(okHTML+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(pageHTML))+head+"</", "head>"+tail)},
		{name: "slow drip in chunks", want: injected, do: drip(slow, chunkParts(okHTML, letters(pageHTML, 8)...)...)},
		{name: "slow drip with a length", want: either, do: drip(slow, letters(okHTML+sized(pageHTML), 16)...)},
		{name: "slow drip to the close", want: injected, do: drip(slow, letters(okHTML+"\r\n"+pageHTML, 16)...)},
		{name: "length too long", want: cut, do: say(okHTML + "Content-Length: 5000\r\n\r\n" + pageHTML)},
		{name: "length too long, long page", want: cut, do: say(okHTML + "Content-Length: 500000\r\n\r\n" + longPage)},
		{name: "length too short, ends in a tag", want: same, do: say(okHTML + "Content-Length: 20\r\n\r\n" + pageHTML)},
		{name: "length too short, ends in the body", want: injected, do: say(okHTML + "Content-Length: 60\r\n\r\n" + pageHTML)},
		{name: "length negative", want: same, status: 502, do: say(okHTML + "Content-Length: -5\r\n\r\n" + pageHTML)},
		{name: "length no number", want: same, status: 502, do: say(okHTML + "Content-Length: many\r\n\r\n" + pageHTML)},
		{name: "length over 63 bits", want: same, status: 502, do: say(okHTML + "Content-Length: 9223372036854775808\r\n\r\n" + pageHTML)},
		{name: "length nearly 63 bits", want: cut, do: say(okHTML + "Content-Length: 9223372036854775807\r\n\r\n" + pageHTML)},
		{name: "length twice", want: injected, do: html(fmt.Sprintf("Content-Length: %d\r\n", len(pageHTML)), pageHTML)},
		{name: "two lengths", want: same, status: 502, do: html("Content-Length: 10\r\n", pageHTML)},
		{name: "length and chunks", want: injected, do: chunks("Content-Length: 10\r\n", pageHTML)},
		{name: "length 0", want: same, do: html("", "")},
		{name: "chunk longer than it says", want: cut, do: say(okHTML + chunked + "\r\n10\r\n" + pageHTML + "\r\n0\r\n\r\n")},
		{name: "chunk shorter than it says", want: cut, do: say(okHTML + chunked + "\r\nffff\r\n" + pageHTML + "\r\n0\r\n\r\n")},
		{name: "chunk size no number", want: cut, do: say(okHTML + chunked + "\r\nzz\r\n" + pageHTML)},
		{name: "chunk size of 20 digits", want: cut, do: say(okHTML + chunked + "\r\nfffffffffffffffffff0\r\n" + pageHTML)},
		{name: "endless chunk extension", want: cut, do: forever(okHTML+chunked+"\r\n5;a=", "b")},
		{name: "endless body of nothing", want: cut, do: func(c net.Conn) {
			thenReset(say(okHTML+chunked+"\r\n", chunk(head), strings.Repeat(chunk(" "), 100_000)))(c)
		}},
		{name: "last chunk missing", want: cut, do: say(ended)},
		{name: "bytes after the last chunk", want: injected, do: say(ended + "0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")},
		{name: "trailers", want: injected, do: say(okHTML+"Trailer: X-Sum\r\n"+chunked+"\r\n", chunk(pageHTML), "0\r\nX-Sum: 1\r\n\r\n")},
		{name: "trailers not announced", want: injected, do: say(ended + "0\r\nX-Sum: 1\r\n\r\n")},
		{name: "trailers that are no headers", want: cut, do: say(ended + "0\r\nno colon\r\n\r\n")},
		{name: "endless trailers", want: cut, do: forever(ended+"0\r\n", "X-T: y\r\n")},
		{name: "digest in the trailers", want: same, do: say(okHTML+"Trailer: Digest\r\n"+chunked+"\r\n", chunk(pageHTML), "0\r\nDigest: sha-256=x\r\n\r\n")},
	}
}

// endMisdeeds break off. The first few arrive in pieces, so that much is in
// transit at the end.
func endMisdeeds() []misdeed {
	begin := okHTML + "Content-Length: 90000\r\n\r\n<!DOCTYPE html><html><head>"
	fill := strings.Repeat("<meta name=a content=b>", 300)
	ends := []struct{ name, text string }{
		{"in the head", "<title>x</title>"},
		{"in a tag", "<link rel=st"},
		{"in a tag's name", "</hea"},
		{"in a script", "<script>if (a <"},
		{"in a comment", "<!-- a -"},
		{"in the body", "</head><body><p>a"},
	}
	var all []misdeed
	for _, e := range ends {
		all = append(all,
			misdeed{name: "close " + e.name, want: cut, do: say(begin, fill, e.text)},
			misdeed{name: "reset " + e.name, want: cut, do: thenReset(say(begin, fill, e.text))},
			misdeed{name: "chunks end " + e.name, want: cut, do: say(okHTML+chunked+"\r\n", chunk("<!DOCTYPE html><head>"+fill), chunk(e.text))},
		)
	}
	return append(all,
		misdeed{name: "close after the header", want: cut, do: say(okHTML + "Content-Length: 50\r\n\r\n")},
		misdeed{name: "close after the header of chunks", want: cut, do: say(okHTML + chunked + "\r\n")},
		misdeed{name: "close after a header without length", want: same, do: say(okHTML + "\r\n")},
		misdeed{name: "close without length in a tag", want: same, do: say(okHTML+"\r\n<!DOCTYPE html><head>", fill+"<link rel=")},
		misdeed{name: "close without length in the head", want: injected, do: say(okHTML+"\r\n<!DOCTYPE html><head>", fill)},
		misdeed{name: "reset without length", want: cut, do: thenReset(say(okHTML+"\r\n<!DOCTYPE html><head>", fill))},
		misdeed{name: "close in the header", want: same, status: 502, do: say(okLine + "Content-Ty")},
		misdeed{name: "close at once", want: same, status: 502, do: say("")},
		misdeed{name: "reset at once", want: same, status: 502, do: thenReset(say(""))},
	)
}

// statusMisdeeds have odd statuses, or statuses without a body.
func statusMisdeeds() []misdeed {
	with := func(status, header string) func(net.Conn) {
		return say("HTTP/1.1 " + status + "\r\n" + isHTML + header + sized(pageHTML))
	}
	early := func(status string, n int, then string) func(net.Conn) {
		return say(strings.Repeat("HTTP/1.1 "+status+"\r\nLink: </a.css>; rel=preload\r\n\r\n", n) + then)
	}
	return []misdeed{
		{name: "103 and a page", want: injected, do: early("103 Early Hints", 1, okHTML+sized(pageHTML))},
		{name: "103 and 404", want: injected, status: 404, do: early("103 Early Hints", 1, "HTTP/1.1 404 Not Found\r\n"+isHTML+sized(pageHTML))},
		{name: "50 times 103", want: injected, do: early("103 Early Hints", 50, okHTML+sized(pageHTML))},
		{name: "50 times 102", want: injected, do: early("102 Processing", 50, okHTML+sized(pageHTML))},
		{name: "50 times 100", want: injected, do: early("100 Continue", 50, okHTML+sized(pageHTML))},
		{name: "50 times 199", want: injected, do: early("199 Odd", 50, okHTML+sized(pageHTML))},
		{name: "5,000 times 103", want: injected, do: early("103 Early Hints", 5000, okHTML+sized(pageHTML))},
		{name: "103 and nothing", want: same, status: 502, do: early("103 Early Hints", 1, "")},
		{name: "unrequested 101", want: either, do: say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + isHTML + "\r\n" + pageHTML)},
		{name: "101 without Upgrade", want: either, do: say("HTTP/1.1 101 Switching Protocols\r\n" + isHTML + "\r\n" + pageHTML)},
		{name: "426", want: injected, status: 426, do: with("426 Upgrade Required", "Connection: Upgrade\r\nUpgrade: h2c\r\n")},
		{name: "204 with a body", want: same, status: 204, do: with("204 No Content", "")},
		{name: "205 with a body", want: same, status: 205, do: with("205 Reset Content", "")},
		{name: "206", want: same, status: 206, do: with("206 Partial Content", "Content-Range: bytes 0-9/100\r\n")},
		{name: "302 with a page", want: same, status: 302, do: with("302 Found", "Location: /x\r\n")},
		{name: "304 with a body", want: same, status: 304, do: with("304 Not Modified", "ETag: \"a\"\r\n")},
		{name: "HEAD with a body", method: "HEAD", want: same, status: 200, do: html("", pageHTML)},
		{name: "HEAD of chunks with a body", method: "HEAD", want: same, status: 200, do: chunks("", pageHTML)},
		{name: "POST", method: "POST", want: injected, status: 200, do: html("", pageHTML)},
		{name: "500 with a page", want: injected, status: 500, do: with("500 Oops", "")},
		{name: "status 999", want: injected, status: 999, do: with("999 Odd", "")},
		{name: "status 600", want: injected, status: 600, do: with("600 Odd", "")},
		{name: "status 099", want: cut, do: with("099 Odd", "")},
		{name: "status 000", want: injected, status: 200, do: with("000 Odd", "")},
		{name: "status 1000", want: same, status: 502, do: with("1000 Odd", "")},
		{name: "status of letters", want: same, status: 502, do: with("abc Odd", "")},
		{name: "status -10", want: same, status: 502, do: with("-10 Odd", "")},
		{name: "status without a reason", want: injected, do: with("200", "")},
		{name: "reason of 100 kB", want: injected, do: with("200 "+strings.Repeat("x", 100_000), "")},
	}
}

// headMisdeeds are not HTTP, or too much of it.
func headMisdeeds() []misdeed {
	return []misdeed{
		{name: "no header at all", want: same, status: 502, do: say(pageHTML)},
		{name: "an empty line and a page", want: same, status: 502, do: say("\r\n" + pageHTML)},
		{name: "binary", want: same, status: 502, do: say("\x16\x03\x01\x00\xff\x00\x00")},
		{name: "endless headers", want: same, status: 502, do: forever(okHTML, "X-More: and more\r\n")},
		{name: "endless header line", want: same, status: 502, do: forever(okHTML+"X-Long: ", "x")},
		{name: "endless status line", want: same, status: 502, do: forever("HTTP/1.1 200 ", "x")},
		{name: "header of 2 MB", want: injected, do: html("X-Big: "+strings.Repeat("x", 2<<20)+"\r\n", pageHTML)},
		{name: "2,000 cookies", want: injected, do: html(strings.Repeat("Set-Cookie: a=b; Path=/; HttpOnly\r\n", 2000), pageHTML)},
		{name: "HTTP/1.0 without a length", want: injected, do: say("HTTP/1.0 200 OK\r\n" + isHTML + "\r\n" + pageHTML)},
		{name: "HTTP/1.0 with a length", want: injected, do: say("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + isHTML + sized(pageHTML))},
		{name: "HTTP/1.0 with chunks", want: either, do: say("HTTP/1.0 200 OK\r\n" + isHTML + chunked + "\r\n" + chunk(pageHTML) + "0\r\n\r\n")},
		{name: "HTTP/3.7", want: either, do: say("HTTP/3.7 200 OK\r\n" + isHTML + sized(pageHTML))},
		{name: "HTTP/2 frames", want: same, status: 502, do: say("\x00\x00\x00\x04\x00\x00\x00\x00\x00")},
	}
}

// headerMisdeeds have odd fields.
func headerMisdeeds() []misdeed {
	return []misdeed{
		{name: "Latin-1 in a value", want: injected, do: html("X-Odd: caf\xe9\r\n", pageHTML)},
		{name: "control character in a value", want: either, do: html("X-Odd: a\x01b\r\n", pageHTML)},
		{name: "NUL in a value", want: either, do: html("X-Odd: a\x00b\r\n", pageHTML)},
		{name: "CR in a value", want: either, do: html("X-Odd: a\rX-More: b\r\n", pageHTML)},
		{name: "space in a name", want: either, do: html("X Odd: a\r\n", pageHTML)},
		{name: "space before the colon", want: either, do: html("X-Odd : a\r\n", pageHTML)},
		{name: "no name", want: same, status: 502, do: html(": a\r\n", pageHTML)},
		{name: "no colon", want: same, status: 502, do: html("nothing\r\n", pageHTML)},
		{name: "folded line", want: injected, do: html("X-Odd: a\r\n\tb\r\n", pageHTML)},
		{name: "bare line feeds", want: injected, do: say(strings.ReplaceAll(okHTML, "\r", "") + "\n" + pageHTML)},
		{name: "validators", want: injected, do: html("ETag: \"a\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n", pageHTML)},
		{name: "entity tag without quotes", want: injected, do: html("ETag: a\r\n", pageHTML)},
		{name: "two entity tags", want: injected, do: html("ETag: \"a\"\r\nETag: W/\"b\"\r\n", pageHTML)},
		{name: "hop-by-hop list", want: injected, do: html("Connection: close, Content-Type, X-Webpush\r\n", pageHTML)},
		{name: "marked by another proxy", want: same, do: html("X-Webpush: injected\r\n", pageHTML)},
		{name: "download", want: same, do: html("Content-Disposition: attachment; filename=a.html\r\n", pageHTML)},
		{name: "inline", want: injected, do: html("Content-Disposition: inline\r\n", pageHTML)},
		{name: "Incremental", want: either, do: html("Incremental: ?1\r\n", pageHTML)},
		{name: "no-transform", want: same, do: html("Cache-Control: no-transform\r\n", pageHTML)},
	}
}

// typeMisdeeds have odd Content-Types.
func typeMisdeeds() []misdeed {
	with := func(header, body string) func(net.Conn) { return say(okLine + header + sized(body)) }
	return []misdeed{
		{name: "no type, a page", want: injected, do: with("", pageHTML)},
		{name: "no type, text", want: same, do: with("", "just text </head>")},
		{name: "no type, chunks of one byte", want: either, do: say(okLine+chunked+"\r\n", bytewise(pageHTML), "0\r\n\r\n")},
		{name: "empty type", want: either, do: with("Content-Type:\r\n", pageHTML)},
		{name: "two types", want: either, do: with(isHTML+"Content-Type: text/plain\r\n", pageHTML)},
		{name: "type in capitals", want: injected, do: with("CONTENT-TYPE: TEXT/HTML;CHARSET=UTF-8\r\n", pageHTML)},
		{name: "bogus charset", want: injected, do: with("Content-Type: text/html; charset=bogus\r\n", pageHTML)},
		{name: "broken parameters", want: injected, do: with("Content-Type: text/html; charset=\"; ;;=\r\n", pageHTML)},
		{name: "UTF-16 by type", want: same, do: with("Content-Type: text/html; charset=utf-16le\r\n", strings.Join(strings.Split(pageHTML, ""), "\x00")+"\x00")},
		{name: "UTF-7", want: same, do: with("Content-Type: text/html; charset=utf-7\r\n", pageHTML)},
		{name: "text", want: same, do: with("Content-Type: text/plain\r\n", pageHTML)},
		{name: "multipart", want: same, do: with("Content-Type: multipart/x-mixed-replace; boundary=html\r\n", pageHTML)},
	}
}

// codingMisdeeds have odd Content-Encodings.
func codingMisdeeds() []misdeed {
	with := func(coding, body string) func(net.Conn) {
		return html("Content-Encoding: "+coding+"\r\n", body)
	}
	z := gzipped(pageHTML)
	// For a client that names no coding, Go's transport requests gzip and
	// decompresses it, with and without us. A broken answer is then cut off; a
	// client that requested gzip gets it unchanged.
	return []misdeed{
		{name: "gzip", want: either, do: with("gzip", z)},
		{name: "gzip, and a policy against us", want: same, do: html("Content-Encoding: gzip\r\nContent-Security-Policy: script-src https://static.example.com\r\n", z)},
		{name: "gzip in chunks, and a policy against us", want: same, do: chunks("Content-Encoding: gzip\r\nContent-Security-Policy: default-src 'none'\r\n", letters(z, 20)...)},
		{name: "gzip, and a policy against our posts", want: same, do: html("Content-Encoding: gzip\r\nContent-Security-Policy: connect-src https://api.example.com\r\n", z)},
		{name: "gzip in capitals", want: either, do: with("GZIP", z)},
		{name: "invalid gzip", want: either, do: with("gzip", pageHTML)},
		{name: "gzip of nothing", want: same, do: with("gzip", "")},
		{name: "gzip that ends early", want: either, do: with("gzip", z[:len(z)-12])},
		{name: "gzip with a wrong sum", want: either, do: with("gzip", z[:len(z)-8]+"\x00\x00\x00\x00"+z[len(z)-4:])},
		{name: "gzip followed by text", want: either, do: with("gzip", z+pageHTML)},
		{name: "gzip twice", want: either, do: with("gzip, gzip", gzipped(z))},
		{name: "deflate", want: either, do: with("deflate", deflated(pageHTML))},
		{name: "invalid br", want: same, do: with("br", pageHTML)},
		{name: "invalid zstd", want: same, do: with("zstd", pageHTML)},
		{name: "unknown coding", want: same, do: with("rot13", pageHTML)},
		{name: "identity", want: either, do: with("identity", pageHTML)},
		{name: "coding without a value", want: either, do: with("", pageHTML)},
		{name: "identity, then gzip", want: either, do: with("identity\r\nContent-Encoding: gzip", z)},
		{name: "several codings", want: same, do: with("br, gzip", z)},
		{name: "several fields", want: either, do: with("gzip\r\nContent-Encoding: br", z)},
		{name: "gzip as a transfer coding", want: same, status: 502, do: say(okHTML + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk(z) + "0\r\n\r\n")},
	}
}

// pageMisdeeds are well-formed answers with odd pages.
func pageMisdeeds() []misdeed {
	open := strings.Repeat(" text", 20_000)
	return []misdeed{
		{name: "NUL bytes", want: either, do: html("", "\x00<!DOCTYPE html>\x00<html><head>\x00</head>")},
		{name: "only NUL bytes", want: same, do: html("", strings.Repeat("\x00", 1000))},
		{name: "UTF-8 mark", want: injected, do: html("", "\xef\xbb\xbf"+pageHTML)},
		{name: "UTF-16 mark", want: same, do: html("", "\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00")},
		{name: "half a mark", want: same, do: html("", "\xef\xbb")},
		{name: "marks in single bytes", want: injected, do: chunks("", "\xef", "\xbb", "\xbf", pageHTML)},
		{name: "head of 2 MB", want: injected, do: html("", bigHead)},
		{name: "head of 2 MB in chunks", want: injected, do: chunks("", letters(bigHead, 500_000)...)},
		{name: "no head", want: injected, do: html("", "<p>text")},
		{name: "two heads", want: injected, do: html("", "<html><head><title>a</title></head><head></head><body></body></html>")},
		{name: "plaintext", want: injected, do: html("", "<!DOCTYPE html><plaintext></head><body>")},
		{name: "comment without end", want: same, do: html("", "<!DOCTYPE html><head><!-- "+open[:100])},
		{name: "long comment without end", want: same, do: html("", "<!DOCTYPE html><head><!-- "+open)},
		{name: "long comment without end, a charset", want: padded, do: html("", "<!DOCTYPE html><meta charset=utf-8><!-- "+open)},
		{name: "long title without end, a charset", want: padded, do: html("", "<!DOCTYPE html><meta charset=utf-8><title>"+open)},
		{name: "long attribute without end, a charset", want: padded, do: html("", "<!DOCTYPE html><meta charset=utf-8><meta content=\""+open)},
		{name: "long comment without end in chunks", want: same, do: chunks("", "<!DOCTYPE html><head><!-- ", open)},
		{name: "script without end", want: same, do: html("", "<!DOCTYPE html><head><script>"+open[:100])},
		{name: "title without end in pieces", want: same, do: chunks("", "<!DOCTYPE html><title>", "a", "b")},
		{name: "only a <", want: same, do: html("", "<")},
		{name: "only space", want: same, do: html("", strings.Repeat("\n", 70_000)[:100])},
		{name: "JSON that calls itself HTML", want: same, do: html("", `{"a":"<head></head>"}`)},
		{name: "our own tags by hand", want: same, do: html("", pageWithSnippet)},
	}
}
