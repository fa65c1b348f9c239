package pushsvc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// DeviceID names one browser of one site in the store. It is a digest of the browser's cookie, so that a
// reader of the store can't impersonate a visitor.
type DeviceID [16]byte

// IsZero reports whether there is no device.
func (d DeviceID) IsZero() bool { return d == DeviceID{} }

// MarshalText implements encoding.TextMarshaler: hexadecimal.
func (d DeviceID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DeviceID) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return errors.New("a device's id has the wrong length")
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// DeviceCookie is the value of a browser's cookie: 60 characters of base64url that only the server can make,
// for one site. Its bearer is that browser.
type DeviceCookie string

// Browser is the content of a genuine DeviceCookie.
type Browser struct {
	// key is the secret part: the device is a digest of it.
	key [16]byte
	// line is the same in all successive cookies of a browser. It is not secret.
	line [8]byte
	// Issued is when the cookie was made, in minutes.
	Issued time.Time
	// Whole means that browsers send the cookie to the whole site.
	Whole bool
}

// Parts of a DeviceCookie's 45 bytes.
const (
	cookieKey    = 16
	cookieLine   = cookieKey + 8
	cookieIssued = cookieLine + 4
	cookieWhole  = cookieIssued + 1
	cookieSize   = cookieWhole + 16 // the MAC
)

// NewBrowser returns a new browser. The same seed, site and secret make the same device, so that a browser
// that missed the answer to its first post stays the same when it posts again. The seed is the browser's
// secret and must be random.
func NewBrowser(secret []byte, site, seed string, now time.Time) Browser {
	b := Browser{Issued: minute(now)}
	sum := cookieMAC(secret, "browser", site, seed)
	copy(b.key[:], sum[:cookieKey])
	copy(b.line[:], sum[cookieKey:])
	return b
}

// Next returns the browser after a batch has replaced its cookie. The same batch makes the same browser, so
// that a batch posted again, because its answer was lost, leads to the same device.
func (b Browser) Next(secret []byte, site, batch string, now time.Time) Browser {
	b.Issued = minute(now)
	copy(b.key[:], cookieMAC(secret, "next", site, string(b.key[:]), batch))
	return b
}

// Device returns the store's name of the browser.
func (b Browser) Device() (d DeviceID) {
	sum := sha256.Sum256([]byte("device\x00" + string(b.key[:])))
	copy(d[:], sum[:])
	return d
}

// Line names the browser for longer than one cookie: through logins and logouts. It reveals nothing of the
// cookie, and proves nothing.
func (b Browser) Line() (d DeviceID) {
	sum := sha256.Sum256([]byte("line\x00" + string(b.line[:])))
	copy(d[:], sum[:])
	return d
}

// IsZero reports whether there is no browser.
func (b Browser) IsZero() bool { return b.key == [16]byte{} }

// Cookie returns the cookie's value.
func (b Browser) Cookie(secret []byte, site string) DeviceCookie {
	raw := make([]byte, 0, cookieSize)
	raw = append(append(raw, b.key[:]...), b.line[:]...)
	raw = binary.BigEndian.AppendUint32(raw, uint32(b.Issued.Unix()/60))
	raw = append(raw, 0)
	if b.Whole {
		raw[cookieIssued] = 1
	}
	raw = append(raw, cookieMAC(secret, "cookie", site, string(raw))[:cookieSize-cookieWhole]...)
	return DeviceCookie(base64.RawURLEncoding.EncodeToString(raw))
}

// OpenDeviceCookie reads a cookie; false if the server did not make it for the site.
func OpenDeviceCookie(secret []byte, site, text string) (b Browser, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != cookieSize || len(text) != base64.RawURLEncoding.EncodedLen(cookieSize) {
		return b, false
	}
	if !hmac.Equal(raw[cookieWhole:], cookieMAC(secret, "cookie", site, string(raw[:cookieWhole]))[:cookieSize-cookieWhole]) {
		return b, false
	}
	copy(b.key[:], raw)
	copy(b.line[:], raw[cookieKey:])
	b.Issued = time.Unix(int64(binary.BigEndian.Uint32(raw[cookieLine:]))*60, 0).UTC()
	b.Whole = raw[cookieIssued] == 1
	return b, true
}

func minute(t time.Time) time.Time { return t.UTC().Truncate(time.Minute) }

func cookieMAC(secret []byte, texts ...string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(macText(append([]string{"device cookie"}, texts...)...))
	return mac.Sum(nil)
}

// SessionMark returns the stored mark of a browser's session: 8 bytes of a digest, in hexadecimal.
func SessionMark(session string) string {
	if session == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("session\x00" + session))
	return hex.EncodeToString(sum[:8])
}

// IsRandomID reports whether the text is 16 bytes in base64url, like the names of batches and sessions.
func IsRandomID(text string) bool {
	if len(text) != 22 {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(b) == 16
}

// macText joins texts unambiguously.
func macText(texts ...string) (b []byte) {
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return b
}
